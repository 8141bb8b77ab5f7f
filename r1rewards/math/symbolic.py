"""The slow tier: algebra in worker processes, for the few cases that the fast tiers leave undecided."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache

from r1rewards.core.errors import GraderError
from r1rewards.core.workers import KilledError, Workers
from r1rewards.math.decide import Decision, gold_of
from r1rewards.math.normalize import clean

#: Wall-clock seconds and MiB of one comparison; at the deadline its process is killed and replaced.
DEADLINE_S = 3.0
MEMORY_MB = 1024


@lru_cache(maxsize=1)
def _workers() -> Workers:
    return Workers(
        "r1rewards.math.symbolic_worker:same",
        size=os.cpu_count() or 1,
        deadline_s=DEADLINE_S,
        memory_mb=MEMORY_MB,
    )


def close() -> None:
    """End the worker processes; a later decision starts new ones."""
    _workers().close()


def decide_slowly(pairs: Sequence[tuple[str, str]]) -> list[Decision | GraderError]:
    """The decision on every undecided (gold, answer), in order; uses all cores.

    A comparison that had to be killed is undecided. Any other failure (the libraries do not load) is
    the GraderError itself.
    """
    outcomes = _workers().map([(gold_of(gold).text, clean(answer)) for gold, answer in pairs])
    return [_decision(outcome) for outcome in outcomes]


def _decision(outcome: bool | GraderError | None) -> Decision | GraderError:
    if isinstance(outcome, KilledError):
        return Decision("undecided", f"no algebraic proof: {outcome}", "symbolic")
    if isinstance(outcome, GraderError):
        return outcome
    if outcome is None:
        return Decision("undecided", "algebra shows neither equality nor a difference", "symbolic")
    return Decision("right" if outcome else "wrong", "by algebra", "symbolic")
