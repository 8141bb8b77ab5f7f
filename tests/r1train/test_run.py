"""The run folder: what is written down, which steps stand, and what a model reference means."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from r1rewards.core.errors import UserError
from r1rewards.core.store import write_rows
from r1train.progress import Progress
from r1train.recipe import Problems
from r1train.recipe_file import load_recipe, read_resolved
from r1train.run import RunFolder, seed_of
from r1train.stages.sft import choose

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # a recipe's `threads` sets it for the whole process


def open_run(folder: Path, *changes: str) -> RunFolder:
    return RunFolder(folder, load_recipe(RECIPES / "tiny", changes), Progress())


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    opened = open_run(tmp_path / "run")
    yield opened
    opened.close()


def test_recipe_and_versions_are_written_before_anything_runs(run: RunFolder) -> None:
    assert read_resolved(run.folder / "recipe.yaml") == run.recipe
    versions = json.loads((run.folder / "versions.json").read_text())
    assert versions["seed"] == run.recipe.seed
    assert {"r1kit", "torch", "transformers", "trl"} <= set(versions["packages"])


def test_a_step_stands_until_its_settings_change(run: RunFolder) -> None:
    with run.stage("0-data") as folder:
        for config, made in (({"a": 1}, True), ({"a": 1}, False), ({"a": 2}, True)):
            with run.step(folder / "work", config) as step:
                assert (step is not None) == made
                if step is not None:
                    (step.path / "result").write_text(str(config))
                    step.finish({"rows": 1})
    state = json.loads((run.folder / "state.json").read_text())
    stage = next(stage for stage in state["stages"] if stage["name"] == "0-data")
    assert stage["status"] == "done" and [step["name"] for step in stage["steps"]] == ["work"]


def test_an_interrupted_step_keeps_its_work_and_its_stage_is_not_done(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "0-data"
    run = open_run(tmp_path / "run")
    interrupted = pytest.raises(KeyboardInterrupt)
    with interrupted, closing(run), run.stage("0-data"), run.step(folder / "work", {}) as step:
        assert step is not None
        (step.path / "half").write_text("half")
        raise KeyboardInterrupt
    state = json.loads((run.folder / "state.json").read_text())
    stages = {stage["name"]: stage["status"] for stage in state["stages"]}
    assert stages.pop("0-data") == "stopped" and set(stages.values()) == {"pending"}
    run = open_run(tmp_path / "run")
    with closing(run), run.stage("0-data"), run.step(folder / "work", {}) as step:
        assert step is not None and (step.path / "half").read_text() == "half"


def test_the_time_of_a_step_is_that_of_the_tries_that_it_went_on_from(run: RunFolder) -> None:
    told = []
    with run.stage("0-data"):
        for seconds, resumed in ((5, False), (2, True), (1, False)):
            run.timed("work", time.monotonic() - seconds, resumed=resumed)
            [stage] = [s for s in json.loads((run.folder / "state.json").read_text())["stages"] if s["steps"]]
            told.append(stage["steps"][0]["seconds"])
    assert told == pytest.approx([5, 7, 1], abs=0.2)


def test_one_run_at_a_time_in_a_folder(run: RunFolder) -> None:
    with pytest.raises(UserError, match="another r1train is at work"):
        open_run(run.folder)


def test_models_by_reference(run: RunFolder, tiny_model: Path, tmp_path: Path) -> None:
    assert run.model(str(tiny_model)).path == tiny_model.resolve()
    with pytest.raises(UserError, match="the stage 1-cold-start has left no model"):
        run.model("$stage.1-cold-start")
    with pytest.raises(UserError, match="the stage 0-base has left no model"):
        run.model("$base")
    with pytest.raises(UserError, match="names no finished run"):
        run.model(f"run:{tmp_path / 'other'}")
    for stage in ("1-cold-start", "2-reasoning-rl"):
        (tmp_path / "other" / stage / "train" / "model").mkdir(parents=True)
    found = run.model(f"run:{tmp_path / 'other'}")
    assert found.path == tmp_path / "other" / "2-reasoning-rl" / "train" / "model"
    train = run.folder / "1-cold-start" / "train"
    train.mkdir(parents=True)
    (train / "step.json").write_text('{"key": "abc"}')
    model = run.model("$stage.1-cold-start")
    assert (model.path, model.name, model.key) == (train / "model", "tiny/1-cold-start", "abc")


def test_seeds_depend_on_every_part_and_nothing_else() -> None:
    assert seed_of(0, "a", "b") == seed_of(0, "a", "b")
    assert len({seed_of(0, "a"), seed_of(1, "a"), seed_of(0, "b"), seed_of(0, "a", "b")}) == 4
    assert all(0 <= seed_of(n) < 2**31 for n in range(100))


def test_problems_are_chosen_by_task_spread_and_without_overlap(run: RunFolder) -> None:
    rows: list[dict[str, Any]] = [
        {"id": f"{task}-{n}", "task": task, "prompt": [], "reference": "1"}
        for task in ("math", "choice")
        for n in range(30)
    ]
    write_rows(run.folder / "0-data" / "train.parquet", rows)

    def ids(**wanted: object) -> list[str]:
        return [row["id"] for row in choose(run, Problems.model_validate(wanted))]

    first, rest = ids(count=20), ids(offset=20)
    assert len(first) == 20 and len(rest) == 40 and not set(first) & set(rest)
    assert {row.partition("-")[0] for row in first} == {"math", "choice"}
    assert len(ids(tasks=["math"])) == 30
    assert ids(count=20) == first
    with pytest.raises(UserError, match="no training problem of the tasks code"):
        ids(tasks=["code"])
    with pytest.raises(UserError, match="from number 60 on; stage 0 makes 60"):
        ids(offset=60)
