"""What recipes/smollm2-135m teaches, over seeds and without its parts: runs, their metrics, one table.

    python bench/learning.py run                            # the recipe with seeds 0, 1, 2, one by one
    python bench/learning.py run --seeds 1                  # one of them; goes on after a kill
    python bench/learning.py run --from runs/smollm2-135m   # a finished run counts as that of its seed
    python bench/learning.py run --ablation all             # every ablation with seeds 0, 1
    python bench/learning.py table                          # write learning.md again

After each finished run a few kB of metrics go to learning/NAME.json beside this file, and learning.md is
written again. What is saved for the recipe as it is now is not run again; the run folder is not needed for
that. An ablation begins with hard links to what the full run of its seed made before the two differ, so that
both have the same problems and the same checkpoint, and only the stage that differs is run and evaluated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from learning_table import RL, SFT, Metrics, Planned, table

from r1rewards.core.errors import UserError
from r1rewards.core.store import file_hash, read_manifest, read_rows, replacing
from r1train.recipe import BASE, Recipe
from r1train.recipe_file import load_recipe, read_resolved
from r1train.summary import MEASURES, compare

HERE = Path(__file__).parent
RECIPE = HERE.parent / "recipes" / "smollm2-135m"
SAVED, DOCUMENT = HERE / "learning", HERE / "learning.md"
SEEDS, ABLATION_SEEDS = (0, 1, 2), (0, 1)


@dataclass(frozen=True, slots=True)
class Ablation:
    """The recipe with `changes` and only these `stages`; the last one is judged beside the full recipe's."""

    what: str
    stages: tuple[str, ...]
    changes: tuple[str, ...]

    @property
    def judged(self) -> str:
        return self.stages[-1]


ABLATIONS = {
    "no-cold-start": Ablation(
        "R1-Zero's way: reasoning RL straight from the base model, rewarded for accuracy and format only",
        ("0-data", RL),
        (f"{RL}.model=$base", f"{RL}.rewards=../specs/zero.yaml"),
    ),
    "no-language-reward": Ablation(
        "Reasoning RL from the cold start, without the reward for language consistency",
        ("0-data", SFT, RL),
        (f"{RL}.rewards=../specs/zero.yaml",),  # the rewards of reasoning.yaml but that one
    ),
    "no-rejection-sampling": Ablation(
        "RL for all scenarios straight from reasoning RL, without rejection sampling and SFT between",
        ("0-data", SFT, RL, "4-all-scenarios-rl"),
        (f"4-all-scenarios-rl.model=$stage.{RL}",),
    ),
}


#: The seeds of the full recipe, and of each ablation.
PLANNED: Planned = {None: SEEDS, **dict.fromkeys(ABLATIONS, ABLATION_SEEDS)}


# Runs


def run_seed(seed: int, out: Path, *, folder_needed: bool = False) -> Path:
    """Run the recipe, unless its metrics are saved already, and save them; returns the run folder."""
    folder, file = out / f"seed-{seed}", SAVED / f"seed-{seed}.json"
    now = fingerprint(load_recipe(RECIPE))
    there = stands(folder, now)
    if _saved(file, now) and (there or not folder_needed):
        print(f"seed {seed}: saved in {file.name}", flush=True)
        return folder
    if not there:
        r1train(RECIPE, seed, folder)
    save(file, metrics_of(folder))
    return folder


def run_ablation(name: str, seed: int, out: Path) -> None:
    """Run what an ablation does differently, and save how it ends beside the full recipe."""
    file = SAVED / f"{name}-seed-{seed}.json"
    if _saved(file, fingerprint(load_recipe(RECIPE))):
        print(f"{name}, seed {seed}: saved in {file.name}", flush=True)
        return
    full, folder = run_seed(seed, out, folder_needed=True), out / f"{name}-seed-{seed}"
    branch(full, folder, ABLATIONS[name])
    r1train(write_recipe(ABLATIONS[name], out / "recipes" / name), seed, folder)
    save(file, ablation_metrics(name, full, folder))


def adopt(run: Path, out: Path) -> int:
    """Let a finished run stand for the run of its seed, save its metrics, and return the seed."""
    if not (run / "recipe.yaml").is_file():
        raise UserError(f"{run} is not the folder of a run: it has no recipe.yaml")
    seed: int = read_resolved(run / "recipe.yaml").seed
    if not stands(run, fingerprint(load_recipe(RECIPE))):
        raise UserError(
            f"{run} is no finished run of {RECIPE.name} as the recipe and its reward specs are now; run "
            f"r1train on it again, or leave --from away"
        )
    place = out / f"seed-{seed}"
    if place.is_symlink():
        place.unlink()
    if place.exists() and place.resolve() != run.resolve():
        raise UserError(f"{place} has a run of seed {seed} already; remove it, or choose another --out")
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(run.resolve())
    save(SAVED / f"seed-{seed}.json", metrics_of(run))
    return seed


def r1train(recipe: Path, seed: int, folder: Path) -> None:
    command = [sys.executable, "-m", "r1train", "run", str(recipe), "--set", f"seed={seed}"]
    print(f"{folder.name}: r1train run", flush=True)
    done = subprocess.run([*command, "--out", str(folder)], check=False)
    if done.returncode:
        raise UserError(
            f"{folder.name} stopped with status {done.returncode}; run the same command again to go on"
        )


def branch(full: Path, folder: Path, ablation: Ablation) -> None:
    """Hard links to what the full run made before the two differ; r1train then finds those steps done.

    Every time anew, for the full run may have been made again since. r1train replaces files and never writes
    into one that is finished, so that the full run stays as it is.
    """
    for name in (BASE, *ablation.stages[:-1], f"{ablation.judged}/reward-models"):
        shutil.rmtree(folder / name, ignore_errors=True)
        if (full / name).is_dir():
            hidden = shutil.ignore_patterns(".*")  # half-made
            shutil.copytree(full / name, folder / name, copy_function=_link, ignore=hidden)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def write_recipe(ablation: Ablation, folder: Path) -> Path:
    """The ablation as a recipe folder: the recipe as it is now, changed, and cut to the ablation's stages."""
    recipe = load_recipe(RECIPE, ablation.changes).model_dump(mode="json")
    files = {"pipeline": recipe | {"stages": list(ablation.stages)}}
    files |= {name: recipe["stages"][name] for name in ablation.stages}
    for name, content in files.items():
        with replacing(folder / f"{name}.yaml") as part:
            part.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return folder


# Metrics


def fingerprint(recipe: Recipe, run: Path | None = None) -> str:
    """8 hex digits over all that results depend on but the seed: stages, model, reward specs' contents.

    run  a run of that recipe, which has written down the contents that its steps have read
    """
    read: dict[str, set[str]] = {}
    steps = [step for name in (BASE, *recipe.stages) for step in run.glob(f"{name}/*/")] if run else []
    for step in steps:
        for file, content in read_manifest(step).get("inputs", {}).items():
            read.setdefault(file, set()).add(content)

    def contents(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: contents(item) for key, item in value.items()}
        if isinstance(value, list):
            return [contents(item) for item in value]
        if isinstance(value, str) and value.startswith("/") and (value in read or Path(value).is_file()):
            return sorted(read.get(value) or {file_hash(value)})
        return value

    data = contents(recipe.model_dump(mode="json", exclude={"seed", "name", "threads"}))
    return hashlib.blake2b(json.dumps(data, sort_keys=True).encode(), digest_size=4).hexdigest()


def stands(run: Path, wanted: str) -> bool:
    """Whether this is the folder of a run of that recipe, with every stage done."""
    if not (run / "state.json").is_file():
        return False
    recipe = read_resolved(run / "recipe.yaml")
    done = {s["name"] for s in _read(run / "state.json")["stages"] if s["status"] == "done"}
    return fingerprint(recipe, run) == wanted and {BASE, *recipe.stages} <= done


def metrics_of(run: Path) -> Metrics:
    """What is kept of a finished run of the full recipe."""
    stages = {}
    for stage in _read(run / "state.json")["stages"]:
        stages[stage["name"]] = {"seconds": stage["seconds"], **_evaluation(run / stage["name"])}
    return {"ablation": None, **_circumstances(run), "stages": stages}


def ablation_metrics(name: str, full: Path, run: Path) -> Metrics:
    """What is kept of an ablation: its judged stage, that of the full run, and their paired difference."""
    judged = ABLATIONS[name].judged
    before, after = (list(read_rows(r / judged / "evaluation" / "scored.jsonl")) for r in (full, run))
    languages = sorted({row["language"] for row in before if row.get("language")})
    by_language = {
        language: compare(*([row for row in rows if row["language"] == language] for rows in (before, after)))
        for language in languages
    }
    return {
        "ablation": name,
        **_circumstances(run),
        "recipe": fingerprint(read_resolved(full / "recipe.yaml"), full),  # the one it is an ablation of
        "what": ABLATIONS[name].what,
        "stage": judged,
        "full": _evaluation(full / judged)["evaluation"],
        "ablated": _evaluation(run / judged)["evaluation"],
        "difference": {
            "all": _rounded(compare(before, after)["all"]),
            "languages": {language: _rounded(found["all"]) for language, found in by_language.items()},
        },
    }


def _circumstances(run: Path) -> Metrics:
    versions, recipe = _read(run / "versions.json"), read_resolved(run / "recipe.yaml")
    return {
        "seed": recipe.seed,
        "recipe": fingerprint(recipe, run),
        "commit": versions["commit"],
        "python": versions["python"],
        "packages": versions["packages"],
        "cores": versions["cpus"],
        "seconds": round(sum(stage["seconds"] for stage in _read(run / "state.json")["stages"])),
    }


def _evaluation(stage: Path) -> Metrics:
    """A stage's evaluation and its difference to the stage before, without details; {} where it has none."""
    file = stage / "evaluation" / "summary.json"
    if not file.is_file():
        return {}
    summary = _read(file)
    kept = {
        "problems": summary["problems"],
        "samples": summary["samples"],
        "all": summary["all"],
        "domains": {name: (f["accuracy"] or {}).get("mean") for name, f in summary["domains"].items()},
        "languages": {
            name: {key: f[key] for key in ("problems", *MEASURES)} for name, f in summary["languages"].items()
        },
    }
    found = {"evaluation": _rounded(kept)}
    if "compare" in summary:
        found["compare"] = _rounded({k: summary["compare"][k] for k in ("previous", "all")})
    return found


def save(file: Path, metrics: Metrics) -> None:
    with replacing(file) as part:
        part.write_text(json.dumps(metrics, indent=1, ensure_ascii=False) + "\n")
    write_table()


def write_table() -> None:
    with replacing(DOCUMENT) as part:
        part.write_text(table([_read(file) for file in SAVED.glob("*.json")], PLANNED))


def _saved(file: Path, recipe: str) -> bool:
    return file.is_file() and _read(file)["recipe"] == recipe


def _read(file: Path) -> Any:
    return json.loads(file.read_text())


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("table", help="write learning.md from the saved metrics")
    run = commands.add_parser("run", help="run what is not saved yet, and save its metrics")
    which = run.add_mutually_exclusive_group()
    which.add_argument("--seeds", type=int, nargs="+", help="0 1 2 if not given, of ablations 0 1")
    which.add_argument("--from", dest="run", type=Path, help="folder of a finished run, for its seed's run")
    run.add_argument("--ablation", nargs="+", default=[], choices=[*ABLATIONS, "all"], metavar="NAME",
                     help=f"these, not the full recipe: {', '.join(ABLATIONS)}, or all")  # fmt: skip
    run.add_argument("--out", type=Path, default=Path("runs/learning"), help="folder of the run folders")
    arguments = parser.parse_args()
    try:
        if arguments.command == "table":
            write_table()
            return
        seeds = arguments.seeds
        if arguments.run:
            seeds = [adopt(arguments.run, arguments.out)]
        names = list(ABLATIONS) if "all" in arguments.ablation else arguments.ablation
        for seed in seeds or (ABLATION_SEEDS if names else SEEDS):
            if not names:
                run_seed(seed, arguments.out)
            for name in names:
                run_ablation(name, seed, arguments.out)
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
