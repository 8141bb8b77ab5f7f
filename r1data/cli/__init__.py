"""The command `r1data`: get rows and decide which stay. What is heavy is imported by the command using it."""

from __future__ import annotations

import typer

from r1data.cli import look, review, rows_in, rows_out, steps
from r1rewards.core.console import run_app

app = typer.Typer(
    help="Make and curate data for reasoning models: every row has a fate, and `why` tells it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _group in (rows_in, steps, review, rows_out, look):
    app.add_typer(_group.app)


def main() -> None:
    """Entry point of the console script."""
    run_app(app, "r1data")
