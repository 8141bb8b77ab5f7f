"""Rewards for the length of a response. R1 has none; they are here because other recipes use them.

Length is in tokens where the row says how many (`meta: {tokens: ...}`), else in words of the response.
"""

from __future__ import annotations

import math

from r1rewards.core.errors import UserError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.verdict import Verdict


def cosine(length: float, longest: float, *, short: float = 1.0, long: float = 0.0) -> float:
    """From `short` at length 0 along half a cosine to `long` at `longest` and beyond.

    The curve of Yeo et al., "Demystifying Long Chain-of-Thought Reasoning" (arXiv 2502.03373). There its
    ends depend on correctness; here a reward spec gates it by the accuracy reward instead.
    """
    done = min(max(length / longest, 0.0), 1.0)
    return long + 0.5 * (short - long) * (1.0 + math.cos(math.pi * done))


def soft_overlong(length: float, longest: float, buffer: float) -> float:
    """0 up to `longest - buffer`, then linearly down to -1 at `longest` and beyond.

    DAPO's soft overlong punishment (arXiv 2503.14476, equation 13).
    """
    return -min(max((length - (longest - buffer)) / buffer, 0.0), 1.0)


def length_of(sample: Sample) -> float:
    """The tokens of the response where the row says them, else its words (white space apart)."""
    tokens = sample.meta.get("tokens")
    return float(tokens) if tokens else float(len(sample.text.split()))


class CosineLength(Reward):
    """`cosine` on the length of the response."""

    def __init__(self, longest: float, short: float = 1.0, long: float = 0.0) -> None:
        _positive("longest", longest)
        self._longest, self._short, self._long = longest, short, long

    def check(self, sample: Sample) -> Verdict:
        length = length_of(sample)
        value = cosine(length, self._longest, short=self._short, long=self._long)
        return Verdict.of(value, f"length {length:g} of {self._longest:g}", "cosine", length=length)


class SoftOverlong(Reward):
    """`soft_overlong` on the length of the response."""

    def __init__(self, longest: float, buffer: float) -> None:
        _positive("longest", longest)
        _positive("buffer", buffer)
        self._longest, self._buffer = longest, buffer

    def check(self, sample: Sample) -> Verdict:
        length = length_of(sample)
        value = soft_overlong(length, self._longest, self._buffer)
        return Verdict.of(value, f"length {length:g} of {self._longest:g}", "overlong", length=length)


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise UserError(f"the option {name!r} of a length reward is {value!r}; it must be above 0")
