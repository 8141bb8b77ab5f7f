"""A training job: everything a backend needs to train one model, as data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from r1rewards.core.store import replacing

Kind = Literal["pretrain", "sft", "rl", "pairs", "labels"]


@dataclass(frozen=True, slots=True)
class JobSegment:
    """A stretch of RL: `steps` optimiser steps on `prompts` (a file), graded by `rewards` (a spec file)."""

    steps: int
    prompts: str
    rewards: str
    max_tokens: int
    refresh_reference: bool


@dataclass(frozen=True, slots=True)
class Job:
    """One training run.

    kind         "pretrain", "sft": `data` holds tokenised rows; "pairs", "labels": rows of a reward model;
                 "rl": the prompts stand in `segments`
    model        the folder to start from
    output       where checkpoints, `metrics.jsonl`, `rollouts/` and the final `model/` go
    optim        the recipe's `optim`; `rollout` the recipe's `rollout`, `guards` its `guards`
    nodes, gpus  machines, and GPUs of each
    trackers     where metrics go beside `metrics.jsonl`
    recipe       the resolved recipe, which is kept with every checkpoint
    variables    what `$name` means in the reward specs: folders of reward models
    native       settings of this backend alone, passed to its trainer as they are
    """

    stage: str
    kind: Kind
    model: str
    output: str
    seed: int
    template: str
    save_steps: int
    optim: dict[str, Any]
    data: str | None = None
    rollout: dict[str, Any] = field(default_factory=dict)
    segments: tuple[JobSegment, ...] = ()
    guards: dict[str, Any] = field(default_factory=dict)
    nodes: int = 1
    gpus: int = 1
    trackers: tuple[str, ...] = ()
    recipe: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    native: dict[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Optimiser steps of an RL job; other kinds count theirs from their data."""
        return sum(segment.steps for segment in self.segments)

    def write(self, path: Path) -> None:
        with replacing(path) as part:
            part.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False))

    @classmethod
    def read(cls, path: Path) -> Job:
        data = json.loads(path.read_text())
        data["segments"] = tuple(JobSegment(**segment) for segment in data["segments"])
        data["trackers"] = tuple(data["trackers"])
        return cls(**data)
