"""The options by which a command is given a language model, and what is shown while it answers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from r1rewards.llm.recorded import Landed

ModelName = Annotated[
    str | None,
    typer.Option("--model", help="A Hugging Face model folder, or with --url the model's name there."),
]
Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--url",
        help="An OpenAI-compatible endpoint (http://localhost:8000/v1); several share the work.",
    ),
]
Concurrency = Annotated[int, typer.Option(help="With --url: most requests in flight, over all of them.")]
Timeout = Annotated[float, typer.Option(help="With --url: seconds to wait for one response.")]
KeyFrom = Annotated[
    str, typer.Option(metavar="VARIABLE", help="With --url: the environment variable with the API key.")
]
MaxLength = Annotated[
    int, typer.Option(help="With a model folder: longest prompt and reply together, in tokens.")
]
_LINE_EVERY_S = 10.0


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Landed]:
    """A bar with tokens per second and time left; without a terminal, a line now and then."""
    began, tokens = time.monotonic(), 0

    def pace(more: int) -> str:
        nonlocal tokens
        tokens += more
        return f"{tokens / max(time.monotonic() - began, 0.1):,.0f} tokens/s"

    if quiet:
        yield lambda done, total, more: None
    elif sys.stderr.isatty():
        from rich import progress as bars
        from rich.console import Console

        columns = (
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TextColumn("{task.fields[pace]}"),
            bars.TimeElapsedColumn(),
            bars.TextColumn("left"),
            bars.TimeRemainingColumn(),
        )
        with bars.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
            task = shown.add_task(what, total=None, pace="")
            yield lambda done, total, more: shown.update(task, completed=done, total=total, pace=pace(more))
    else:
        yield _Lines(what, pace)


class _Lines:
    """A line at most every ten seconds."""

    def __init__(self, what: str, pace: Callable[[int], str]) -> None:
        self._what, self._pace = what, pace
        self._began = self._last = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int, tokens: int) -> None:
        pace, now = self._pace(tokens), time.monotonic()
        self._first = done - 1 if self._first is None else self._first
        if now - self._last < _LINE_EVERY_S:
            return
        self._last = now
        left = (total - done) * (now - self._began) / max(1, done - self._first)
        sys.stderr.write(f"{self._what}: {done:,} of {total:,}, {pace}, {left / 60:,.0f} min left\n")
        sys.stderr.flush()
