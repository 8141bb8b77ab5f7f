"""Which questions a policy is asked, in order: the same on every backend."""

from __future__ import annotations

import random
from typing import Any

from r1rewards.core.store import read_rows
from r1train.job import Job


def questions(job: Job, number: int) -> list[dict[str, Any]]:
    """The rows of a segment's rollouts in order: it goes through its prompts in shuffled epochs."""
    segment = job.segments[number]
    prompts = list(read_rows(segment.prompts))
    need = segment.steps // job.rollout["minibatches"] * job.rollout["questions"]
    generator = random.Random(f"{job.seed}/{number}")
    order: list[dict[str, Any]] = []
    while len(order) < need:
        epoch = list(prompts)
        generator.shuffle(epoch)
        order += epoch
    return order[:need]
