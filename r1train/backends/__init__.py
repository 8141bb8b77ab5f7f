"""What a trainer backend is: answers about a job, given without importing the trainer.

A backend of your own is a class named in the entry-point group `r1train.backends`:

    class Mine(Backend):
        def check(self, job): return [] if job.kind == "sft" else [f"mine trains no {job.kind}"]
        def launch(self, job, path, *, resume): return [Launch(["my-trainer", str(path)])]
        def collect(self, job): return Result(checkpoint=Path(job.output) / "model", steps=100)

`r1train.backends.runner.run` starts the launches, follows their metrics and reports a failure.
docs/backends.md has one that is complete.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from r1rewards.core.errors import UserError
from r1train.job import Job

Metrics = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Launch:
    """A command and what it adds to the environment.

    name     what it is called among the launches of its job; one that has ended well is not started again
    metrics  a file of JSON lines that the trainer writes in its own form, for `Backend.metrics` to translate;
             a trainer that writes the job's `metrics.jsonl` itself has none
    """

    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    name: str = "train"
    metrics: Path | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished job left: the final model and the optimiser steps it took."""

    checkpoint: Path
    steps: int


class Backend(ABC):
    """One trainer. None of these may import it: a recipe is planned where nothing is installed.

    needs_engine  whether rollouts come from the run's own engine, whose address is in $R1KIT_ENGINE
    """

    needs_engine = False

    def check(self, job: Job) -> list[str]:
        """What the job asks for and this backend cannot honour, a sentence each; it never drops a setting."""
        return []

    def missing(self, job: Job) -> list[str]:
        """What must be installed, or be there, before the job can start; a sentence each."""
        return []

    @abstractmethod
    def launch(self, job: Job, path: Path, *, resume: bool) -> Sequence[Launch]:
        """The commands of the job written at `path`, in order; they go on from checkpoints when `resume`."""

    @abstractmethod
    def collect(self, job: Job) -> Result:
        """What the finished job left; UserError when it is not there."""

    def metrics(self, job: Job, line: Metrics) -> Metrics | None:
        """A line of `Launch.metrics` as one of `metrics.jsonl`: {"step", "of", ...}; None leaves it out."""
        return line


def backends() -> dict[str, metadata.EntryPoint]:
    """What is installed, by name."""
    return {entry.name: entry for entry in metadata.entry_points(group="r1train.backends")}


def get_backend(name: str) -> Backend:
    """The backend of that name."""
    known = backends()
    if name not in known:
        raise UserError(f"there is no backend {name!r}; installed ones are {', '.join(sorted(known))}")
    backend: Backend = known[name].load()()
    return backend
