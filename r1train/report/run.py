"""A run directory as data, also while the run is still writing it.

Nothing here raises because something is not there yet: what is absent or cut off becomes a sentence in
`Run.missing`, and the report says it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from r1data.ledger import DROPPED, KEPT
from r1rewards.core.errors import UserError
from r1train.recipe import BASE


@dataclass
class Ledger:
    """How many rows met each fate in one step of curation.

    dropped  rows by the rule that dropped them, the most frequent first
    parts    the other fates: "kept", or the names of the parts that a split made
    """

    name: str
    rows: int
    dropped: dict[str, int]
    parts: dict[str, int]


@dataclass
class Training:
    """One training: the policy of a stage, or one of its reward models."""

    name: str
    metrics: list[dict[str, Any]]
    evaluation: dict[str, Any] | None = None


@dataclass
class Stage:
    """One stage of the run, or the base model (which has an evaluation and nothing else).

    general  figures of its answers to general prompts by the run's reward models (see `r1train.general`)
    """

    name: str
    status: str
    folder: Path
    seconds: float = 0.0
    steps: list[tuple[str, float]] = field(default_factory=list)
    summary: dict[str, Any] | None = None
    general: dict[str, Any] | None = None
    trainings: list[Training] = field(default_factory=list)
    ledgers: list[Ledger] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The name for a reader: "2 · reasoning RL" for 2-reasoning-rl."""
        number, _, rest = self.name.partition("-")
        words = [word.upper() if word in ("rl", "sft") else word for word in rest.split("-")]
        return f"{number} · {' '.join(words)}" if number.isdigit() and rest else self.name

    @property
    def short(self) -> str:
        """The name as the paper's own table has it, "after 2"; the base model has no number."""
        number = self.name.partition("-")[0]
        return f"after {number}" if number.isdigit() else self.name

    @property
    def evaluated(self) -> bool:
        """Whether the stage makes a model; stage 0 only makes data."""
        return self.summary is not None or not self.name.startswith("0-")

    def evaluation_rows(self) -> Iterator[dict[str, Any]]:
        """The held-out responses with their scores, as far as they are written."""
        return read_lines(self.folder / "evaluation" / "scored.jsonl", [])

    def rollout_files(self) -> list[Path]:
        return sorted((self.folder / "train" / "rollouts").glob("step-*.parquet"))


@dataclass
class Run:
    """A run directory, read once. `stages` begins with the base model."""

    path: Path
    name: str
    stages: list[Stage]
    versions: dict[str, Any]
    recipe: str
    missing: list[str]

    @property
    def finished(self) -> bool:
        return all(stage.status == "done" for stage in self.stages)

    @property
    def graded(self) -> bool:
        """Whether the run has graded the general answers of its models."""
        return any(stage.general for stage in self.stages)

    @property
    def models(self) -> list[Stage]:
        """The base model and every stage that makes a model, in order: the rows of the table."""
        return [stage for stage in self.stages if stage.evaluated]


def load_run(path: Path) -> Run:
    """Read a run directory; raises UserError where the path is none."""
    missing: list[str] = []
    state = _read_json(path / "state.json", missing)
    if state is None:
        raise UserError(
            f"{path} is not a run directory: it has no readable state.json; give a folder of `r1train run`"
        )
    entries = {entry["name"]: entry for entry in state.get("stages", [])}
    stages = [_base(path, entries.pop(BASE, {}), missing)]
    stages += [_stage(path, entry, missing) for entry in entries.values()]
    for folder in sorted(path.glob("*/general")):
        graded = _read_json(folder / "summary.json", missing) or {}
        for stage in stages:
            figures = graded.get("models", {}).get(stage.name)
            if figures is not None:
                stage.general = figures | {"compare": graded["compare"].get(stage.name)}
    recipe = path / "recipe.yaml"
    if not recipe.is_file():
        missing.append("recipe.yaml is not there, so the settings of the run are not shown")
    return Run(
        path=path,
        name=str(state.get("name") or path.name),
        stages=stages,
        versions=_read_json(path / "versions.json", missing) or {},
        recipe=recipe.read_text(encoding="utf-8", errors="replace") if recipe.is_file() else "",
        missing=missing,
    )


def read_lines(path: Path, missing: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of a JSON-lines file that may be growing: a line that is not whole is left out and named."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if isinstance(row, dict):
                yield row
            elif line.strip() and line.endswith(b"\n"):
                missing.append(
                    f"{path.parent.parent.name}/{path.parent.name}/{path.name}, line {number}, is not JSON"
                )


def _base(path: Path, entry: dict[str, Any], missing: list[str]) -> Stage:
    """The base model, which comes first wherever the run has evaluated it."""
    folder = path / BASE
    summary = _read_json(folder / "evaluation" / "summary.json", missing)
    if summary is None:
        missing.append("the base model is not evaluated yet")
    status, seconds = "done" if summary else "pending", float(entry.get("seconds") or 0.0)
    return Stage(BASE, status, folder, seconds, _steps(entry), summary)


def _stage(path: Path, entry: dict[str, Any], missing: list[str]) -> Stage:
    folder = path / entry["name"]
    stage = Stage(
        name=entry["name"],
        status=entry.get("status", "pending"),
        folder=folder,
        seconds=float(entry.get("seconds") or 0.0),
        steps=_steps(entry),
        summary=_read_json(folder / "evaluation" / "summary.json", missing),
        ledgers=[
            _ledger(file, folder) for file in sorted(folder.glob("**/ledger.parquet")) if _shown(file, folder)
        ],
    )
    stage.trainings = list(_trainings(folder, missing))
    if stage.status != "done":
        missing.append(f"stage {stage.name} is {stage.status}")
    elif stage.summary is None and stage.evaluated:
        missing.append(f"stage {stage.name} is done and has no evaluation")
    return stage


def _steps(entry: dict[str, Any]) -> list[tuple[str, float]]:
    return [(step["name"], float(step.get("seconds") or 0.0)) for step in entry.get("steps", [])]


def _trainings(folder: Path, missing: list[str]) -> Iterator[Training]:
    files = [("policy", folder / "train" / "metrics.jsonl")]
    files += [
        (f"reward model: {model.name}", model / "train" / "metrics.jsonl")
        for model in sorted((folder / "reward-models").glob("*"))
    ]
    for name, file in files:
        metrics = one_line_per_step(list(read_lines(file, missing)))
        tested = file.parent.parent / "evaluation" / "evaluation.json"
        evaluation = None if name == "policy" else _read_json(tested, missing)
        if metrics or evaluation:
            yield Training(name, metrics, evaluation)


def one_line_per_step(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Metrics in the order of training, each step once, counted on over segments.

    A resumed training repeats the steps since its checkpoint; the last line of a step is the one that counts.
    A trainer that counts from 1 in every segment is counted on from where the segment before ended. `tokens`,
    those of the step, come from `num_tokens`, all that the trainer has seen since it began.
    """
    last: dict[tuple[int, int], dict[str, Any]] = {}
    for line in metrics:
        if isinstance(line.get("step"), int):
            last[int(line.get("segment") or 0), line["step"]] = line
    out: list[dict[str, Any]] = []
    offset, segment, before = 0, None, 0.0
    for key in sorted(last):
        if key[0] != segment:
            segment, reached = key[0], out[-1]["step"] if out else 0
            offset = reached if key[1] <= reached else 0
        out.append(last[key] | {"step": key[1] + offset, "segment": key[0]})
        seen = out[-1].get("num_tokens")
        if isinstance(seen, int | float):
            out[-1]["tokens"] = seen - before if seen >= before else seen
            before = seen
    return out


def _shown(file: Path, folder: Path) -> bool:
    """Whether the ledger belongs to a finished step; the folders of others begin with a dot."""
    return not any(part.startswith(".") for part in file.relative_to(folder).parts)


def _ledger(file: Path, folder: Path) -> Ledger:
    rows = pl.read_parquet(file, columns=["fate", "rule"])
    gone = pl.col("fate") == DROPPED
    rules: dict[str, int] = dict(rows.filter(gone)["rule"].fill_null("no rule").value_counts().iter_rows())
    parts: dict[str, int] = {KEPT: 0} | dict(
        rows.filter(~gone)["fate"].value_counts().sort("fate").iter_rows()
    )
    if len(parts) > 1 and not parts[KEPT]:
        del parts[KEPT]
    dropped = dict(sorted(rules.items(), key=lambda item: (-item[1], item[0])))
    return Ledger(str(file.parent.relative_to(folder)), rows.height, dropped, parts)


def _read_json(path: Path, missing: list[str]) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_bytes())
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    missing.append(f"{path.parent.name}/{path.name} is cut off or not JSON")
    return None
