"""What `r1train eval` asks: the problems of a benchmark by name, or of a file.

math-500              a name of benchmarks.yaml, from the Hugging Face hub
math-500=copy.jsonl   the same from a copy on this machine
problems.parquet      problems of one's own
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from r1data.sources import load_source
from r1rewards.core.errors import UserError
from r1rewards.core.rows import Problem
from r1rewards.core.settings import suggest

#: Responses to each problem of a file.
SAMPLES = 4


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Problems under a name.

    samples  responses to each that are wanted where nobody says
    judged   no rule can grade them: it takes a judge
    """

    name: str
    problems: list[Problem]
    samples: int
    judged: bool = False


@cache
def known() -> dict[str, dict[str, Any]]:
    """The benchmarks that have a name."""
    import yaml

    table: dict[str, dict[str, Any]] = yaml.safe_load((files("r1train") / "benchmarks.yaml").read_text())
    return table


def load_benchmark(
    text: str,
    *,
    limit: int | None = None,
    columns: Mapping[str, str] | None = None,
    task: str | None = None,
) -> Benchmark:
    """The benchmark that `--on` names.

    limit          at most so many problems, chosen by a hash and so always the same
    columns, task  of a file: our column -> its name, and the task of rows that do not say; a copy of a
                   benchmark may have other columns too

    Raises UserError where there is no such file or name, or the file has no problems.
    """
    name, equals, copy = text.partition("=")
    settings = known().get(name, {})
    count = sys.maxsize if limit is None else limit
    if equals and not settings:
        raise UserError(f"--on {text}: there is no benchmark {name!r}{suggest(name, known())}")
    if equals:
        problems = load_source("files", count=count, seed=0, path=copy, preset=name, map=columns or None)
    elif settings:
        options = {"split": settings["split"]} if "split" in settings else {}
        problems = load_source("hub", count=count, seed=0, name=name, **options)
    elif Path(text).is_file():
        name = Path(text).name.split(".")[0]
        problems = load_source("files", count=count, seed=0, path=text, map=columns, task=task)
    else:
        raise UserError(f"--on {text}: neither a file nor the name of a benchmark{suggest(text, known())}")
    if not problems:
        raise UserError(f"--on {text}: there are no problems in it")
    return Benchmark(name, problems, settings.get("samples", SAMPLES), settings.get("judged", False))
