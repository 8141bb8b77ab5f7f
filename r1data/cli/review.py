"""`r1data review`: by file, or one row after the other in the terminal."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import click
import typer

from r1data.cli.look import shown
from r1data.cli.options import Json, Rows, Seed, say, say_counts
from r1rewards.core.errors import UserError

app = typer.Typer()


@app.command()
def review(
    path: Rows,
    hand_out: Annotated[
        Path | None, typer.Option(help="Write rows to this .jsonl file, for people to fill in decisions.")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="A file of decisions to apply; without -o, where the terminal's go.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder for kept rows and ledger.")
    ] = None,
    count: Annotated[int | None, typer.Option("-n", "--count", help="Hand out so many, by hash.")] = None,
    reviewer: Annotated[str, typer.Option(help="Who decides; the user unless given.")] = "",
    unreviewed: Annotated[str, typer.Option(help="keep or drop rows that nobody decided on.")] = "keep",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Accept, reject or edit rows: --hand-out FILE, then --decisions FILE -o FOLDER.

    With --decisions FILE alone, rows are shown here one after the other and each decision is written to FILE.
    """
    from r1data import review as by

    who = reviewer or getpass.getuser()
    if hand_out is not None:
        say({"rows to review": by.hand_out(path, hand_out, count=count, seed=seed)}, as_json)
    elif decisions is not None and output is not None:
        counts = by.take_in(path, decisions, output, reviewer=who, unreviewed=unreviewed)  # type: ignore[arg-type]
        say_counts(counts, as_json)
    elif decisions is not None:
        say({"rows decided": by.ask(path, decisions, _asked, reviewer=who)}, as_json)
    else:
        raise UserError("say --hand-out FILE, or --decisions FILE, with -o FOLDER to apply them")


def _asked(row: Mapping[str, Any], number: int, total: int) -> dict[str, Any] | None:
    """One row and what the person says of it; None to stop."""
    wanted = ("id", "prompt", "reference", "text")
    typer.echo(shown(f"{number} of {total}", {name: row.get(name) for name in wanted}), nl=False)
    while True:
        key = typer.prompt("accept, reject, edit or quit (a/r/e/q)", default="a").strip().lower()[:1]
        if key == "q":
            return None
        if key == "a":
            return {"decision": "accept", "reason": ""}
        if key == "r":
            return {"decision": "reject", "reason": typer.prompt("why", default="")}
        if key == "e":
            text = click.edit(str(row.get("text") or ""))
            if text is not None and text.strip():
                return {
                    "decision": "edit",
                    "reason": typer.prompt("why", default=""),
                    "text": text.rstrip("\n"),
                }
