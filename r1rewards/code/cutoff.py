"""When a batch must be over: at a given time, or as soon as somebody says so."""

from __future__ import annotations

import math
import time

from r1rewards.core.errors import GraderError

#: How often one who waits looks whether the batch is over, seconds.
LOOK_S = 0.2


class CutOff(GraderError):
    """The program was not finished, or not begun, when its batch was over: nothing is known of it."""


class Cutoff:
    """Shared by all programs of a batch; whoever waits for one of them looks here several times a second.

    deadline_s  wall seconds from now; None for no deadline
    """

    def __init__(self, deadline_s: float | None = None) -> None:
        self._ends = math.inf if deadline_s is None else time.monotonic() + deadline_s
        self._called_off = False

    def call_off(self) -> None:
        """End the batch now: its caller has gone away."""
        self._called_off = True

    def check(self) -> None:
        """Raise CutOff if the batch is over."""
        if self._called_off:
            raise CutOff("the batch was called off")
        if time.monotonic() > self._ends:
            raise CutOff("not finished before the batch's deadline")
