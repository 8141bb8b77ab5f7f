"""The command `r1rewards`: grade responses from the shell. Each command imports what it uses when it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from r1rewards.cli.judges import judge, judge_eval
from r1rewards.cli.options import Json, Map, Problems, Task, Variables
from r1rewards.core.console import parse_pairs, print_table, run_app
from r1rewards.core.errors import UserError

if TYPE_CHECKING:
    from r1rewards.core.verdict import Verdict

app = typer.Typer(
    help="Grade the responses of reasoning models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(judge)
app.command("judge-eval")(judge_eval)


def main() -> None:
    """Entry point of the console script."""
    run_app(app, "r1rewards")


@app.command()
def score(
    responses: Annotated[
        Path, typer.Argument(help="JSON lines or Parquet, plain or compressed; or a folder of such files.")
    ],
    spec: Annotated[Path, typer.Option(help="The reward spec, a YAML file.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where the scored rows go; without it, the summary only."),
    ] = None,
    problems: Problems = None,
    map_columns: Map = None,
    task: Task = None,
    variables: Variables = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that grade; by default one for each core.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Grade on this Ray cluster; 'local' starts one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a file of responses with a reward spec and print what it comes to.

    A run that was stopped goes on where it was when the same command is given again.
    """
    from r1rewards.score_file import Source, score_file

    source = Source(responses, problems, parse_pairs(map_columns or [], "--map"), task)
    summary = score_file(
        source,
        spec,
        output,
        variables=parse_pairs(variables or [], "--set"),
        workers=workers,
        ray=ray,
        quiet=as_json,
        say=lambda sentence: typer.echo(sentence, err=True),
    )
    if as_json:
        typer.echo(json.dumps(summary.to_dict(), ensure_ascii=False))
    else:
        header, lines = summary.table()
        typer.echo(f"{summary.rows:,} rows of {responses}")
        print_table(header, lines)
        if failed := list(summary.errors()):
            print_table(["reward", "error", "rows"], failed)
        if summary.audits:
            print_table(*summary.audit_table())
        if differing := list(summary.disagreements()):
            print_table(["hybrid", "row", "the rule", "the judge"], differing)
        if summary.slowest:
            print_table(["seconds", "slowest rows", "what took them"], summary.slowest)
        if output is not None:
            typer.echo(f"wrote {output}")
    if summary.total.errors:
        raise typer.Exit(3)


@app.command()
def math(
    gold: Annotated[str, typer.Argument(help="The reference answer.")],
    response: Annotated[str, typer.Argument(help="The response, or - to read it from standard input.")],
    policy: Annotated[
        Literal["lenient", "strict"], typer.Option(help="strict: only a box or an answer tag counts.")
    ] = "lenient",
    template: Annotated[str | None, typer.Option(help="The layout of the response.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Also print every step that led there.")] = False,
    as_json: Json = False,
) -> None:
    """Is this the right answer? Exit status 0 yes, 1 no, 3 cannot tell."""
    from r1rewards import math as grader

    text = typer.get_text_stream("stdin").read() if response == "-" else response
    steps = grader.explain(text, gold, policy=policy, template=template) if explain else None
    _say(grader.check(text, gold, policy=policy, template=template), as_json, steps)


@app.command()
def run(
    program: Annotated[
        Path, typer.Argument(help="A program, written by a model perhaps; it runs in the sandbox.")
    ],
    tests: Annotated[
        Path, typer.Option(help='JSON: {"tests": [{"input", "output"}]} or {"asserts", "setup"}.')
    ],
    lang: Annotated[
        str | None, typer.Option(help="Its language, where the tests do not say: python.")
    ] = None,
    isolation: Annotated[str, typer.Option(help="How strong the sandbox must be.")] = "auto",
    as_json: Json = False,
) -> None:
    """Does this program pass its tests? Exit status 0 yes, 1 no, 3 cannot tell."""
    from r1rewards import code

    reference = _read_json(tests)
    if lang is not None:
        reference["lang"] = lang
    verdict = code.check(_read_text(program), reference, isolation=isolation)
    _say(verdict, as_json)


@app.command()
def serve(
    spec: Annotated[Path, typer.Argument(help="The reward spec, a YAML file.")],
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 lets the system choose.")] = 8000,
    task: Task = None,
    variables: Variables = None,
    token: Annotated[
        str,
        typer.Option(envvar="R1REWARDS_TOKEN", help="What clients must know: Authorization: Bearer TOKEN."),
    ] = "",
    queue: Annotated[
        int, typer.Option(min=1, help="Rows that may wait; more are told to come later.")
    ] = 20_000,
    body: Annotated[float, typer.Option(min=0.001, help="Longest request, in MiB.")] = 16.0,
    body_timeout: Annotated[float, typer.Option(help="Seconds to send a request in.")] = 30.0,
    timeout: Annotated[float, typer.Option(help="Seconds to grade a request in.")] = 600.0,
) -> None:
    """Serve a reward spec over HTTP: POST /score, POST /get_reward (OpenRLHF), GET /health, GET /docs."""
    from r1rewards.serve import Settings
    from r1rewards.serve import serve as run_server
    from r1rewards.spec import load_spec

    settings = Settings(task, token, queue, body, body_timeout, timeout)
    with load_spec(spec, variables=parse_pairs(variables or [], "--set")) as loaded:
        run_server(
            loaded,
            settings,
            host=host,
            port=port,
            ready=lambda address: typer.echo(f"serving {spec} on {address}; Ctrl-C ends"),
        )


@app.command()
def doctor(as_json: Json = False) -> None:
    """Try every rule reward on one right and one wrong response, and say what works here."""
    from r1rewards.doctor import examine

    findings = list(examine())
    if as_json:
        typer.echo(json.dumps([finding.to_dict() for finding in findings], ensure_ascii=False))
    else:
        print_table(["what", "works", "detail"], [[f.what, f.works, f.detail] for f in findings])
    if not all(finding.works or finding.optional for finding in findings):
        raise typer.Exit(3)


def _say(verdict: Verdict, as_json: bool, steps: list[str] | None = None) -> None:
    """Print one verdict, or the steps that led to it, and exit with what it says."""
    if as_json:
        said_in_full = verdict.to_dict() | ({} if steps is None else {"steps": steps})
        typer.echo(json.dumps(said_in_full, ensure_ascii=False, default=str))
    elif steps is not None:
        typer.echo("\n".join(steps))
    else:
        said = verdict.status if verdict.value is None else f"{verdict.value:g}"
        typer.echo(f"{said}  {verdict.reason}" + (f"  [{verdict.route}]" if verdict.route else ""))
    if verdict.value is None:
        raise typer.Exit(3)
    raise typer.Exit(0 if verdict.value == 1.0 else 1)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text: {error}") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(_read_text(path))
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} must hold one JSON object")
    return data
