"""Problems from a local file: JSON lines, CSV or Parquet, compressed or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from r1data.sources.base import problem_id
from r1data.sources.columns import Preset, get_preset, sample
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
) -> Iterator[Problem]:
    """At most `count` rows of a file, chosen by a hash under the seed, in the order of the file.

    preset   the columns of a known data set (`presets.yaml`); the other options come before it.
    map      our column -> theirs: {"prompt": "problem", "reference": "answer"}.
    extract  "boxed", or the marker that the answer follows, where the reference column holds a solution.
    task, domain, language   for rows that do not say.
    """
    columns = (get_preset(preset) if preset else Preset()).updated(
        map=map, extract=extract, task=task, domain=domain, language=language
    )
    name = Path(path).name.split(".")[0]
    options = {"file": name, "map": dict(columns.map), "task": columns.task}

    def rows() -> Iterator[Problem]:
        for index, (where, row) in enumerate(numbered_rows(path, columns=columns.map or None)):
            # The seed chooses rows and is no part of their ids: a row is the same in every choice.
            yield columns.problem(row, where, problem_id(name, 0, index, options), name)

    return sample(rows(), count, seed)
