"""`bench/learning.py`: the table is that of the saved metrics, and made-up runs go the whole way to one."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from r1rewards.core.errors import UserError
from r1train.recipe_file import dump_recipe, load_recipe

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "bench"


def load(path: Path, name: str) -> ModuleType:
    """A script as a module; one beside it that it imports is found as when it runs."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for it
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


learning = load(BENCH / "learning.py", "bench_learning")
tables = load(BENCH / "learning_table.py", "bench_learning_table")
make_run = load(ROOT / "tests" / "r1train" / "conftest.py", "made_up_runs").make_run


def made_up(folder: Path, *, seed: int = 0, finished: int = 5) -> Path:
    """A made-up run of the recipe as it is now."""
    run: Path = make_run(folder, finished=finished, problems=6)
    (run / "recipe.yaml").write_text(dump_recipe(load_recipe(learning.RECIPE, [f"seed={seed}"])))
    return run


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """The scripts with nothing saved beside them."""
    (tmp_path / "bench").mkdir()
    for script in BENCH.glob("learning*.py"):
        shutil.copy(script, tmp_path / "bench")
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    return tmp_path / "bench"


def script(bench: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(bench / "learning.py"), *arguments]
    return subprocess.run(command, cwd=bench.parent, capture_output=True, text=True, check=False)


# what is in the repository


def test_the_table_is_that_of_the_saved_metrics() -> None:
    saved = [json.loads(file.read_text()) for file in learning.SAVED.glob("*.json")]
    assert learning.DOCUMENT.read_text() == learning.table(saved, learning.PLANNED), (
        f"bench/learning.md is not the table of the {len(saved)} saved runs; "
        "run `python bench/learning.py table` and commit what it writes"
    )


def test_saved_metrics_are_small_and_named_by_what_they_are_of() -> None:
    for file in learning.SAVED.glob("*.json"):
        metrics = json.loads(file.read_text())
        prefix = f"{metrics['ablation']}-" if metrics["ablation"] else ""
        assert file.stem == f"{prefix}seed-{metrics['seed']}"
        assert file.stat().st_size < 40_000, f"{file.name} holds more than figures"


# the table


def figures(accuracy: float, language: float | None = 0.9) -> dict[str, Any]:
    values = {"accuracy": accuracy, "format": 0.5, "language": language, "reward": 1.25}
    return {name: None if v is None else {"mean": v, "low": v, "high": v} for name, v in values.items()}


def paired(accuracy: float) -> dict[str, Any]:
    found = {"difference": accuracy, "low": accuracy - 0.1, "high": accuracy + 0.1, "p": 0.2, "problems": 9}
    return {"accuracy": found, "format": found, "language": None, "reward": found}


def full(seed: int, **stages: dict[str, Any]) -> dict[str, Any]:
    about = {"recipe": "00c0ffee", "commit": "abc1234", "python": "3.11.2", "cores": 2, "seconds": 3600}
    return {"ablation": None, "seed": seed, **about, "packages": {}, "stages": stages}


def stage(all_problems: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"seconds": 60.0, "evaluation": {"all": all_problems, "languages": {}}, **more}


def test_nothing_saved_says_so() -> None:
    assert learning.table([], learning.PLANNED).endswith("\n\nNo run saved yet.\n")


def test_mean_and_range_over_seeds() -> None:
    assert tables.spread("accuracy", [figures(0.1), figures(0.25), figures(0.4)]) == "25.0 (10.0–40.0)"
    assert tables.spread("accuracy", [figures(0.1)]) == "10.0"
    assert tables.spread("reward", [figures(0.1), figures(0.2)]) == "1.25 (1.25–1.25)"
    assert tables.spread("language", [figures(0.1, None)]) == "–"
    assert tables.spread("language", [figures(0.1, None), figures(0.2)]) == "90.0 (1 of 2 seeds)"


def test_differences_have_a_sign_and_no_minus_before_a_zero() -> None:
    assert tables.difference("accuracy", paired(-0.05)) == "−5.0 (−15.0 to +5.0)"
    assert tables.difference("language", paired(-0.05)) == "–"
    nothing = {"reward": {"difference": -0.0001, "low": -0.001, "high": 0.0}}
    assert tables.difference("reward", nothing) == "+0.00 (+0.00 to +0.00)"


def test_stages_that_a_run_lacks_are_left_out_and_counted() -> None:
    rl = {"previous": "1-cold-start", "all": paired(0.05)}
    sft = {"1-cold-start": stage(figures(0.3))}
    saved = [full(1, **sft), full(0, **sft, **{"2-reasoning-rl": stage(figures(0.35), compare=rl)})]
    text = learning.table(saved, learning.PLANNED)
    assert "| 1-cold-start | 2 | 30.0 (30.0–30.0) |" in text
    assert "| 2-reasoning-rl | 1 | 35.0 |" in text
    assert "| 0 | +5.0 (−5.0 to +15.0) |" in text
    assert "Not run yet: the full recipe with seed 2; no-cold-start with seeds 0, 1;" in text
    assert "No saved run has both stages." in learning.table(saved[:1], learning.PLANNED)


def test_the_order_of_the_files_does_not_matter() -> None:
    saved = [full(seed, base=stage(figures(seed / 10))) for seed in range(3)]
    assert learning.table(saved, learning.PLANNED) == learning.table(saved[::-1], learning.PLANNED)


def test_runs_of_different_recipes_are_told() -> None:
    saved = [full(0), full(1) | {"recipe": "0badf00d"}]
    assert "2 different versions of the recipe" in learning.table(saved, learning.PLANNED)
    assert "different versions" not in learning.table(saved[:1], learning.PLANNED)


# from a run to the table


def test_a_finished_run_stands_for_its_seed(bench: Path) -> None:
    made_up(bench.parent / "finished", seed=2)
    done = script(bench, "run", "--from", "finished", "--out", "runs")
    assert done.returncode == 0, done.stderr
    saved = json.loads((bench / "learning" / "seed-2.json").read_text())
    assert (saved["seed"], saved["commit"], saved["cores"]) == (2, "abc1234", 2)
    assert list(saved["stages"])[:3] == ["base", "0-data", "1-cold-start"]
    assert saved["stages"]["2-reasoning-rl"]["compare"]["previous"] == "1-cold-start"
    text = (bench / "learning.md").read_text()
    assert "| full recipe | 2 |" in text and "the full recipe with seeds 0, 1" in text
    again = script(bench, "run", "--seeds", "2", "--out", "elsewhere")  # needs no run folder any more
    assert (again.returncode, again.stdout) == (0, "seed 2: saved in seed-2.json\n")
    (bench / "learning.md").unlink()
    assert script(bench, "table").returncode == 0
    assert (bench / "learning.md").read_text() == text


@pytest.mark.parametrize("what", ["unfinished", "another recipe", "no run"])
def test_what_cannot_stand_for_a_seed_is_refused(what: str, bench: Path) -> None:
    run = made_up(bench.parent / "run", finished=3 if what == "unfinished" else 5)
    if what == "another recipe":
        changed = load_recipe(learning.RECIPE, ["2-reasoning-rl.optim.learning_rate=0.5"])
        (run / "recipe.yaml").write_text(dump_recipe(changed))
    if what == "no run":
        (run / "recipe.yaml").unlink()
    done = script(bench, "run", "--from", "run")
    assert done.returncode == 1
    assert ("is not the folder of a run" if what == "no run" else "is no finished run of") in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (bench / "learning").exists()


def test_the_fingerprint_knows_the_reward_specs_that_a_run_has_read(tmp_path: Path) -> None:
    recipe = load_recipe(learning.RECIPE)
    now = learning.fingerprint(recipe)
    assert now == learning.fingerprint(load_recipe(learning.RECIPE, ["seed=5", "threads=1"]))
    step = tmp_path / "base" / "evaluation" / "step.json"
    step.parent.mkdir(parents=True)
    step.write_text(json.dumps({"inputs": {recipe.evaluation.rewards: "an older content"}}))
    assert learning.fingerprint(recipe, tmp_path) != now
    step.write_text(json.dumps({"inputs": {}}))
    assert learning.fingerprint(recipe, tmp_path) == now


# ablations


@pytest.mark.parametrize("name", learning.ABLATIONS)
def test_an_ablation_is_the_recipe_but_for_its_changes(name: str, tmp_path: Path) -> None:
    ablation = learning.ABLATIONS[name]
    whole = load_recipe(learning.RECIPE)
    cut = load_recipe(learning.write_recipe(ablation, tmp_path / name))
    assert tuple(cut.stages) == ablation.stages
    for before in ablation.stages[:-1]:
        assert cut.stages[before] == whole.stages[before]
    judged = ablation.judged
    changes = [change.removeprefix(f"{judged}.").partition("=")[0] for change in ablation.changes]
    assert cut.stages[judged] != whole.stages[judged]
    kept = {key: value for key, value in cut.stages[judged] if key not in changes}
    assert kept == {key: value for key, value in whole.stages[judged] if key not in changes}
    assert cut.model_copy(update={"stages": {}}) == whole.model_copy(update={"stages": {}})


def test_without_the_language_reward_all_others_are_the_same() -> None:
    specs = ROOT / "recipes" / "specs"
    reasoning, zero = (yaml.safe_load((specs / f"{name}.yaml").read_text()) for name in ("reasoning", "zero"))
    del reasoning["rewards"]["language"]
    assert reasoning == zero


def test_an_ablation_shares_what_comes_before_it(tmp_path: Path) -> None:
    run, folder = made_up(tmp_path / "full"), tmp_path / "ablation"
    for _ in range(2):  # after a kill, again
        learning.branch(run, folder, learning.ABLATIONS["no-rejection-sampling"])
    shared = ["0-data", "1-cold-start", "2-reasoning-rl", "4-all-scenarios-rl", "base"]
    assert sorted(path.name for path in folder.iterdir()) == shared
    assert [path.name for path in (folder / "4-all-scenarios-rl").iterdir()] == ["reward-models"]
    metrics = Path("1-cold-start", "train", "metrics.jsonl")
    assert (folder / metrics).samefile(run / metrics)


def test_an_ablation_stands_beside_the_full_recipe(tmp_path: Path) -> None:
    whole, cut = made_up(tmp_path / "full"), made_up(tmp_path / "ablation")
    shutil.copytree(cut / "1-cold-start", cut / "2-reasoning-rl", dirs_exist_ok=True)  # a weaker model
    metrics = learning.ablation_metrics("no-language-reward", whole, cut)
    assert metrics["stage"] == "2-reasoning-rl"
    languages = metrics["difference"]["languages"]
    assert sorted(languages) == ["en", "zh"]
    assert languages["zh"]["language"]["problems"] < languages["en"]["language"]["problems"]
    difference = metrics["ablated"]["all"]["accuracy"]["mean"] - metrics["full"]["all"]["accuracy"]["mean"]
    assert metrics["difference"]["all"]["accuracy"]["difference"] == pytest.approx(difference, abs=2e-4)
    text = learning.table([metrics], learning.PLANNED)
    assert "## no-language-reward" in text
    assert "| language, en prompts | language, zh prompts |" in text
    assert [line.split(" | ")[1] for line in text.splitlines() if line.startswith("| 0 |")] == [
        "full recipe", "ablation", "difference",
    ]  # fmt: skip
    assert "the full recipe with seeds 0, 1, 2" in text


def test_a_failed_run_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run the same command again"):
        learning.r1train(tmp_path / "no-recipe", 0, tmp_path / "run")
