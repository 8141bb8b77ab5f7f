"""How far a grader agrees with people: accuracy, kappa, calibration, and what it owes to length and place.

Pairs and labels are measured alike: each item has an outcome, 1 or 0 (is the answer shown first the chosen
one? is the response good?), and a grader gives the probability of 1. Pairs are turned around by a hash, so
that the outcome says nothing by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_BINS = 10
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that people judged.

    group   what items about the same prompt share; intervals and folds are over groups
    outcome 1 or 0
    first   the answer that is shown first, or the only one
    second  the other one; None where there is a single response
    """

    group: str
    outcome: int
    first: str
    second: str | None = None

    @property
    def longer(self) -> int:
        """1 where the first answer is the longer one, -1 where the second is, 0 where neither."""
        other = len(self.second or "")
        return (len(self.first) > other) - (len(self.first) < other)


def measure(items: Sequence[Item], said: Sequence[float | None]) -> dict[str, Any]:
    """The figures of one grader.

    said  the probability of outcome 1 for each item; None where the grader failed

    accuracy      share of right decisions; a probability of exactly 0.5 decides nothing and counts half
    low, high     of its 95 % interval, by bootstrap over groups
    kappa         agreement beyond chance (Cohen 1960); an undecided item agrees with nothing
    calibration   expected calibration error over ten bins of probability
    brier         mean squared distance of probability and outcome
    """
    known = [i for i, p in enumerate(said) if p is not None]
    figures: dict[str, Any] = {"graded": len(known), "errors": len(said) - len(known)}
    if not known:
        return figures
    p = np.array([said[i] for i in known], dtype=np.float64)
    y = np.array([items[i].outcome for i in known], dtype=np.float64)
    right = np.where(p == 0.5, 0.5, (p > 0.5) == (y > 0.5))
    low, high = _interval(right, [items[i].group for i in known])
    return figures | {
        "accuracy": float(right.mean()),
        "low": low,
        "high": high,
        "kappa": _kappa(p, y),
        "calibration": _calibration(p, y),
        "brier": float(((p - y) ** 2).mean()),
        **_length(items, known, p, y, right),
    }


def _length(
    items: Sequence[Item], known: Sequence[int], p: Floats, y: Floats, right: Floats
) -> dict[str, float | None]:
    """What length has to do with it.

    Of pairs: how often the longer answer is called the better one, and how often it is; accuracy where it is
    and where it is not. Of labels: the rank correlations of probability and of outcome with length.
    """
    if items[known[0]].second is None:
        size = np.array([len(items[i].first) for i in known], dtype=np.float64)
        return {"length_correlation": _spearman(p, size), "length_correlation_of_labels": _spearman(y, size)}
    longer = np.array([items[i].longer for i in known])
    differ, chosen = longer != 0, (longer > 0) == (y > 0.5)
    says = np.where(p == 0.5, 0.5, (p > 0.5) == (longer > 0))
    return {
        "picks_longer": _mean(says[differ]),
        "labels_pick_longer": _mean(chosen[differ]),
        "accuracy_where_longer_is_chosen": _mean(right[differ & chosen]),
        "accuracy_where_shorter_is_chosen": _mean(right[differ & ~chosen]),
    }


def place_bias(calls: Sequence[Sequence[tuple[bool, float]]]) -> dict[str, float | None]:
    """What the place of an answer has to do with it.

    calls  for each pair, (whether the second answer was shown first, the value for the pair as it is)

    first_place   how often the answer in the first place is preferred; 0.5 where place says nothing
    same_in_both  of pairs seen in both orders, the share in which both orders prefer the same answer
    """
    placed = [value * (-1 if turned else 1) for one in calls for turned, value in one]
    same: list[bool] = []
    for one in calls:
        sums = [sum(value for turned, value in one if turned is order) for order in (False, True)]
        if {turned for turned, _ in one} == {False, True}:
            same.append((sums[0] > 0) - (sums[0] < 0) == (sums[1] > 0) - (sums[1] < 0))
    preferred = np.array([0.5 if value == 0 else value > 0 for value in placed], dtype=np.float64)
    return {"first_place": _mean(preferred), "same_in_both": _mean(np.array(same, dtype=np.float64))}


def _interval(right: Floats, groups: Sequence[str]) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the mean, drawing whole groups (Efron 1979)."""
    _, numbers = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(numbers, weights=right), np.bincount(numbers).astype(np.float64)
    rng = np.random.default_rng(0)
    means = np.empty(_RESAMPLES)
    for i in range(_RESAMPLES):
        drawn = rng.integers(len(sums), size=len(sums))
        means[i] = sums[drawn].sum() / sizes[drawn].sum()
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _kappa(p: Floats, y: Floats) -> float:
    one, zero = p > 0.5, p < 0.5
    agreed = float((one & (y > 0.5) | zero & (y < 0.5)).mean())
    chance = float(one.mean() * y.mean() + zero.mean() * (1 - y.mean()))
    return 0.0 if chance == 1 else (agreed - chance) / (1 - chance)


def _calibration(p: Floats, y: Floats) -> float:
    bins = np.minimum((p * _BINS).astype(int), _BINS - 1)
    gaps = [abs(p[bins == b].sum() - y[bins == b].sum()) for b in range(_BINS)]
    return float(sum(gaps) / len(p))


def _spearman(a: Floats, b: Floats) -> float | None:
    ranks = [_ranks(one) for one in (a, b)]
    if any(one.std() == 0 for one in ranks):
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: Floats) -> Floats:
    """Ranks, equal values sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    return np.asarray((ends - (counts - 1) / 2)[inverse], dtype=np.float64)


def _mean(values: npt.NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None
