"""The command `r1train`: run a recipe's stages, and look at what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r1rewards.core.console import run_app
from r1rewards.core.errors import UserError

if TYPE_CHECKING:
    from r1train.recipe import Recipe

app = typer.Typer(
    help="Train a model to reason the way DeepSeek-R1 was made to: four stages, as recipes, resumable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Change a value: seed=3, 2-reasoning-rl.optim.learning_rate=1e-5. Repeatable."
    ),
]


@app.callback()
def commands() -> None:
    """Commands are verbs; each has its own --help."""


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="Folder of the recipe, such as recipes/smollm2-135m.")],
    changes: Changes = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder; runs/NAME if not given.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would run and stop.")] = False,
) -> None:
    """Run the stages of a recipe. Run it again after a kill: it goes on where it stopped."""
    from r1train.recipe_file import dump_recipe, load_recipe

    loaded = load_recipe(recipe, changes or [])
    folder = out or Path("runs") / loaded.name
    if dry_run:
        from r1train.forecast import forecast
        from r1train.work import finished

        typer.echo(dump_recipe(loaded), nl=False)
        expected = forecast(loaded, finished(loaded, folder))
        if expected is not None:
            typer.echo(expected, err=True)
        return
    _check(loaded)
    from r1train.pipeline import run_recipe

    written = run_recipe(loaded, folder)
    _print_table(folder)
    typer.echo(f"report: {written}")


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, finished or not.")],
    markdown: Annotated[
        Path | None,
        typer.Option(help="Also write a Markdown document here, and its pictures into a folder beside it."),
    ] = None,
    notes: Annotated[
        Path | None,
        typer.Option(help="Notebook that the document quotes; recipes/NAME/NOTES.md where it is there."),
    ] = None,
) -> None:
    """Write the run's report.html again and print its table."""
    from r1train.report import write_markdown, write_report

    if notes and not markdown:
        raise UserError("--notes says what the Markdown document quotes; give --markdown FILE as well")
    if not (run / "state.json").is_file():
        raise UserError(f"{run} is not the folder of a run: it has no state.json")
    document = write_markdown(run, markdown, notes) if markdown else None
    written = write_report(run)
    _print_table(run)
    typer.echo(f"report: {written}")
    if document:
        typer.echo(f"document: {document}")


def _check(recipe: Recipe) -> None:
    """What can be known before anything starts: backend, model and memory are there."""
    from importlib.util import find_spec

    from r1rewards.llm.engine import check_memory
    from r1train.backends import get_backend
    from r1train.models import resolve_model

    get_backend(recipe.backend)
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise UserError(f"{package} is not installed; pip install 'r1kit[train]'")
    if all(stage.kind != "pretrain" for stage in recipe.stages.values()):
        check_memory(resolve_model(recipe.model), recipe.engine.memory_gb)


def _print_table(folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from r1train.report import table

    rows = table(folder)
    if not rows:
        return
    shown = Table(*rows[0], title=f"{folder.name}: held-out problems, 95 % intervals")
    for row in rows:
        shown.add_row(*row.values())
    console = Console()
    if not console.is_terminal:  # a log has no width to fit into
        console = Console(width=200)
    console.print(shown)


def main() -> None:
    run_app(app, "r1train")
