"""What becomes of curated rows: `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from r1data.cli.options import Json, Rows, say

app = typer.Typer()


@app.command()
def export(
    path: Rows,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .jsonl or .parquet file.")],
    form: Annotated[
        str, typer.Option("--as", help="messages, prompt-completion, prompt, sharegpt or verl.")
    ] = "messages",
    as_json: Json = False,
) -> None:
    """Write curated rows in the form that a trainer reads."""
    from r1data.export import export as run

    say({"rows": run(path, output, form=form)}, as_json)
