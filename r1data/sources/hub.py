"""Problems from the Hugging Face hub, through `datasets.load_dataset`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from r1data.sources.base import problem_id
from r1data.sources.columns import Preset, presets, read_problems, sample
from r1rewards.core.errors import UserError
from r1rewards.core.rows import Problem


def hub(
    *,
    count: int,
    seed: int,
    name: str,
    config: str | None = None,
    split: str | None = None,
    map: Mapping[str, str] | None = None,
    extract: str | None = None,
    task: str | None = None,
    domain: str | None = None,
    language: str | None = None,
    skip_bad: bool = False,
) -> Iterator[Problem]:
    """At most `count` rows of a hub data set, chosen and mapped as `files` does.

    name    a preset (`presets.yaml`), a data set's name on the hub, or a local folder of data files.
    config  "*" for all that the data set has, one after the other.
    """
    known = presets().get(name, Preset(hub=name))
    columns = known.updated(
        config=config, split=split, map=map, extract=extract, task=task, domain=domain, language=language
    )
    options = {"config": columns.config, "split": columns.split, "map": dict(columns.map)}

    def to_problem(index: int, where: str, row: Mapping[str, Any]) -> Problem:
        return columns.problem(row, where, problem_id(name, 0, index, options), columns.hub)

    wanted = ((where, row) for where, row in _rows(columns, name) if columns.wants(row, where))
    return sample(read_problems(wanted, to_problem, skip_bad), count, seed)


def _rows(columns: Preset, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with its place before it, its columns renamed."""
    for number, row in enumerate(_load(columns, name), 1):
        where = f"{columns.hub}, {columns.split}, row {number}"
        for ours, theirs in columns.map.items():
            if theirs not in row:
                have = ", ".join(sorted(row))
                raise UserError(f"{where}: no column {theirs!r} for {ours} (it has {have}); correct the map")
        yield where, {**row, **{ours: row[theirs] for ours, theirs in columns.map.items()}}


def _load(columns: Preset, name: str) -> Iterator[dict[str, Any]]:
    """The rows; what keeps them from being read becomes one sentence that names the way without a hub."""
    import datasets

    try:
        every = columns.config == "*"
        configs = datasets.get_dataset_config_names(columns.hub) if every else [columns.config]
        parts = [datasets.load_dataset(columns.hub, config, split=columns.split) for config in configs]
    except (OSError, ValueError, RuntimeError) as error:  # not there, offline, no such split, a script: these
        reason = " ".join(str(error).split())[:200]
        preset = f", preset: {name}" if name in presets() else ""
        raise UserError(
            f"the data set {columns.hub!r} cannot be loaded ({reason}); download it where there is a network "
            f"and read the copy with source: files, path: FILE{preset}"
        ) from error
    return chain.from_iterable(parts)
