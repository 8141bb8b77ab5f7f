"""The whole of a run: stages in order, an evaluation after each, a report; made again, it resumes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from r1train.evaluate import evaluate
from r1train.forecast import forecast, spent
from r1train.progress import Progress
from r1train.recipe import Recipe
from r1train.run import RunFolder
from r1train.stages.data import run_data
from r1train.stages.pretrain import run_pretrain
from r1train.stages.rl import run_rl
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
    previous: Path | None = None
    base_done = False
    for name, stage in run.recipe.stages.items():
        if stage.kind in ("sft", "rl") and not base_done:
            previous, base_done = _base(run), True
        run.progress.say(name)
        with run.stage(name) as folder:
            STAGES[stage.kind](run, folder, stage)
            if stage.kind in ("sft", "rl"):
                evaluate(run, run.model(f"$stage.{name}"), folder, previous=previous)
                previous = folder


def _base(run: RunFolder) -> Path:
    """The evaluation of the model that everything starts from."""
    run.progress.say("base")
    with run.stage("base") as folder:
        evaluate(run, run.base, folder, previous=None)
    return folder
