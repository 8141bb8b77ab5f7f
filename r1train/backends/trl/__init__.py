"""The trl backend: GRPO, SFT and reward models with TRL, in a process of this environment."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from r1rewards.core.errors import UserError
from r1train.backends import Launch, Result
from r1train.job import Job


class Trl:
    """Launches `r1train.backends.trl.main`; every segment of a job runs in that one process."""

    def check(self, job: Job) -> list[str]:
        found = []
        if find_spec("trl") is None:
            found.append("TRL is not installed; pip install 'r1kit[train]'")
        unknown = sorted(set(job.native) - {"args"})
        if unknown:
            found.append(
                f"backend.trl has no key {unknown[0]!r}; it knows args (passed to TRL's configuration)"
            )
        return found

    def launch(self, job: Job, path: Path, *, resume: bool) -> Launch:
        argv = [sys.executable, "-m", "r1train.backends.trl.main", str(path)]
        return Launch(
            argv + ["--resume"] * resume, {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        )

    def collect(self, job: Job) -> Result:
        model, steps = Path(job.output) / "model", Path(job.output) / "steps"
        if not (model / "config.json").is_file() or not steps.is_file():
            raise UserError(f"the trainer ended without a model in {model}; its log is beside it")
        return Result(model, int(steps.read_text()))
