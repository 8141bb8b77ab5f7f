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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print every command that would train, and stop.")
    ] = False,
) -> None:
    """Run the stages of a recipe. Run it again after a kill: it goes on where it stopped."""
    from r1train.recipe_file import load_recipe

    loaded = load_recipe(recipe, changes or [], files=not dry_run)
    folder = out or Path("runs") / loaded.name
    if dry_run:
        from r1train.commands import commands
        from r1train.forecast import forecast
        from r1train.models import is_here
        from r1train.work import finished

        typer.echo(commands(loaded, folder), nl=False)
        expected = forecast(loaded, finished(loaded, folder)) if is_here(loaded) else None
        if expected is not None:
            typer.echo(expected, err=True)
        return
    _check(loaded, folder)
    from r1train.pipeline import run_recipe

    written = run_recipe(loaded, folder)
    _print_table(folder)
    typer.echo(f"report: {written}")


@app.command()
def plan(
    recipe: Annotated[Path, typer.Argument(help="Folder of the recipe, such as recipes/deepseek-r1.")],
    changes: Changes = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the whole recipe, every key with its value, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """What a recipe would do and cost, stage by stage, and what it lacks here. It works offline."""
    from r1train.plan import make_plan
    from r1train.plan.show import show, to_json
    from r1train.recipe_file import dump_recipe, load_recipe

    loaded = load_recipe(recipe, changes or [], files=False)
    if resolved:
        typer.echo(dump_recipe(loaded), nl=False)
        return
    made = make_plan(loaded)
    if as_json:
        typer.echo(to_json(made))
    else:
        show(made)


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


def _check(recipe: Recipe, folder: Path) -> None:
    """What can be known before anything starts: jobs can be honoured; trainers, model, memory are there."""
    from importlib.util import find_spec

    from r1rewards.llm.engine import check_memory
    from r1train.jobs import check_jobs
    from r1train.models import resolve_model

    for backend, job in check_jobs(recipe, folder):
        for problem in backend.missing(job):
            raise UserError(f"{job.stage}: {problem}")
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
