"""The command `r1train`: run a recipe's stages, and look at what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from r1data.cli.options import Json, Map, Task
from r1rewards.cli.models import Concurrency, KeyFrom, Timeout, Urls
from r1rewards.core.console import parse_pairs, run_app
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
    _print_run(folder)
    typer.echo(f"report: {written}")


@app.command("eval")
def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Model folders, hub ids, folders of runs or of their stages; every two are compared.",
        ),
    ],
    on: Annotated[
        list[str],
        typer.Option(
            "--on",
            metavar="FILE|NAME",
            help="Problems: a file, a benchmark by name (math-500), or NAME=FILE, a copy of it. Repeatable.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder for samples and verdicts; run again, it goes on."),
    ] = Path("evals"),
    spec: Annotated[
        Path | None, typer.Option(help="Reward spec to grade by; accuracy, format and language if not given.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option("-n", "--samples", help="Responses to each problem; the benchmark's, or 4.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Of the sampling.")] = 0.6,
    top_p: Annotated[float, typer.Option(help="Of the sampling.")] = 0.95,
    max_tokens: Annotated[int, typer.Option(help="The longest response.")] = 32768,
    seed: Annotated[int, typer.Option(help="Equal seeds ask for equal samples.")] = 0,
    limit: Annotated[int | None, typer.Option(help="At most so many problems of each benchmark.")] = None,
    map_columns: Map = None,
    task: Task = None,
    url: Urls = None,
    concurrency: Concurrency = 64,
    timeout: Timeout = 1800,
    key_from: KeyFrom = "OPENAI_API_KEY",
    as_json: Json = False,
) -> None:
    """Evaluate models by R1's protocol: pass@1, pass@k, majority vote, intervals, and a paired test."""
    import json

    from r1rewards.llm.model_source import ModelSource
    from r1train.benchmark import load_benchmark
    from r1train.evaluate import Protocol, evaluate_models
    from r1train.report.evaluations import tables, to_json

    columns = parse_pairs(map_columns or [], "--map")
    benchmarks = [load_benchmark(text, limit=limit, columns=columns, task=task) for text in on]
    results = evaluate_models(
        models,
        benchmarks,
        out,
        Protocol(samples, temperature, top_p, max_tokens, seed, spec),
        None if url is None else ModelSource(None, tuple(url), concurrency, timeout, key_from),
    )
    if as_json:
        typer.echo(json.dumps(to_json(results), ensure_ascii=False))
    else:
        for title, rows in tables(results):
            _print_table(title, rows)
        typer.echo(f"samples and verdicts: {out}")


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
    _print_run(run)
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


@app.command()
def view(
    run: Annotated[Path, typer.Argument(help="Folder of a run, finished or not, or of `r1train eval`.")],
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 lets the system choose.")] = 8765,
) -> None:
    """Browse a run's rollouts and what its curation dropped, in a browser."""
    from r1train.view import view as serve

    serve(run, host=host, port=port, ready=lambda address: typer.echo(f"{run} on {address}; Ctrl-C ends"))


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


def _print_run(folder: Path) -> None:
    from r1train.report import table

    _print_table(f"{folder.name}: held-out problems, 95 % intervals", table(folder))


def _print_table(title: str, rows: list[dict[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    shown = Table(*rows[0])
    for row in rows:
        shown.add_row(*map(Text, row.values()))
    console = Console()
    if not console.is_terminal:  # a log has no width to fit into
        console = Console(width=200)
    console.print(Text(title), soft_wrap=True)
    console.print(shown)


def main() -> None:
    run_app(app, "r1train")
