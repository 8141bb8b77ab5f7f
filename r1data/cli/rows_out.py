"""What becomes of curated rows: `export` and `card`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from r1data.cli.options import Json, Rows, say
from r1rewards.core.console import print_table

app = typer.Typer()


@app.command()
def export(
    path: Rows,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .jsonl or .parquet file.")],
    form: Annotated[
        str, typer.Option("--as", help="messages, prompt-completion, prompt, sharegpt or verl.")
    ] = "messages",
    template: Annotated[
        str | None,
        typer.Option(help="Ask for this layout in every prompt: think-answer, think-summary, ..."),
    ] = None,
    push: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Upload the file to this data set of the hub.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="With --push: the README, as `r1data card` writes it.")
    ] = None,
    private: Annotated[bool, typer.Option(help="With --push: a new data set is private.")] = True,
    as_json: Json = False,
) -> None:
    """Write curated rows in the form that a trainer reads, and with --push also to the hub."""
    from r1data.export import export as run
    from r1data.export import push as upload
    from r1rewards.core.template import get_template

    count = run(path, output, form=form, template=get_template(template) if template else None)
    where = {f"rows at {upload(output, push, card=card, private=private)}": count} if push else {}
    say({"rows": count, **where}, as_json)


@app.command("card")
def write_card(
    directories: Annotated[list[Path], typer.Argument(help="Folders of steps, or a folder of them.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Such as README.md; without it only the account.")
    ] = None,
    title: Annotated[str, typer.Option(help="The name of the data set.")] = "Reasoning traces",
    license: Annotated[str | None, typer.Option(help="The licence, as the hub calls it.")] = None,
) -> None:
    """Write a dataset card from the ledgers, and print the account: what went in, what became of it."""
    from r1data.card import account, card, steps_of
    from r1rewards.core.store import replacing

    steps = steps_of(directories)
    if output is not None:
        with replacing(output) as part:
            part.write_text(card(directories, title=title, license=license), encoding="utf-8")
    lines = [[one.name, one.counts["in"], one.counts["dropped"], one.counts["kept"]] for one in steps]
    print_table(["step", "in", "dropped", "kept"], lines)
    typer.echo(account(steps))
