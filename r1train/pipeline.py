"""The whole of a run: stages in order, an evaluation after each, a report; made again, it resumes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from r1train.evaluate import evaluate
from r1train.forecast import forecast, spent
from r1train.general import grade_general
from r1train.progress import Progress
from r1train.recipe import BASE, Recipe, RlStage
from r1train.run import RunFolder
from r1train.stages.data import run_data
from r1train.stages.pretrain import run_pretrain
from r1train.stages.rl import reward_models, run_rl
from r1train.stages.sft import run_sft
from r1train.work import finished

STAGES: dict[str, Callable[[RunFolder, Path, Any], None]] = {
    "data": run_data,
    "pretrain": run_pretrain,
    "sft": run_sft,
    "rl": run_rl,
}


def run_recipe(recipe: Recipe, folder: Path) -> Path:
    """Run every stage that is not done yet and return the report.

    Each stage is a folder of steps; a step stands when its inputs, its configuration and its files are the
    same, so that running again after a kill, or after a change of the recipe, does only what is needed.
    """
    from transformers.utils import logging

    from r1train.report import write_report

    logging.disable_progress_bar()  # the run has its own
    progress = Progress()
    done = finished(recipe, folder)
    run = RunFolder(folder, recipe, progress)
    try:
        expected = forecast(recipe, done)
        if expected is not None:
            progress.say(str(expected))
        before, began = spent(folder), time.monotonic()
        _stages(run)
        if expected is not None:
            now = {part: seconds - before.get(part, 0.0) for part, seconds in spent(folder).items()}
            progress.say(expected.against(time.monotonic() - began, now))
    finally:
        run.close()
    return write_report(folder)


def _stages(run: RunFolder) -> None:
    models: list[str] = []  # those that are evaluated, in order
    for name, stage in run.recipe.stages.items():
        trains = stage.kind in ("sft", "rl")
        if trains and not models:
            _base(run)
            models.append(BASE)
        run.progress.say(name)
        with run.stage(name) as folder:
            STAGES[stage.kind](run, folder, stage)
            if trains:
                evaluate(run, run.model(f"$stage.{name}"), folder, previous=run.folder / models[-1])
                models.append(name)
            if isinstance(stage, RlStage):
                grade_general(run, folder, stage, models, reward_models(run, folder, stage))


def _base(run: RunFolder) -> None:
    """The evaluation of the model that everything starts from."""
    run.progress.say(BASE)
    with run.stage(BASE) as folder:
        evaluate(run, run.base, folder, previous=None)
