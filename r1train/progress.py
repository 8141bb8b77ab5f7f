"""What a person sees while a run goes on: one bar at a time, with time left, and a line for what is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Bar(Protocol):
    def __call__(self, done: int, total: int, note: str = "") -> None: ...


class Progress:
    """Bars and lines on standard error; where that is no terminal, a line at most every ten seconds."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()

    def say(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    @contextmanager
    def bar(self, what: str) -> Iterator[Bar]:
        """A bar that is told `(done, total, note)`; it works out the time left from its own pace."""
        began = time.monotonic()
        if self._terminal:
            with self._rich(what) as update:
                yield update
        else:
            yield self._lines(what)
        self.say(f"  {what}: {_clock(time.monotonic() - began)}")

    @contextmanager
    def _rich(self, what: str) -> Iterator[Bar]:
        from rich import progress as bars
        from rich.console import Console

        columns = (
            bars.TextColumn("  {task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeElapsedColumn(),
            bars.TextColumn("left"),
            bars.TimeRemainingColumn(elapsed_when_finished=False),
            bars.TextColumn("{task.fields[note]}"),
        )
        with bars.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
            task = shown.add_task(what, total=None, note="")

            def update(done: int, total: int, note: str = "") -> None:
                shown.update(task, completed=done, total=total, note=note)

            yield update

    def _lines(self, what: str) -> Bar:
        began = last = time.monotonic()
        first: int | None = None

        def update(done: int, total: int, note: str = "") -> None:
            nonlocal last, first
            first = done if first is None else first
            now = time.monotonic()
            if now - last < 10:
                return
            last = now
            pace = (done - first) / (now - began)
            left = f", {_clock((total - done) / pace)} left" if pace > 0 else ""
            self.say(f"  {what}: {done} of {total}{left}{'  ' + note if note else ''}")

        return update


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
