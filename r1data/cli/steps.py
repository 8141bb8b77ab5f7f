"""Which rows stay: every command here writes a folder with the kept rows and a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from r1data.cli.options import (
    Domain,
    Json,
    Language,
    Map,
    Out,
    Problems,
    Rows,
    Seed,
    Task,
    joined,
    reading,
    say_counts,
)
from r1rewards.cli.models import Concurrency, KeyFrom, MaxLength, ModelName, Timeout, Urls, progress
from r1rewards.core.console import bar, print_table
from r1rewards.core.errors import UserError

app = typer.Typer()
select_app = typer.Typer(help="Choose among samples, or among problems by pass rate.", no_args_is_help=True)
app.add_typer(select_app, name="select")


@app.command()
def curate(
    path: Rows,
    output: Out,
    rules: Annotated[
        str, typer.Option(help="cold-start, rejection, general, or a YAML file.")
    ] = "cold-start",
    spec: Annotated[Path | None, typer.Option(help="A reward spec in place of the rule set's own.")] = None,
    problems: Problems = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that measure; one for each core unless given.")
    ] = None,
    map_columns: Map = None,
    task: Task = None,
    domain: Domain = None,
    language: Language = None,
    as_json: Json = False,
) -> None:
    """Grade and measure every row once, then keep those that no rule drops."""
    from r1data.curate import curate as run

    rows, read = joined(path, problems, reading(map_columns, task, domain, language))
    with bar("measuring", quiet=as_json) as shown:
        counts = run(rows, rules, output, spec=spec, workers=workers, progress=shown, **read)
    say_counts(counts, as_json)


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

    read = reading(map_columns, task)
    with bar("hashing", quiet=as_json) as shown:
        counts = run(path, output, by=by, near=near, threshold=threshold, progress=shown, **read)  # type: ignore[arg-type]
    say_counts(counts, as_json)


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
    paraphrases: Annotated[
        float | None,
        typer.Option(help="Also drop questions so near to an item's in an embedding, such as 0.8."),
    ] = None,
    embedder: Annotated[
        Path | None,
        typer.Option(help="With --paraphrases: a sentence-transformers model instead of all-MiniLM-L6-v2."),
    ] = None,
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
    read = reading(map_columns, task)
    with bar("comparing", quiet=as_json) as shown:
        counts = run(
            path,
            output,
            against=guarded,
            n=n,
            coverage=share,
            paraphrases=paraphrases,
            embedder=embedder,
            progress=shown,
            **read,
        )
    say_counts(counts, as_json)


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

    say_counts(run(path, output, k=k, similarity=similarity, seed=seed, problems=problems), as_json)


@select_app.command("problems")
def select_problems(
    path: Rows,
    output: Out,
    scored: Annotated[
        list[Path],
        typer.Option(help="Scored responses, or the folder signals of curate; may be given several times."),
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
    say_counts(run(path, output, rates=rates, lowest=lowest, highest=highest), as_json)


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
    say_counts(counts, as_json)
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
    say_counts(run(path, output, heldout=wanted, seed=seed, **reading(map_columns, task)), as_json)


@app.command()
def pairs(
    path: Rows,
    output: Out,
    problems: Problems = None,
    model: ModelName = None,
    url: Urls = None,
    template: Annotated[str, typer.Option(help="The layout of the responses.")] = "think-answer",
    calls: Annotated[int, typer.Option(help="How often the judge is asked about a pair.")] = 4,
    margin: Annotated[float, typer.Option(help="A pair stays when its mean scores differ by more.")] = 1.0,
    per_problem: Annotated[int, typer.Option(help="Pairs of each problem, at most.")] = 1,
    match_lengths: Annotated[bool, typer.Option(help="As many chosen answers longer as shorter.")] = True,
    seed: Seed = 0,
    concurrency: Concurrency = 64,
    timeout: Timeout = 1800,
    key_from: KeyFrom = "OPENAI_API_KEY",
    max_length: MaxLength = 8192,
    map_columns: Map = None,
    task: Task = None,
    as_json: Json = False,
) -> None:
    """Preference pairs for a reward model: a judge compares responses, in random order."""
    from r1data.pairs import preference_pairs as run
    from r1rewards.core.template import get_template
    from r1rewards.llm.model_source import ModelSource

    source = ModelSource(model, tuple(url or ()), concurrency, timeout, key_from, max_length)
    layout = get_template(template)
    rows, read = joined(path, problems, reading(map_columns, task))
    with (
        source.open(log=output.with_suffix(".engine.log")) as (name, opened),
        progress(f"judging with {name}", quiet=as_json) as landed,
    ):
        counts = run(
            rows,
            output,
            model=opened,
            name=name,
            template=layout,
            calls=calls,
            margin=margin,
            per_problem=per_problem,
            match_lengths=match_lengths,
            seed=seed,
            landed=landed,
            **read,
        )
    say_counts(counts, as_json)


@app.command()
def refine(
    path: Rows,
    output: Out,
    model: ModelName = None,
    url: Urls = None,
    template: Annotated[str, typer.Option(help="The layout of the responses.")] = "think-answer",
    prompts: Annotated[
        Path | None, typer.Option(help="A folder with your thinking.txt, summary.txt and general.txt.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(help="The longest reply.")] = 8192,
    concurrency: Concurrency = 64,
    timeout: Timeout = 1800,
    key_from: KeyFrom = "OPENAI_API_KEY",
    map_columns: Map = None,
    task: Task = None,
    as_json: Json = False,
) -> None:
    """Rewrite traces so that people can read them, and check that they are still right."""
    from dataclasses import replace

    from r1data.refine import SAMPLING
    from r1data.refine import refine as run
    from r1data.writer import PROMPTS
    from r1rewards.core.template import get_template
    from r1rewards.llm.model_source import ModelSource

    source = ModelSource(model, tuple(url or ()), concurrency, timeout, key_from, 3 * max_tokens)
    layout = get_template(template)
    with (
        source.open(log=output.with_suffix(".engine.log")) as (name, opened),
        progress(f"rewriting with {name}", quiet=as_json) as landed,
    ):
        counts = run(
            path,
            output,
            model=opened,
            name=name,
            template=layout,
            prompts=prompts or PROMPTS,
            sampling=replace(SAMPLING, max_tokens=max_tokens),
            landed=landed,
            **reading(map_columns, task),  # type: ignore[arg-type]
        )
    say_counts(counts, as_json)


@app.command()
def tests(
    path: Rows,
    output: Out,
    submissions: Annotated[
        Path | None, typer.Option(help="Graded solutions: rows with id, program and correct (1 or 0).")
    ] = None,
    model: ModelName = None,
    url: Urls = None,
    generators: Annotated[int, typer.Option(help="Programs that the model writes for each problem.")] = 2,
    each: Annotated[int, typer.Option(help="Inputs that each of them makes.")] = 10,
    mutations: Annotated[int, typer.Option(help="Inputs made by changing others, for each problem.")] = 10,
    agree: Annotated[int, typer.Option(help="Right solutions that a problem needs for new tests.")] = 2,
    count: Annotated[
        int,
        typer.Option("-n", "--count", help="Tests of each problem; more where more tell solutions apart."),
    ] = 20,
    prompts: Annotated[Path | None, typer.Option(help="A folder with your tests.txt.")] = None,
    max_tokens: Annotated[int, typer.Option(help="The longest reply.")] = 8192,
    seed: Annotated[int, typer.Option(help="Of the changed inputs.")] = 0,
    isolation: Annotated[
        str, typer.Option(help="auto, A, B, unsafe, or the address of a SandboxFusion server.")
    ] = "auto",
    concurrency: Concurrency = 64,
    timeout: Timeout = 1800,
    key_from: KeyFrom = "OPENAI_API_KEY",
    map_columns: Map = None,
    map_submissions: Annotated[
        list[str] | None, typer.Option(metavar="OURS=THEIRS", help="As --map, for the submissions.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make tests for code problems; right solutions check them, and those that expose wrong ones stay."""
    from contextlib import ExitStack
    from dataclasses import replace

    from r1data.code_tests import SAMPLING, make_tests
    from r1data.examine import Settings
    from r1data.writer import PROMPTS
    from r1rewards.core.console import parse_pairs
    from r1rewards.llm.model_source import ModelSource

    with ExitStack() as stack:
        given: dict[str, Any] = reading(map_columns, "code")
        if model is not None or url:
            source = ModelSource(model, tuple(url or ()), concurrency, timeout, key_from, 2 * max_tokens)
            name, opened = stack.enter_context(source.open(log=output.with_suffix(".engine.log")))
            landed = stack.enter_context(progress(f"generators by {name}", quiet=as_json))
            given |= {"model": opened, "name": name, "landed": landed}
        counts = make_tests(
            path,
            output,
            submissions=submissions,
            columns_of_submissions=parse_pairs(map_submissions or [], "--map-submissions"),
            generators=generators,
            settings=Settings(each, mutations, seed, isolation),
            agree=agree,
            count=count,
            prompts=prompts or PROMPTS,
            sampling=replace(SAMPLING, max_tokens=max_tokens),
            progress=stack.enter_context(bar("running", quiet=as_json)),
            **given,
        )
    say_counts(counts, as_json)
    if not as_json:
        print_table(["candidates", "inputs"], sorted(counts["candidates"].items()))
        print_table(["wrong solutions", "programs"], list(counts["wrong_solutions"].items()))
