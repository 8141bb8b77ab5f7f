"""Checkpoints that are whole or do not count, metrics that match them, and a clean stop on SIGTERM."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from transformers import TrainerCallback

from r1rewards.core.formats import dump_json
from r1rewards.core.store import replacing

#: Written last into a checkpoint; one without it was cut short and does not count.
COMPLETE = "complete"


def last(folder: Path) -> Path | None:
    """The newest whole checkpoint."""
    found = [path for path in folder.glob("checkpoint-*") if (path / COMPLETE).exists()]
    return max(found, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rsplit("-", 1)[1])


def rewind(output: Path, checkpoint: Path | None) -> None:
    """Drop what was recorded after the checkpoint: those steps will be taken, and recorded, again."""
    step = step_of(checkpoint) if checkpoint else 0
    metrics = output / "metrics.jsonl"
    if metrics.exists():
        lines = metrics.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if line.endswith(b"\n") and json.loads(line)["step"] <= step]
        with replacing(metrics) as part:
            part.write_bytes(b"".join(kept))
    for rollout in (output / "rollouts").glob("step-*.parquet"):
        if int(rollout.stem.rsplit("-", 1)[1]) > step:
            rollout.unlink()


class Recorder(TrainerCallback):  # type: ignore[misc]
    """Writes `metrics.jsonl`, marks whole checkpoints, and turns SIGTERM into a checkpoint and a clean end.

    A line has the step, the seconds since the line before, and what the trainer logged. `total` steps stand
    in the first line's company, so that whoever follows the file knows how long it will be.

    rollout  optimiser steps that share one rollout: a stop waits for its end, where a run can go on
    recipe   the resolved recipe, of which every checkpoint gets a copy
    """

    def __init__(self, output: Path, *, rollout: int = 1, recipe: str | None = None) -> None:
        self.output = output
        self.rollout = rollout
        self.recipe = recipe
        self.extra: dict[str, Any] = {}
        self.stopping = False
        self._since = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        signal.signal(signal.SIGTERM, self._stop)
        self._since = time.monotonic()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.rollout == 0 and _anywhere(self.stopping, args):
            self.stopping = True
            control.should_save = control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
        if "loss" not in logs or not state.is_world_process_zero:
            return  # the summary at the end of training has no loss
        now = time.monotonic()
        line = {"step": state.global_step, "of": state.max_steps, "seconds": round(now - self._since, 3)}
        self._since = now
        line |= {_short(name): _finite(value) for name, value in logs.items()} | self.extra
        with (self.output / "metrics.jsonl").open("ab") as file:
            file.write(dump_json(line) + b"\n")

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if torch.distributed.is_initialized():
            torch.distributed.barrier()  # every process has written its part
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if self.recipe is not None:
            shutil.copy(self.recipe, folder / "recipe.yaml")
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            (folder / COMPLETE).touch()
        finally:
            os.close(descriptor)


def _anywhere(told: bool, args: Any) -> bool:
    """Whether any of the processes was told to stop: they save together or not at all."""
    if not torch.distributed.is_initialized():
        return told
    flag = torch.tensor(int(told), device=args.device)
    torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
    return bool(flag.item())


def stopped(trainer: Any) -> bool:
    """Whether the trainer ended because it was told to, before its last step."""
    recorder = next(c for c in trainer.callback_handler.callbacks if isinstance(c, Recorder))
    return recorder.stopping and trainer.state.global_step < trainer.state.max_steps


def _short(name: str) -> str:
    """`rewards/math/mean` is what a reader knows as `rewards/math`."""
    return name.removesuffix("/mean") if name.startswith("rewards/") else name


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
