"""Other people's rows as problems: which column is which, where the answer stands, what every row is."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from importlib.resources import files
from typing import Any

from r1data.sources.base import digest
from r1data.sources.shapes import SHAPES
from r1rewards.core.errors import UserError
from r1rewards.core.rows import Problem, check_problem
from r1rewards.core.settings import suggest

#: The columns of a problem; a row's other columns are left behind.
COLUMNS = ("id", "task", "domain", "prompt", "reference", "language", "meta", "thinking")


@dataclass(frozen=True, slots=True)
class Preset:
    """A data set as `presets.yaml` describes it."""

    hub: str = ""
    config: str | None = None
    split: str = "train"
    only: Mapping[str, Any] = field(default_factory=dict)
    map: Mapping[str, str] = field(default_factory=dict)
    extract: str | None = None
    shape: str | None = None
    task: str | None = None
    domain: str | None = None
    language: str | None = None

    def updated(self, **given: Any) -> Preset:
        """The same with whatever was given explicitly in its place."""
        changed = replace(self, **{key: value for key, value in given.items() if value is not None})
        for column in changed.map:
            if column not in COLUMNS:
                raise UserError(f"map: a problem has no column {column!r}{suggest(column, COLUMNS)}")
        return changed

    def wants(self, row: Mapping[str, Any], where: str) -> bool:
        """Whether a row is one of those of `only`."""
        for column, value in self.only.items():
            if row.get(column) is None:
                raise UserError(f"{where}: no column {column!r}, by which this preset chooses rows")
            if isinstance(value, list):
                first, end = map(str, value)
                if not first <= str(row[column]) < end:
                    return False
            elif row[column] != value:
                return False
        return True

    def problem(self, row: Mapping[str, Any], where: str, identity: str, source: str) -> Problem:
        """One row as a problem; `where` begins the sentence if it is none."""
        defaults = {"id": identity, "task": self.task, "domain": self.domain, "language": self.language}
        if self.shape:
            row = SHAPES[self.shape](row, where)
        known = {key: row[key] for key in COLUMNS if row.get(key) is not None}
        problem = {**defaults, **known, "source": source}
        if self.extract and isinstance(problem.get("reference"), str):
            problem["reference"] = _extracted(problem["reference"], self.extract, where)
        return check_problem(problem, where)


@cache
def presets() -> dict[str, Preset]:
    """The data sets that are known by a short name."""
    import yaml

    table = yaml.safe_load((files("r1data.sources") / "presets.yaml").read_text("utf-8"))
    known = {entry.name for entry in fields(Preset)}
    return {name: Preset(**{k: v for k, v in entry.items() if k in known}) for name, entry in table.items()}


def get_preset(name: str) -> Preset:
    """The preset of that name."""
    if name not in presets():
        raise UserError(f"there is no preset {name!r}{suggest(name, presets())}")
    return presets()[name]


def read_problems(
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    to_problem: Callable[[int, str, Mapping[str, Any]], Problem],
    skip_bad: bool,
) -> Iterator[Problem]:
    """Rows with their places as problems; a row that is none stops it, or with `skip_bad` is counted."""
    total, bad, first = 0, 0, ""
    for index, (where, row) in enumerate(rows):
        total += 1
        try:
            yield to_problem(index, where, row)
        except UserError as error:
            if not skip_bad:
                raise UserError(f"{error} (or leave such rows out with skip_bad: true)") from None
            bad, first = bad + 1, first or str(error)
    if bad:
        logging.getLogger(__name__).warning("%d of %d rows left out; the first: %s", bad, total, first)


def sample(problems: Iterable[Problem], count: int, seed: int) -> Iterator[Problem]:
    """At most `count` of the problems, in their order: the ones whose ids hash lowest under this seed."""
    chosen = heapq.nsmallest(
        count, enumerate(problems), key=lambda pair: (digest(seed, pair[1]["id"], size=8), pair[0])
    )
    return (problem for _, problem in sorted(chosen, key=lambda pair: pair[0]))


def _extracted(text: str, extract: str, where: str) -> str:
    if extract == "boxed":
        from r1rewards.math.extract import boxed

        found = boxed(text)
        answer = found.text if found else ""
    else:
        answer = text.rpartition(extract)[2] if extract in text else ""
    if not answer.strip():
        raise UserError(
            f"{where}: no answer after {extract!r} in the reference; set extract to what is there"
        )
    return answer.strip()
