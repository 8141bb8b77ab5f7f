"""Where a job of verl keeps its parts, and the command of each part.

OUTPUT/data/segment-N.parquet           what verl reads
OUTPUT/checkpoints/segment-N/           verl's own; its steps are rollouts, counted over all segments
OUTPUT/references/segment-N/            the policy at the end of a segment, if a later one's reference
OUTPUT/verl/segment-N.jsonl, dumps/     verl's own metrics and rollouts
OUTPUT/model/                           the policy at the end of the last one
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from r1train.backends import Launch
from r1train.backends.verl import overrides
from r1train.job import Job

TRACKER = "latest_checkpointed_iteration.txt"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders and commands of one job."""

    job: Job

    @property
    def output(self) -> Path:
        return Path(self.job.output)

    @property
    def model(self) -> Path:
        return self.output / "model"

    def data(self, number: int) -> Path:
        return self.output / "data" / f"{self.part(number)}.parquet"

    def checkpoints(self, number: int) -> Path:
        return self.output / "checkpoints" / self.part(number)

    def part(self, number: int) -> str:
        return f"segment-{number}" if self.job.kind == "rl" else "train"

    # segments, in steps of verl

    def steps(self, number: int) -> int:
        """verl's steps are rollouts."""
        return self.job.segments[number].steps // int(self.job.rollout["minibatches"])

    def end(self, number: int) -> int:
        """The step at which a segment ends, counted from the beginning of the job."""
        return list(accumulate(self.steps(n) for n in range(number + 1)))[-1]

    def wanted(self, number: int) -> bool:
        """Whether the policy at the end of this segment is the reference of the next."""
        return number + 1 < len(self.job.segments) and self.job.segments[number + 1].refresh_reference

    def start_model(self, number: int) -> str:
        """The model that a segment's launch starts from, which is its reference."""
        fresh = [n for n in range(1, number + 1) if self.job.segments[n].refresh_reference]
        return str(self.reference(fresh[-1] - 1)) if fresh else self.job.model

    def reference(self, number: int) -> Path:
        return self.output / "references" / self.part(number)

    def last_step(self, number: int) -> int | None:
        """The step of the newest checkpoint of a segment, as verl's tracker has it."""
        tracker = self.checkpoints(number) / TRACKER
        return int(tracker.read_text()) if tracker.exists() else None

    # commands

    def prepare(self, path: Path) -> Launch:
        argv = [sys.executable, "-m", "r1train.backends.verl.prepare", str(path)]
        return Launch(argv, name="prepare")

    def seed(self, path: Path, number: int) -> Launch:
        """Put the checkpoint of the segment before where verl looks for this one's."""
        argv = [sys.executable, "-m", "r1train.backends.verl.prepare", str(path), "--after", str(number - 1)]
        return Launch(argv, name=f"continue-{number}")

    def train(self, number: int) -> Launch:
        job, part = self.job, self.part(number)
        module = "verl.trainer.main_ppo" if job.kind == "rl" else "verl.trainer.sft_trainer_ray"
        settings = overrides.rl(self, number) if job.kind == "rl" else overrides.sft(self)
        log = self.output / "verl" / f"{part}.jsonl"
        env = {"VERL_FILE_LOGGER_PATH": str(log), "TOKENIZERS_PARALLELISM": "false"}
        if "tensorboard" in job.trackers:
            env["TENSORBOARD_DIR"] = str(self.output / "tensorboard")
        if "wandb" in job.trackers:
            env["WANDB_DIR"] = str(self.output)
        argv = [self._python, "-m", module, *overrides.arguments(settings)]
        return Launch(argv, env, name=part, metrics=log)

    def merge(self, number: int) -> Launch:
        """verl's sharded checkpoint as a Hugging Face folder."""
        job = self.job
        rl, last = job.kind == "rl", number + 1 >= len(job.segments)
        step = self.end(number) if rl else self.sft_steps or "LAST"
        sharded = self.checkpoints(number) / f"global_step_{step}" / ("actor" if rl else "")
        backend = "megatron" if job.native.get("engine") == "megatron" else "fsdp"
        argv = [self._python, "-m", "verl.model_merger", "merge", "--backend", backend]
        argv += ["--local_dir", str(sharded)]
        argv += ["--target_dir", str(self.model if last else self.reference(number))]
        return Launch(argv, name=f"merge-{number}" if rl else "merge")

    @property
    def sft_steps(self) -> int | None:
        """Optimiser steps of an SFT job, once its rows are there; verl drops what fills no whole batch."""
        data = Path(str(self.job.data))
        if not data.exists():
            return None
        with data.open("rb") as file:
            rows = sum(1 for _ in file)
        return rows // int(self.job.optim["batch_size"]) * int(self.job.optim["epochs"])

    @property
    def _python(self) -> str:
        return str(self.job.native.get("python", "python"))
