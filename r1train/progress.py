"""What a person sees while a run goes on: one bar at a time, with time left, and a line for what is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from r1rewards.core.console import Bar, bar, clock


class Progress:
    """Bars and lines on standard error."""

    def say(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    @contextmanager
    def bar(self, what: str) -> Iterator[Bar]:
        """A bar that is told `(done, total, note)`, and what it took when it is done."""
        began = time.monotonic()
        with bar(f"  {what}") as shown:
            yield shown
        self.say(f"  {what}: {clock(time.monotonic() - began)}")
