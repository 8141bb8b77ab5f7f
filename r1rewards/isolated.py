"""A reward under a deadline: in processes of its own, which are killed when a row takes too long.

A spec asks for it with `deadline_s`, for a reward that may hang: Python cannot end a thread, so nothing less
than a process will do. What is killed is an error, never a 0. The built-in rewards that run foreign text
(math, code, puzzle) have deadlines of their own.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from r1rewards.core.errors import GraderError
from r1rewards.core.formats import dump_json, load_json
from r1rewards.core.processes import cores
from r1rewards.core.reward import Reward, Sample, Scope
from r1rewards.core.template import Trace
from r1rewards.core.verdict import Verdict
from r1rewards.core.workers import Workers


class Isolated(Reward):
    """A reward of class `kind`, made with `options` in each of its processes.

    deadline_s  wall seconds for one row
    """

    copies = False  # it has a process for each core already

    def __init__(
        self, kind: type[Reward], options: Mapping[str, Any], scope: Scope | None, deadline_s: float
    ) -> None:
        self.scope = scope or kind.scope
        made = [f"{kind.__module__}:{kind.__qualname__}", dict(options), self.scope]
        self._made = dump_json(made).decode()
        self._workers = Workers(
            "r1rewards.isolated:check", size=cores(), deadline_s=deadline_s, memory_mb=8192
        )

    def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
        calls = [(self._made, sys.path, asdict(sample)) for sample in samples]
        return [
            Verdict.error(str(said), "grader") if isinstance(said, GraderError) else Verdict.from_dict(said)
            for said in self._workers.map(calls)
        ]

    def close(self) -> None:
        self._workers.close()


def check(made: str, paths: list[str], row: dict[str, Any]) -> dict[str, Any]:
    """One sample's verdict, as JSON; runs in a worker process."""
    sys.path += [path for path in paths if path not in sys.path]
    trace = row.pop("trace")
    sample = Sample(trace=Trace(**trace | {"faults": tuple(trace["faults"])}), **row)
    return _reward(made).check_many([sample])[0].to_dict()


@lru_cache(maxsize=1)
def _reward(made: str) -> Reward:
    place, options, scope = load_json(made)
    module, _, name = place.partition(":")
    reward: Reward = getattr(importlib.import_module(module), name)(**options)
    reward.scope = scope
    return reward
