"""Where rows come from: `problems`, `import`, `sample`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from r1data.cli.options import Domain, Json, Language, LeftOut, Map, Rows, Task, reading, say
from r1rewards.cli.models import Concurrency, KeyFrom, ModelName, Timeout, Urls, progress
from r1rewards.core.console import parse_pairs, track
from r1rewards.core.errors import UserError

if TYPE_CHECKING:
    from r1rewards.core.rows import Problem

app = typer.Typer()


@app.command()
def problems(
    source: Annotated[str, typer.Argument(help="A source, such as arithmetic, reasoning-gym, files or hub.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file for the problems.")],
    count: Annotated[int, typer.Option("-n", "--count", help="How many, or how many at most.")] = 1000,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal problems.")] = 0,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An option of the source, as YAML."),
    ] = None,
    map_columns: Map = None,
    check: Annotated[
        bool,
        typer.Option(
            help="Leave out problems whose answer cannot be graded, listed in OUTPUT.left-out.jsonl."
        ),
    ] = True,
    as_json: Json = False,
) -> None:
    """Make or read problems: from a generator, a file, or a data set on the Hub."""
    import yaml

    from r1data import golds
    from r1data.sources import load_source
    from r1rewards.core.store import write_rows

    chosen: dict[str, Any] = {}
    for pair in options or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"--set {pair}: write it as name=value")
        chosen[name.strip()] = yaml.safe_load(value)
    if map_columns:
        chosen["map"] = parse_pairs(map_columns, "--map")
    found: Iterable[Problem] = load_source(source, count=count, seed=seed, **chosen)
    left_out = LeftOut(output)
    if check:
        found = golds.split(track(found, "checking answers", quiet=as_json), left_out)
    say({"problems": write_rows(output, found), **left_out.finish()}, as_json)


@app.command("import")
def import_rows(
    path: Rows,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file for the rows.")],
    kind: Annotated[
        str, typer.Option("--as", help="traces, chats (several turns kept), pairs or labels.")
    ] = "traces",
    map_columns: Map = None,
    task: Task = None,
    domain: Domain = None,
    language: Language = None,
    template: Annotated[
        str, typer.Option(help="The layout that responses are brought into.")
    ] = "think-answer",
    good: Annotated[
        list[str] | None, typer.Option(metavar="VALUE", help="A label that means 1; all others then mean 0.")
    ] = None,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Leave out rows that are none, listed in OUTPUT.left-out.jsonl."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Read rows that others made: traces, chats, preference pairs or labelled responses."""
    from r1data.imports import Import
    from r1rewards.core.store import write_rows
    from r1rewards.core.template import get_template

    read = reading(map_columns, task, domain, language)
    how = Import(kind, read["columns"], read["defaults"], get_template(template), good or ())
    left_out = LeftOut(output)
    rows = how.rows(path, left_out if skip_bad else None)
    count = write_rows(output, track(rows, f"importing {path.name}", quiet=as_json))
    say({"rows": count, **left_out.finish()}, as_json)


@app.command()
def sample(
    problems: Rows,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .jsonl file; run again, it goes on.")],
    model: ModelName = None,
    url: Urls = None,
    samples: Annotated[int, typer.Option("-n", "--samples", help="Responses to each problem.")] = 16,
    template: Annotated[str, typer.Option(help="The layout that the prompt asks for.")] = "think-answer",
    temperature: Annotated[float, typer.Option(help="Of the sampling.")] = 1.0,
    top_p: Annotated[float, typer.Option(help="Of the sampling.")] = 1.0,
    max_tokens: Annotated[int, typer.Option(help="The longest response.")] = 4096,
    seed: Annotated[int, typer.Option(help="Equal seeds ask for equal samples.")] = 0,
    concurrency: Concurrency = 64,
    timeout: Timeout = 1800,
    key_from: KeyFrom = "OPENAI_API_KEY",
    as_json: Json = False,
) -> None:
    """Sample many responses to each problem, written down as they land."""
    from r1data.sample import Plan, collect
    from r1rewards.core.rows import check_problem
    from r1rewards.core.store import numbered_rows
    from r1rewards.core.template import get_template
    from r1rewards.llm.model_source import ModelSource

    wanted = [check_problem(row, where) for where, row in numbered_rows(problems)]
    layout = get_template(template)
    source = ModelSource(model, tuple(url or ()), concurrency, timeout, key_from, 2 * max_tokens)
    tokens = 0
    with (
        source.open(log=output.with_suffix(".engine.log"), template=layout) as (name, opened),
        progress(f"sampling {name}", quiet=as_json) as shown,
    ):

        def landed(done: int, total: int, more: int) -> None:
            nonlocal tokens
            tokens += more
            shown(done, total, more)

        plan = Plan(name, layout, samples, temperature, top_p, max_tokens, seed)
        count = collect(wanted, opened, output, plan, landed)
    say({"responses": count, "new tokens": tokens}, as_json)
