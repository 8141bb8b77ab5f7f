"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="OURS=THEIRS",
        help="Read our column from theirs: prompt=problem,reference=meta.gold.",
    ),
]
Task = Annotated[str | None, typer.Option(help="The task of every row, where the file has no column `task`.")]
Problems = Annotated[
    Path | None, typer.Option(help="Problems that the responses belong to, joined by problem_id.")
]
Variables = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="What $NAME in the spec stands for.")
]
