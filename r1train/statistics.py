"""The statistics of an evaluation: bootstrap over problems, pass@k and majority voting.

The unit is the problem. The samples of one problem are not independent of each other, so a problem enters
with one number, the mean over its samples, and resampling draws whole problems.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Answer = TypeVar("Answer")
Floats = npt.NDArray[np.float64]

LEVEL = 0.95
#: Indices drawn at a time: bounds the memory of a bootstrap over many problems to some 30 MB.
BLOCK = 4_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over problems with the bounds of its 95 % bootstrap interval, in the unit of the values."""

    mean: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean difference over the same problems, its 95 % interval, and its two-sided p value."""

    difference: float
    low: float
    high: float
    p: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def bootstrap_mean(values_by_problem: Sequence[float], *, seed: int = 0, resamples: int = 2000) -> Interval:
    """The mean over problems with its 95 % percentile bootstrap interval (Efron 1979).

    Problems with equal values give an interval without width: the bootstrap knows nothing of problems it
    has not seen.
    """
    values = _finite(values_by_problem)
    low, high = _bounds(_resampled_means(values, seed, resamples))
    return Interval(float(values.mean()), low, high)


def paired_bootstrap(
    a: Sequence[float], b: Sequence[float], *, seed: int = 0, resamples: int = 2000
) -> Difference:
    """The mean of b - a, where a[i] and b[i] belong to the same problem.

    p is twice the smaller share of resampled differences on either side of 0, both counted with one added
    (Davison and Hinkley 1997, section 4.2), so it is never 0 and falls below 0.05 where the interval
    excludes 0.
    """
    if len(a) != len(b):
        raise ValueError(f"a paired test needs the same problems twice, not {len(a)} and {len(b)}")
    differences = _finite(b) - _finite(a)
    # Thirds and the like do not add up to exactly 0; without the rounding a tie would count for one side.
    means = np.round(_resampled_means(differences, seed, resamples), 12)
    tail = min(int((means <= 0).sum()), int((means >= 0).sum()))
    low, high = _bounds(means)
    return Difference(float(differences.mean()), low, high, min(1.0, 2 * (tail + 1) / (resamples + 1)))


def pass_at_k(n: int, c: int, k: int) -> float:
    """The unbiased chance that one of k samples is right, c of n being right (Chen et al. 2021, eq. 1)."""
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"pass@k needs 0 <= c <= n and 1 <= k <= n, not n={n}, c={c}, k={k}")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def majority(answers: Sequence[Answer | None], equal: Callable[[Answer, Answer], bool]) -> int | None:
    """The index of the first answer of the largest group of equal answers: the vote of cons@k.

    None is a sample without an answer and does not vote; with no votes at all the result is None. A tie
    goes to the group that began first. Answers are compared with the first of each group, so that an
    equality that is not transitive still gives one result.
    """
    groups: list[tuple[int, Answer]] = []
    votes: list[int] = []
    for index, answer in enumerate(answers):
        if answer is None:
            continue
        for group, (_, first) in enumerate(groups):
            if first == answer or equal(first, answer):
                votes[group] += 1
                break
        else:
            groups.append((index, answer))
            votes.append(1)
    return groups[votes.index(max(votes))][0] if votes else None


def _finite(values: Sequence[float]) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError("a bootstrap needs at least one problem, and a finite number for each")
    return array


def _resampled_means(values: Floats, seed: int, resamples: int) -> Floats:
    rng = np.random.default_rng(seed)
    rows = max(1, BLOCK // values.size)
    blocks = [
        values[rng.integers(values.size, size=(min(rows, resamples - done), values.size))].mean(axis=1)
        for done in range(0, resamples, rows)
    ]
    return np.concatenate(blocks)


def _bounds(means: Floats) -> tuple[float, float]:
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
