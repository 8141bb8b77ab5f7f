"""What the three commands share: how they end, how they read pairs, show progress and print tables.

Exit status of every command: 0 done (or "yes", where it answers a question), 1 "no", 2 the user's mistake,
3 a grader failed or could not decide, 130 Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from r1rewards.core.errors import UserError

if TYPE_CHECKING:
    import typer

Item = TypeVar("Item")

_CTRL_C = 130
_LINE_EVERY_S = 10.0
_REDRAWN_EVERY_S = 0.05


def run_app(app: typer.Typer, name: str) -> NoReturn:
    """Run a command line and exit with its status; a user's mistake is one sentence on standard error."""
    try:
        app(prog_name=name)
    except UserError as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(2)
    except (SystemExit, KeyboardInterrupt) as end:
        if isinstance(end, SystemExit) and end.code != _CTRL_C:
            raise
        sys.stdout.flush()
        os._exit(_CTRL_C)  # everything is cleaned up; a normal exit would wait for threads that still grade
    sys.exit(0)


def parse_pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """What an option such as `--map prompt=problem,reference=answer` says; it may be given several times."""
    pairs: dict[str, str] = {}
    for pair in (part for text in texts for part in text.split(",")):
        name, equals, value = (piece.strip() for piece in pair.partition("="))
        if not (name and equals and value):
            raise UserError(f"{option} {pair}: write it as name=value, several with commas between them")
        pairs[name] = value
    return pairs


class Bar(Protocol):
    """Told how far the work has come; `note` stands beside it, such as the pace."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None: ...


@contextmanager
def bar(what: str, *, quiet: bool = False) -> Iterator[Bar]:
    """A progress bar with the time left on standard error; where that is no terminal, a line now and then."""
    if quiet:
        yield lambda done, total, note="": None
    elif sys.stderr.isatty():
        from rich import progress as bars
        from rich.console import Console

        columns = (
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeElapsedColumn(),
            bars.TextColumn("left"),
            bars.TimeRemainingColumn(),
            bars.TextColumn("{task.fields[note]}"),
        )
        with bars.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
            task = shown.add_task(what, total=None, note="")
            last = 0.0

            def told(done: int, total: int | None, note: str = "") -> None:
                nonlocal last
                now = time.monotonic()
                if now - last >= _REDRAWN_EVERY_S or done == total:
                    last = now
                    shown.update(task, completed=done, total=total, note=note)

            yield told
    else:
        yield _Lines(what)


class _Lines:
    """A line at most every ten seconds, with the time left at the pace since the first of them."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = self._last = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        now = time.monotonic()
        self._first = done if self._first is None else self._first
        if now - self._last < _LINE_EVERY_S:
            return
        self._last = now
        told = f"{done:,}" if total is None else f"{done:,} of {total:,}"
        pace = (done - self._first) / (now - self._began)
        left = f"{clock((total - done) / pace)} left" if total is not None and pace > 0 else ""
        sys.stderr.write(f"{self._what}: {', '.join(filter(None, (told, left, note)))}\n")
        sys.stderr.flush()


def clock(seconds: float) -> str:
    """A duration for a reader."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def track(
    items: Iterable[Item], what: str, *, total: int | None = None, quiet: bool = False
) -> Iterator[Item]:
    """The items, with a bar that counts them."""
    with bar(what, quiet=quiet) as shown:
        for done, item in enumerate(items, 1):
            yield item
            shown(done, total)


def print_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table on standard output: numbers to the right, text to the left, None as a dash."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    body = [list(row) for row in rows]
    table = Table(box=SIMPLE_HEAD)
    for i, name in enumerate(header):
        numeric = all(row[i] is None or isinstance(row[i], int | float) for row in body)
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in body:
        table.add_row(*(Text(_cell(value)) for value in row))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _cell(value: Any) -> str:
    """A value for a reader; model-written text may hold control characters, which a terminal would obey."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in str(value))
