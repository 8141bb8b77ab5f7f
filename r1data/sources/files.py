"""Problems from a local file: JSON lines, CSV or Parquet, compressed or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1data.sources.base import problem_id
from r1data.sources.columns import Preset, get_preset, read_problems, sample
from r1rewards.core.rows import Problem
from r1rewards.core.store import numbered_rows


def files(
    *,
    count: int,
    seed: int,
    path: str,
    preset: str | None = None,
    map: Mapping[str, str] | None = None,
    extract: str | None = None,
    task: str | None = None,
    domain: str | None = None,
    language: str | None = None,
    skip_bad: bool = False,
) -> Iterator[Problem]:
    """At most `count` rows of a file, chosen by a hash under the seed, in the order of the file.

    preset   the columns of a known data set (`presets.yaml`); the other options come before it.
    map      our column -> theirs: {"prompt": "problem", "reference": "answer"}.
    extract  "boxed", or the marker that the answer follows, where the reference column holds a solution.
    task, domain, language   for rows that do not say.
    skip_bad  leave out rows that are no problems (a missing answer) and say how many; otherwise they stop it.
    """
    columns = (get_preset(preset) if preset else Preset()).updated(
        map=map, extract=extract, task=task, domain=domain, language=language
    )
    name = Path(path).name.split(".")[0]
    options = {"file": name, "map": dict(columns.map), "task": columns.task}

    def to_problem(index: int, where: str, row: Mapping[str, Any]) -> Problem:
        # The seed chooses rows and is no part of their ids: a row is the same in every choice.
        return columns.problem(row, where, problem_id(name, 0, index, options), name)

    numbered = numbered_rows(path, columns=columns.map or None)
    rows = ((where, row) for where, row in numbered if columns.wants(row, where))
    return sample(read_problems(rows, to_problem, skip_bad), count, seed)
