"""The command `r1train`: run a recipe's stages, and look at what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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


@app.command()
def rm(
    data: Annotated[
        Path,
        typer.Argument(help="Pairs ({prompt, chosen, rejected}, HH transcripts) or labels ({..., label})."),
    ],
    model: Annotated[
        str, typer.Option(help="The model that gets the head: a folder, hub id or smollm2-135m.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder; the model will be in train/model.")
    ],
    scope: Annotated[
        Literal["answer", "response"] | None,
        typer.Option(
            help="What it reads of a response; R1: the answer of pairs, all of a labelled response."
        ),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", "--lr", help="R1's: 6e-6.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="R1's: 1.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows in an optimiser step; R1's: 256.")] = None,
    micro_batch: Annotated[int | None, typer.Option(help="Rows in one forward pass; 8.")] = None,
    max_length: Annotated[
        int | None, typer.Option(help="Tokens; what is over is cut at the beginning. R1's: 8192.")
    ] = None,
    heldout: Annotated[float, typer.Option(help="The share of the prompts that it is measured on.")] = 0.1,
    match_lengths: Annotated[
        bool,
        typer.Option(help="Of pairs, train on as many with the longer answer chosen as with the shorter."),
    ] = True,
    template: Annotated[str, typer.Option(help="The layout of the responses.")] = "think-answer",
    good: Annotated[
        list[str] | None, typer.Option(metavar="VALUE", help="A label that means 1; all others then mean 0.")
    ] = None,
    map_columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="OURS=THEIRS", help="Read our column from theirs: response=output."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split and the order of the rows.")] = 0,
    save_steps: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 20,
) -> None:
    """Train a reward model, and measure it on prompts that it has not seen.

    Pairs are trained on pair-wise, labels (1 good, 0 bad) point-wise. The settings are DeepSeek-R1's where
    nothing else is said. After a kill the same command goes on.
    """
    from r1rewards.cli.judges import print_report
    from r1rewards.core.console import parse_pairs
    from r1rewards.core.settings import check_settings
    from r1rewards.core.template import get_template
    from r1train.models import resolve_model
    from r1train.recipe import SftOptim
    from r1train.reward_model import R1, train_reward_model

    said = {
        "learning_rate": learning_rate,
        "epochs": epochs,
        "batch_size": batch_size,
        "micro_batch": micro_batch,
        "max_length": max_length,
    }
    given = {name: value for name, value in said.items() if value is not None}
    optim = check_settings(SftOptim, R1.model_dump() | given, "r1train rm")
    report = train_reward_model(
        data,
        output,
        model=resolve_model(model),
        scope=scope,
        optim=optim,
        heldout=heldout,
        match_lengths=match_lengths,
        seed=seed,
        save_steps=save_steps,
        template=get_template(template),
        columns=parse_pairs(map_columns or [], "--map"),
        good=good or (),
        say=lambda sentence: typer.echo(sentence, err=True),
    )
    if report is not None:
        print_report(report)
    typer.echo(f"reward model: {output / 'train' / 'model'}")


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
