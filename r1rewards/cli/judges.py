"""`r1rewards judge` and `r1rewards judge-eval`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from r1rewards.cli.models import Concurrency, KeyFrom, MaxLength, ModelName, Timeout, Urls, progress
from r1rewards.cli.options import Json, Map, Problems, Task
from r1rewards.core.console import parse_pairs, print_table
from r1rewards.core.errors import GraderError, UserError

if TYPE_CHECKING:
    from r1rewards.judge import Asking, Criterion
    from r1rewards.judge.evaluate import Report

PromptPath = Annotated[
    Path | None, typer.Option("--prompt-file", help="A prompt of your own in place of the judge's.")
]
RubricPath = Annotated[
    Path | None,
    typer.Option("--rubric", help="Of judge rubric: a YAML list of criteria for rows that bring none."),
]
Retries = Annotated[int, typer.Option(min=0, help="How often a reply that is not in form is asked again.")]
Temperature = Annotated[float, typer.Option(min=0, help="Of the judge's sampling.")]
MaxTokens = Annotated[int, typer.Option(min=1, help="The judge's longest reply.")]
Structured = Annotated[
    bool,
    typer.Option(
        help="Hold replies to a JSON schema where the model can be; not for one that thinks unparsed."
    ),
]
Calls = Annotated[
    int, typer.Option(min=1, help="Of judge preference: how often a pair is shown, in alternating order.")
]
Template = Annotated[str, typer.Option(help="The layout of the responses.")]


def judge(
    responses: Annotated[
        Path,
        typer.Argument(help="Flat rows, or responses with --problems; for preference, pairs of responses."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the rows with their verdicts go.")],
    kind: Annotated[
        str,
        typer.Option("--judge", help="correctness, helpfulness, harmlessness, rubric or preference."),
    ] = "correctness",
    model: ModelName = None,
    url: Urls = None,
    prompt_file: PromptPath = None,
    rubric: RubricPath = None,
    template: Template = "think-answer",
    problems: Problems = None,
    map_columns: Map = None,
    task: Task = None,
    calls: Calls = 4,
    retries: Retries = 2,
    temperature: Temperature = 0.6,
    max_tokens: MaxTokens = 2048,
    structured: Structured = True,
    concurrency: Concurrency = 64,
    timeout: Timeout = 1800,
    key_from: KeyFrom = "OPENAI_API_KEY",
    max_length: MaxLength = 8192,
    as_json: Json = False,
) -> None:
    """Let a language model grade a file of responses; each row gains `verdict`.

    Every call is written to OUTPUT.calls.jsonl, and the same command after a kill asks only for the rest.
    """
    from r1rewards.core.template import get_template
    from r1rewards.judge.judge_file import judge_file
    from r1rewards.llm.model_source import ModelSource
    from r1rewards.score_file import Source

    source = Source(responses, problems, parse_pairs(map_columns or [], "--map"), task)
    served = ModelSource(model, tuple(url or ()), concurrency, timeout, key_from, max_length)
    with progress(f"judging {responses.name}", quiet=as_json) as landed:
        tally = judge_file(
            source,
            output,
            kind,
            served,
            template=get_template(template),
            rubric=_rubric(rubric),
            calls=calls,
            asking=_asking(prompt_file, temperature, max_tokens, retries, structured),
            landed=landed,
        )
    line = {"graded": tally.values, "mean": tally.mean, "abstained": tally.abstained, "errors": tally.errors}
    if as_json:
        typer.echo(json.dumps(line))
    else:
        print_table(["judge", *line], [[kind, *line.values()]])
        if tally.reasons:
            print_table(["error", "rows"], tally.reasons.most_common(5))
    if tally.errors:
        raise typer.Exit(3)


def judge_eval(
    labelled: Annotated[
        Path,
        typer.Argument(help="Pairs ({prompt, chosen, rejected}, HH transcripts) or labels ({..., label})."),
    ],
    kind: Annotated[
        str,
        typer.Option("--judge", help="correctness, helpfulness, harmlessness, rubric or preference."),
    ] = "preference",
    model: ModelName = None,
    url: Urls = None,
    reward_model: Annotated[
        Path | None, typer.Option(help="Measure the reward model in this folder in place of a judge.")
    ] = None,
    scope: Annotated[
        Literal["answer", "response"], typer.Option(help="What a reward model reads of a response.")
    ] = "response",
    asked: Annotated[
        int | None, typer.Option("--rows", "-n", min=1, help="Grade so many rows, drawn by a hash.")
    ] = None,
    match_lengths: Annotated[
        bool, typer.Option("--match-lengths", help="Of pairs, only as many with the longer answer chosen.")
    ] = False,
    also: Annotated[
        Path | None,
        typer.Option(help="Further rows that the baselines learn from: those a reward model was trained on."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A .json file for the figures; a judge's calls stand beside it."),
    ] = None,
    good: Annotated[
        list[str] | None, typer.Option(metavar="VALUE", help="A label that means 1; all others then mean 0.")
    ] = None,
    map_columns: Map = None,
    prompt_file: PromptPath = None,
    rubric: RubricPath = None,
    template: Template = "think-answer",
    calls: Calls = 2,
    retries: Retries = 2,
    temperature: Temperature = 0.6,
    max_tokens: MaxTokens = 2048,
    structured: Structured = True,
    concurrency: Concurrency = 64,
    timeout: Timeout = 1800,
    key_from: KeyFrom = "OPENAI_API_KEY",
    max_length: MaxLength = 8192,
    as_json: Json = False,
) -> None:
    """How far a judge or a reward model agrees with people, beside chance, length and the words alone.

    Baselines are trained and asked on different prompts. Intervals are over prompts.
    """
    from r1rewards.core.store import replacing
    from r1rewards.core.template import get_template
    from r1rewards.judge.evaluate import by_judge, by_reward_model, drawn, evaluate, length_matched
    from r1rewards.judge.labelled import read_labelled
    from r1rewards.llm.model_source import ModelSource
    from r1rewards.llm.recorded import Recorded

    layout, columns = get_template(template), parse_pairs(map_columns or [], "--map")
    read = read_labelled(labelled, columns=columns, good=good or ())
    rows_kind = read.kind
    rows: Sequence[Mapping[str, Any]] = read.rows
    if read.left_out:
        typer.echo(read.left_out_sentence, err=True)
    if match_lengths and rows_kind == "pairs":
        rows = length_matched(rows)
    rows, others = drawn(rows, asked)
    if also is not None:
        more = read_labelled(also, columns=columns, good=good or ())
        if more.kind != rows_kind:
            raise UserError(f"{also} holds {more.kind} and {labelled} {rows_kind}: give rows of one kind")
        others += more.rows
    if reward_model is not None:
        grader = by_reward_model(reward_model, scope=scope, max_length=max_length, template=layout)
        report = evaluate(rows_kind, rows, reward_model.name, grader, also=others)
    else:
        if kind == "preference" and rows_kind == "labels":
            raise UserError(f"{labelled} holds labels: choose a judge of single responses with --judge")
        source = ModelSource(model, tuple(url or ()), concurrency, timeout, key_from, max_length)
        base = output or Path(f"{labelled.name.split('.')[0]}.{kind}.json")
        record, log = (base.with_name(f"{base.name}.{end}") for end in ("calls.jsonl", "engine.log"))
        with (
            source.open(log=log) as (name, opened),
            progress(f"judging with {name}", quiet=as_json) as landed,
            Recorded(opened, record, name, landed) as recorded,
        ):
            asking = _asking(prompt_file, temperature, max_tokens, retries, structured)
            grader = by_judge(
                kind, recorded, calls=calls, rubric=_rubric(rubric), asking=asking, template=layout
            )
            report = evaluate(rows_kind, rows, kind, grader, also=others)
        log.unlink(missing_ok=True)
    if output is not None:
        with replacing(output) as part:
            part.write_text(json.dumps(report.to_dict(), indent=1, ensure_ascii=False))
    if as_json:
        typer.echo(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        print_report(report)


def print_report(report: Report) -> None:
    """The figures for a reader."""
    typer.echo(f"{report.rows:,} {report.kind} of {report.prompts:,} prompts")
    print_table(*report.table())
    facts = [[name.replace("_", " "), value] for name, value in report.facts.items()]
    if facts:
        print_table(["measured", "value"], facts)
    if report.reasons:
        print_table(["why rows have no value"], [[reason] for reason in report.reasons])


def _asking(
    prompt_file: Path | None, temperature: float, max_tokens: int, retries: int, structured: bool
) -> Asking:
    from r1rewards.judge import Asking
    from r1rewards.llm import Sampling

    return Asking(prompt_file, Sampling(temperature, 0.95, max_tokens), retries, structured)


def _rubric(path: Path | None) -> Sequence[Criterion]:
    import yaml

    from r1rewards.judge.criteria import read_rubric

    if path is None:
        return ()
    try:
        return read_rubric(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"the rubric {path} cannot be read: {error}") from None
    except GraderError as error:
        raise UserError(f"{path}: {error}") from None
