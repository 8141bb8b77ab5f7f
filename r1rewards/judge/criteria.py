"""A rubric: criteria with points, by which an answer without one right wording is graded.

A row carries its own as `reference` or as `meta.rubric`, a list of `{"criterion": "names the author",
"points": 2}`, with negative points for a fault, or of bare texts for one point each. A spec may give one for
all rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1rewards.core.errors import GraderError
from r1rewards.core.reward import Sample


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of a rubric: what is asked for, and what it is worth."""

    text: str
    points: float = 1.0


def rubric_of(sample: Sample, default: Sequence[Criterion] = ()) -> Sequence[Criterion]:
    """The rubric of a row, else the default. Raises GraderError where it has one that cannot be read."""
    own = sample.meta.get("rubric")
    if own is None and isinstance(sample.reference, list | Mapping):
        own = sample.reference
    return default if own is None else read_rubric(own)


def read_rubric(value: Any) -> list[Criterion]:
    """The criteria in a list, also under the key `criteria`. Raises GraderError."""
    listed = value.get("criteria") if isinstance(value, Mapping) else value
    if not isinstance(listed, list) or not listed:
        raise GraderError("a rubric is a list of criteria, each with text in `criterion` and its `points`")
    criteria = [_criterion(entry, number) for number, entry in enumerate(listed, 1)]
    if not any(criterion.points > 0 for criterion in criteria):
        raise GraderError("no criterion of the rubric has positive points: there is nothing to win")
    return criteria


def numbered(criteria: Sequence[Criterion]) -> str:
    """The criteria as the judge sees them."""
    return "\n".join(f"{n}. ({one.points:g} points) {one.text}" for n, one in enumerate(criteria, 1))


def _criterion(entry: Any, number: int) -> Criterion:
    if isinstance(entry, str) and entry.strip():
        return Criterion(entry.strip())
    text = entry.get("criterion") if isinstance(entry, Mapping) else None
    points = entry.get("points", 1) if isinstance(entry, Mapping) else None
    if not isinstance(text, str) or not text.strip():
        raise GraderError(f"criterion {number} of the rubric has no text in `criterion`")
    if isinstance(points, bool) or not isinstance(points, int | float) or not math.isfinite(points):
        raise GraderError(f"criterion {number} of the rubric: its points are {points!r}, which is no number")
    return Criterion(text.strip(), float(points))
