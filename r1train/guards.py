"""What is watched while a policy trains: signs that its steps teach nothing, or that it is breaking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

#: Steps whose mean length later ones are compared with.
FIRST_STEPS = 5


@dataclass(frozen=True, slots=True)
class Alarm:
    """One sign, as a sentence.

    stops   whether the recipe wants the run to end
    broken  whether the weights cannot be trusted any more: then no checkpoint is made of them
    """

    step: int
    text: str
    stops: bool = False
    broken: bool = False


class Watch:
    """Reads lines of `metrics.jsonl` as they come, by the recipe's `guards`; without any it says nothing."""

    def __init__(self, guards: Mapping[str, Any]) -> None:
        self._guards = guards
        self._lengths: dict[int, float] = {}

    def __call__(self, line: Mapping[str, Any]) -> list[Alarm]:
        found = [(text, False) for text in (self._variance(line), self._length(line), self._kl(line)) if text]
        found += [(text, True) for text in [self._nan(line)] if text]
        stops = self._guards.get("then") == "stop"
        return [Alarm(line["step"], text, stops=stops, broken=broken) for text, broken in found]

    def _variance(self, line: Mapping[str, Any]) -> str | None:
        limit, share = self._guards.get("zero_variance"), line.get("frac_reward_zero_std")
        if limit is None or share is None or share < limit:
            return None
        return (
            f"in {share:.0%} of the groups all responses score the same (guards.zero_variance {limit:.0%}): "
            "choose prompts that are neither too easy nor too hard, with select"
        )

    def _length(self, line: Mapping[str, Any]) -> str | None:
        limit, length = self._guards.get("length"), line.get("completions/mean_length")
        if limit is None or length is None:
            return None
        if line["step"] in self._lengths or len(self._lengths) < FIRST_STEPS:
            self._lengths[line["step"]] = length
            return None
        before = fmean(self._lengths.values())
        if length < limit * before:
            return None
        return f"responses have {length:.0f} tokens, and had {before:.0f} at first (guards.length {limit:g})"

    def _kl(self, line: Mapping[str, Any]) -> str | None:
        limit, kl = self._guards.get("kl"), line.get("kl")
        if limit is None or kl is None or kl < limit:
            return None
        return (
            f"the policy is {kl:.3g} nats from its reference (guards.kl {limit:g}): "
            "lower optim.learning_rate or raise optim.beta"
        )

    def _nan(self, line: Mapping[str, Any]) -> str | None:
        """A figure that is no number is written as null."""
        if not self._guards.get("nan"):
            return None
        bad = [name for name in ("loss", "grad_norm") if name in line and line[name] is None]
        return f"{' and '.join(bad)} is not a number (NaN): lower optim.learning_rate" if bad else None
