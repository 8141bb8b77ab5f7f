"""The command `r1data`: get rows and decide which stay. What is heavy is imported by the command using it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from r1rewards.core.console import parse_pairs, print_table, run_app
from r1rewards.core.errors import UserError

app = typer.Typer(
    help="Make and curate data for reasoning models: every row has a fate, and `why` tells it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
select_app = typer.Typer(help="Choose among samples, or among problems by pass rate.", no_args_is_help=True)
app.add_typer(select_app, name="select")

Rows = Annotated[Path, typer.Argument(help="JSON lines, CSV or Parquet, plain or compressed.")]
Out = Annotated[Path, typer.Option("--output", "-o", help="The folder for kept rows and ledger.")]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="OURS=THEIRS", help="Read our column from theirs: prompt=problem,text=output."
    ),
]
Task = Annotated[str | None, typer.Option(help="The task of rows that do not say.")]
Domain = Annotated[str | None, typer.Option(help="The domain of rows that do not say.")]
Language = Annotated[str | None, typer.Option(help="The language of rows that do not say, such as en or zh.")]
Seed = Annotated[int, typer.Option(help="Of the hash that orders the rows.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def main() -> None:
    """Entry point of the console script."""
    run_app(app, "r1data")


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
    as_json: Json = False,
) -> None:
    """Make or read problems: from a generator, a file, or a data set on the Hub."""
    import yaml

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
    found = load_source(source, count=count, seed=seed, **chosen)
    _say({"problems": write_rows(output, found)}, as_json)


@app.command("import")
def import_rows(
    path: Rows,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file for the rows.")],
    kind: Annotated[
        str, typer.Option("--as", help="What the rows are: traces (problem and response).")
    ] = "traces",
    map_columns: Map = None,
    task: Task = None,
    domain: Domain = None,
    language: Language = None,
    as_json: Json = False,
) -> None:
    """Read existing traces into r1data's rows."""
    from r1data.ledger import rows_of
    from r1rewards.core.store import write_rows

    if kind != "traces":
        raise UserError(f"--as {kind}: only traces can be imported so far")
    reading = _reading(map_columns, task, domain, language)
    _say({"rows": write_rows(output, rows_of([path], **reading))}, as_json)


@app.command()
def sample(
    problems: Rows,
    model: Annotated[Path, typer.Option(help="A Hugging Face model folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .jsonl file; run again, it goes on.")],
    samples: Annotated[int, typer.Option("-n", "--samples", help="Responses to each problem.")] = 16,
    template: Annotated[str, typer.Option(help="The layout that the prompt asks for.")] = "think-answer",
    temperature: Annotated[float, typer.Option()] = 1.0,
    top_p: Annotated[float, typer.Option()] = 1.0,
    max_tokens: Annotated[int, typer.Option(help="The longest response.")] = 4096,
    seed: Annotated[int, typer.Option()] = 0,
    as_json: Json = False,
) -> None:
    """Sample many responses to each problem, written down as they land."""
    from r1data.sample import sample as run
    from r1rewards.core.rows import check_problem
    from r1rewards.core.store import numbered_rows
    from r1rewards.core.template import get_template
    from r1rewards.llm.engine import Engine

    wanted = [check_problem(row, where) for where, row in numbered_rows(problems)]
    with Engine(model, log=output.with_suffix(".engine.log"), max_length=2 * max_tokens) as engine:
        responses = run(
            wanted,
            lambda: engine,
            output,
            name=str(model),
            template=get_template(template),
            samples=samples,
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
            seed=seed,
        )
    _say({"responses": len(responses), "tokens": sum(row["tokens"] for row in responses)}, as_json)


@app.command()
def curate(
    path: Rows,
    output: Out,
    rules: Annotated[
        str, typer.Option(help="cold-start, rejection, general, or a YAML file.")
    ] = "cold-start",
    spec: Annotated[Path | None, typer.Option(help="A reward spec in place of the rule set's own.")] = None,
    problems: Annotated[
        Path | None, typer.Option(help="Problems that the responses belong to, joined by problem_id.")
    ] = None,
    map_columns: Map = None,
    task: Task = None,
    domain: Domain = None,
    language: Language = None,
    as_json: Json = False,
) -> None:
    """Grade and measure every row once, then keep those that no rule drops."""
    from r1data.curate import curate as run
    from r1data.flat import flatten
    from r1rewards.core.store import read_rows

    reading = _reading(map_columns, task, domain, language)
    if problems is None:
        counts = run(path, rules, output, spec=spec, **reading)
    else:
        responses = read_rows(path, columns=reading["columns"])
        joined = flatten(read_rows(problems), responses, str(path))
        counts = run(joined, rules, output, spec=spec, defaults=reading["defaults"])
    _say_counts(counts, as_json)


@app.command()
def dedup(
    path: Rows,
    output: Out,
    by: Annotated[
        str, typer.Option(help="Compare problems (before rejection sampling) or responses.")
    ] = "problem",
    near: Annotated[bool, typer.Option(help="Drop near-duplicates too.")] = True,
    threshold: Annotated[float, typer.Option(help="Similarity from which two rows are nearly equal.")] = 0.7,
    map_columns: Map = None,
    task: Task = None,
    as_json: Json = False,
) -> None:
    """Keep the best of every group of equal or nearly equal rows."""
    from r1data.dedup import dedup as run

    reading = _reading(map_columns, task)
    _say_counts(run(path, output, by=by, near=near, threshold=threshold, **reading), as_json)  # type: ignore[arg-type]


@app.command()
def decontaminate(
    path: Rows,
    output: Out,
    benchmarks: Annotated[Path | None, typer.Option(help="A YAML list of the benchmarks to guard.")] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE[:question=COLUMN,...]", help="One more benchmark; may be given several times."
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Words in a run that counts as a hit.")] = 10,
    coverage: Annotated[float, typer.Option(help="Share of item or prompt at which a row is dropped.")] = 0.5,
    any_hit: Annotated[bool, typer.Option(help="Drop at any hit, as DeepSeek-R1 did.")] = False,
    map_columns: Map = None,
    task: Task = None,
    as_json: Json = False,
) -> None:
    """Drop rows that overlap with benchmark items, and say with which text."""
    from r1data.decontaminate import decontaminate as run
    from r1data.decontaminate import parse_benchmark, read_benchmarks

    guarded = read_benchmarks(benchmarks) if benchmarks else []
    guarded += [parse_benchmark(text) for text in against or []]
    share = 0.0 if any_hit else coverage
    _say_counts(
        run(path, output, against=guarded, n=n, coverage=share, **_reading(map_columns, task)), as_json
    )


@select_app.command("responses")
def select_responses(
    path: Rows,
    output: Out,
    k: Annotated[int, typer.Option("-k", help="Responses to keep of each problem, at most.")] = 4,
    similarity: Annotated[float, typer.Option(help="More similar responses count as repetitions.")] = 0.9,
    problems: Annotated[
        Path | None,
        typer.Option(help="All problems sampled: those with too few responses go to resample.parquet."),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Rejection sampling: of each problem at most k different responses."""
    from r1data.select import select_responses as run

    _say_counts(run(path, output, k=k, similarity=similarity, seed=seed, problems=problems), as_json)


@select_app.command("problems")
def select_problems(
    path: Rows,
    output: Out,
    scored: Annotated[
        list[Path],
        typer.Option(help="Scored responses, or signals.parquet of curate; may be given several times."),
    ],
    lowest: Annotated[float, typer.Option(help="The lowest pass rate that stays.")] = 0.1,
    highest: Annotated[float, typer.Option(help="The highest pass rate that stays.")] = 0.9,
    as_json: Json = False,
) -> None:
    """Prompts for reinforcement learning: problems that are neither always nor never solved."""
    from r1data.select import histogram, pass_rates
    from r1data.select import select_problems as run

    rates = pass_rates(scored)
    if not as_json:
        print_table(["pass rate", "problems"], histogram(rates))
    _say_counts(run(path, output, rates=rates, lowest=lowest, highest=highest), as_json)


@app.command()
def mix(
    paths: Annotated[list[Path], typer.Argument(help="Files of rows; together they are the input.")],
    output: Out,
    quotas: Annotated[str, typer.Option(help="seed, paper, or a YAML file.")] = "seed",
    total: Annotated[
        str | None, typer.Option(help="Samples in all, or `fit`: as many as keep the proportions.")
    ] = None,
    strict: Annotated[bool, typer.Option(help="A shortfall is an error.")] = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Choose rows by quota; shortfalls are told, no row is taken twice."""
    from r1data.mix import mix as run

    if total is not None and total != "fit" and not total.isdecimal():
        raise UserError(f"--total {total}: give a number or fit")
    wanted = int(total) if total is not None and total != "fit" else total
    counts = run(paths, output, quotas=quotas, total=wanted, strict=strict, seed=seed)  # type: ignore[arg-type]
    _say_counts(counts, as_json)
    if not as_json:
        print_table(
            ["share", "wanted", "had", "kept"],
            [[name, one["wanted"], one["had"], one["kept"]] for name, one in counts["shares"].items()],
        )


@app.command()
def split(
    path: Rows,
    output: Out,
    heldout: Annotated[float, typer.Option(help="Share (below 1) or number of questions per domain.")] = 0.1,
    seed: Seed = 0,
    map_columns: Map = None,
    task: Task = None,
    as_json: Json = False,
) -> None:
    """Write train.parquet and heldout.parquet, which share no question."""
    from r1data.split import split as run

    wanted = int(heldout) if heldout >= 1 else heldout
    _say_counts(run(path, output, heldout=wanted, seed=seed, **_reading(map_columns, task)), as_json)


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

    _say({"rows": run(path, output, form=form)}, as_json)


@app.command()
def why(
    name: Annotated[str, typer.Argument(help="A uid, or the id of a problem.")],
    directories: Annotated[list[Path], typer.Argument(help="Folders of steps, or a folder of them.")],
    as_json: Json = False,
) -> None:
    """Tell the story of one row, from its origin through every step."""
    from r1data.why import why as ask

    chapters = ask(name, directories)
    if as_json:
        for chapter in chapters:
            typer.echo(json.dumps({"directory": str(chapter.directory), **chapter.line}, ensure_ascii=False))
        return
    first = chapters[0]
    origin = f"row {first.line['index'] + 1} of {', '.join(first.inputs)}"
    typer.echo(_printable(f"{first.line['uid']} of problem {first.line['id']}: {origin}"))
    for chapter in chapters:
        uid = "" if chapter.line["uid"] == first.line["uid"] else f"  [{chapter.line['uid']}]"
        typer.echo(_printable(f"  {chapter.line['step']:<18} {chapter.directory}: {chapter.sentence()}{uid}"))


@app.command()
def show(
    path: Rows,
    number: Annotated[int, typer.Option("-n", help="How many rows.")] = 5,
    start: Annotated[int, typer.Option(help="The first row to show, from 1.")] = 1,
    where: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Only rows with this value.")
    ] = None,
) -> None:
    """Print rows so that a person can read them."""
    from itertools import islice

    from r1rewards.core.store import numbered_rows

    wanted = parse_pairs(where or [], "--where")
    matching = (
        (at, row) for at, row in numbered_rows(path) if all(str(row.get(k)) == v for k, v in wanted.items())
    )
    for at, row in islice(matching, start - 1, start - 1 + number):
        typer.secho(f"── {_printable(at)}", bold=True)
        for name, value in row.items():
            if value not in (None, "", [], {}):
                typer.echo(typer.style(f"{name}: ", fg="cyan") + _printable(_readable(value)))


@app.command()
def stats(path: Rows, as_json: Json = False) -> None:
    """Count the rows of a file by source, task and domain, with the length of their responses."""
    from r1data.stats import describe

    lines = describe(path)
    if as_json:
        typer.echo(json.dumps(lines, ensure_ascii=False))
    else:
        print_table(list(lines[0]), [list(line.values()) for line in lines])


def _reading(
    map_columns: list[str] | None, task: str | None, domain: str | None = None, language: str | None = None
) -> dict[str, dict[str, str]]:
    given = {"task": task, "domain": domain, "language": language}
    return {
        "columns": parse_pairs(map_columns or [], "--map"),
        "defaults": {name: value for name, value in given.items() if value is not None},
    }


def _say(counts: Mapping[str, Any], as_json: bool) -> None:
    typer.echo(
        json.dumps(counts) if as_json else ", ".join(f"{value:,} {name}" for name, value in counts.items())
    )


def _say_counts(counts: Mapping[str, Any], as_json: bool) -> None:
    """What a step did: a table of fates by task and source, and of the rules that dropped rows."""
    if as_json:
        typer.echo(json.dumps(counts, ensure_ascii=False))
        return
    fates = [name for name, value in counts.items() if isinstance(value, int)]
    lines: list[list[Any]] = [["all", *(counts[name] for name in fates)]]
    for group in ("by_task", "by_source"):
        for value, line in counts[group].items():
            if value and len(counts[group]) > 1:
                lines.append([value, *(line.get(name, 0) for name in fates)])
    print_table(["rows", *fates], lines)
    if counts["rules"]:
        print_table(["dropped by", "rows"], sorted(counts["rules"].items(), key=lambda pair: -pair[1]))


def _readable(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(turn, dict) and "content" in turn for turn in value):
        return "\n".join(f"[{turn.get('role')}] {turn['content']}" for turn in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _printable(text: str) -> str:
    """Text for a terminal: model-written text may hold control characters, which it would obey."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
