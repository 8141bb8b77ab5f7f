"""Arguments that several commands share, and how they say what they did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from r1rewards.core.console import parse_pairs, print_table

Rows = Annotated[Path, typer.Argument(help="JSON lines, CSV or Parquet, plain or compressed.")]
Out = Annotated[Path, typer.Option("--output", "-o", help="The folder for kept rows and ledger.")]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="OURS=THEIRS",
        help="Read our column from theirs: prompt=problem,reference=meta.gold.",
    ),
]
Problems = Annotated[
    Path | None, typer.Option(help="Problems that the responses belong to, joined by problem_id.")
]
Task = Annotated[str | None, typer.Option(help="The task of rows that do not say.")]
Domain = Annotated[str | None, typer.Option(help="The domain of rows that do not say.")]
Language = Annotated[str | None, typer.Option(help="The language of rows that do not say, such as en or zh.")]
Seed = Annotated[int, typer.Option(help="Of the hash that orders the rows.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def reading(
    map_columns: list[str] | None, task: str | None, domain: str | None = None, language: str | None = None
) -> dict[str, dict[str, str]]:
    given = {"task": task, "domain": domain, "language": language}
    return {
        "columns": parse_pairs(map_columns or [], "--map"),
        "defaults": {name: value for name, value in given.items() if value is not None},
    }


def joined(path: Path, problems: Path | None, read: dict[str, dict[str, str]]) -> tuple[Any, dict[str, Any]]:
    """The rows of a step and how they are read; where problems stand apart, each response with its own."""
    from r1data.flat import flatten
    from r1rewards.core.store import read_rows

    if problems is None:
        return path, read
    responses = read_rows(path, columns=read["columns"])
    return flatten(read_rows(problems), responses, str(path)), {"defaults": read["defaults"]}


def say(counts: Mapping[str, Any], as_json: bool) -> None:
    typer.echo(
        json.dumps(counts) if as_json else ", ".join(f"{value:,} {name}" for name, value in counts.items())
    )


def say_counts(counts: Mapping[str, Any], as_json: bool) -> None:
    """What a step did: a table of fates by task and source, and of the rules that dropped rows."""
    if as_json:
        typer.echo(json.dumps(counts, ensure_ascii=False))
        return
    fates = [name for name, value in counts.items() if isinstance(value, int)]
    lines: list[list[Any]] = [["all", *(counts[name] for name in fates)]]
    for group in ("by_task", "by_source"):
        for value, line in counts[group].items():
            if value and len(counts[group]) > 1:
                lines.append([value, *(line.get(name, 0) for name in fates)])
    print_table(["rows", *fates], lines)
    if counts["rules"]:
        print_table(["dropped by", "rows"], sorted(counts["rules"].items(), key=lambda pair: -pair[1]))


class LeftOut:
    """Where rows that are none go: beside the output, so that each has a reason that can be read."""

    def __init__(self, output: Path) -> None:
        self.path = output.with_name(f"{output.name}.left-out.jsonl")
        self._lines: list[dict[str, str]] = []

    def __call__(self, where: str, reason: str) -> None:
        self._lines.append({"where": where, "reason": reason})

    def finish(self) -> dict[str, int]:
        """Write the list, or remove an old one where nothing was left out; what to say of it."""
        from r1rewards.core.store import write_rows

        if not self._lines:
            self.path.unlink(missing_ok=True)
            return {}
        return {f"left out (see {self.path})": write_rows(self.path, self._lines)}
