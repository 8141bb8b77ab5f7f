"""Look without changing anything: `why`, `show`, `stats`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import click
import typer

from r1data.cli.options import Json, Rows
from r1rewards.core.console import parse_pairs, print_table

app = typer.Typer()


@app.command()
def why(
    name: Annotated[str, typer.Argument(help="A uid, or the id of a problem.")],
    directories: Annotated[list[Path], typer.Argument(help="Folders of steps, or a folder of them.")],
    as_json: Json = False,
) -> None:
    """Tell the story of one row, from its origin through every step."""
    from r1data.why import why as ask

    chapters = ask(name, directories)
    if as_json:
        for chapter in chapters:
            typer.echo(json.dumps({"directory": str(chapter.directory), **chapter.line}, ensure_ascii=False))
        return
    first = chapters[0]
    origin = f"row {first.line['index'] + 1} of {', '.join(first.inputs)}"
    typer.echo(_printable(f"{first.line['uid']} of problem {first.line['id']}: {origin}"))
    for chapter in chapters:
        uid = "" if chapter.line["uid"] == first.line["uid"] else f"  [{chapter.line['uid']}]"
        typer.echo(_printable(f"  {chapter.line['step']:<18} {chapter.directory}: {chapter.sentence()}{uid}"))


@app.command()
def show(
    path: Rows,
    number: Annotated[
        int | None, typer.Option("-n", help="How many rows; 5, or on a terminal all of them, page by page.")
    ] = None,
    start: Annotated[int, typer.Option(help="The first row to show, from 1.")] = 1,
    where: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Only rows with this value.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show rows so that a person can read them."""
    from itertools import islice

    from r1rewards.core.store import numbered_rows

    wanted = parse_pairs(where or [], "--where")
    matching = (
        (at, row) for at, row in numbered_rows(path) if all(str(row.get(k)) == v for k, v in wanted.items())
    )
    paged = sys.stdout.isatty() and not as_json
    if number is None and not paged:
        number = 5
    chosen = islice(matching, start - 1, None if number is None else start - 1 + number)
    if paged:
        click.echo_via_pager(shown(at, row) for at, row in chosen)
        return
    for at, row in chosen:
        typer.echo(
            json.dumps(row, ensure_ascii=False, default=str) if as_json else shown(at, row), nl=as_json
        )


def shown(at: str, row: dict[str, Any]) -> str:
    lines = [typer.style(f"── {_printable(at)}", bold=True)]
    for name, value in row.items():
        if value not in (None, "", [], {}):
            lines.append(typer.style(f"{name}: ", fg="cyan") + _printable(_readable(value)))
    return "\n".join(lines) + "\n"


@app.command()
def stats(path: Rows, as_json: Json = False) -> None:
    """Count the rows of a file by source, task and domain, with the length of their responses."""
    from r1data.stats import describe

    lines = describe(path)
    if as_json:
        typer.echo(json.dumps(lines, ensure_ascii=False))
    else:
        print_table(list(lines[0]), [list(line.values()) for line in lines])


def _readable(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(turn, dict) and "content" in turn for turn in value):
        return "\n".join(f"[{turn.get('role')}] {turn['content']}" for turn in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _printable(text: str) -> str:
    """Text for a terminal: model-written text may hold control characters, which it would obey."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
