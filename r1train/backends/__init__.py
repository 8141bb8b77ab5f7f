"""What a trainer backend is: three answers about a job, given without importing the trainer.

A backend of your own is a class named in the entry-point group `r1train.backends`:

    class Mine:
        def check(self, job): return []     # what it cannot honour, a sentence each
        def launch(self, job, path, resume): return Launch(["my-trainer", str(path)])
        def collect(self, job): return Result(checkpoint=Path(job.output) / "model", steps=100)

`r1train.backends.runner.run` starts the launch, follows its metrics and reports a failure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Protocol

from r1rewards.core.errors import UserError
from r1train.job import Job


@dataclass(frozen=True, slots=True)
class Launch:
    """A command and what it adds to the environment."""

    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished job left: the final model and the optimiser steps it took."""

    checkpoint: Path
    steps: int


class Backend(Protocol):
    def check(self, job: Job) -> list[str]:
        """Why this job cannot be honoured, a sentence each; empty when it can."""
        ...

    def launch(self, job: Job, path: Path, *, resume: bool) -> Launch:
        """How to start the job written at `path`, from its last checkpoint when `resume`."""
        ...

    def collect(self, job: Job) -> Result:
        """What the finished job left; UserError when it is not there."""
        ...


def get_backend(name: str) -> Backend:
    """The backend of that name."""
    known = {entry.name: entry for entry in metadata.entry_points(group="r1train.backends")}
    if name not in known:
        raise UserError(f"there is no backend {name!r}; installed ones are {', '.join(sorted(known))}")
    backend: Backend = known[name].load()()
    return backend
