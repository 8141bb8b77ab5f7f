"""What is graded, and what became of each of its tests."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from r1rewards.code.cutoff import Cutoff
from r1rewards.code.languages import Language
from r1rewards.code.limits import Limits
from r1rewards.core.errors import GraderError

TestStatus = Literal[
    "ok", "wrong", "time", "memory", "output", "runtime", "compile", "skipped", "infrastructure"
]
_MIB = 1 << 20
_SHOWN = 500
#: A text that may import numpy, in whatever way; the flavour that has it harms no other.
NUMPY = re.compile(r"\bnumpy\b")


class Starved(GraderError):
    """The machine was so busy that the program hardly ran."""


@dataclass(frozen=True, slots=True)
class TestResult:
    """What became of one test, and why, for a reader.

    cpu_s    processor seconds
    spent_s  wall seconds, without those in which it waited for a core
    """

    status: TestStatus
    reason: str = ""
    cpu_s: float = 0.0
    memory_mb: int = 0
    spent_s: float = 0.0


SKIPPED = TestResult("skipped", "an earlier test failed")


@dataclass(frozen=True, slots=True)
class Task:
    """A program beside all that grading it needs, checked.

    partial  every test runs, and the value is the share that passes; else the first failure ends it
    address  of the server that runs the program, where that is not this machine
    """

    program: str
    reference: Mapping[str, Any]
    language: Language
    limits: Limits
    tier: str
    partial: bool = False
    cutoff: Cutoff = field(default_factory=Cutoff)
    address: str = ""

    @property
    def kind(self) -> str:
        return "tests" if "tests" in self.reference else "asserts"

    @property
    def count(self) -> int:
        return len(self.reference[self.kind])

    @property
    def flavour(self) -> str:
        if self.language.name == "python" and NUMPY.search(self.program):
            return "numpy"
        return "asserts" if self.kind == "asserts" else self.language.flavour


def judge_outcome(outcome: Mapping[str, Any], limits: Limits, output: int, errors: int) -> TestResult:
    """How the run itself ended, before its output is looked at. Raises Starved where it hardly began."""
    if outcome["killed"] == "starved":
        raise Starved("the machine is too busy: the program waited for a core almost all the time")
    cpu_s, memory_mb, code = float(outcome["cpu"]), int(outcome["memory_mb"]), int(outcome["code"])
    status: TestStatus = "ok"
    reason = ""
    if outcome["killed"] == "memory" or memory_mb > limits.memory_mb:
        status, reason = "memory", f"over {limits.memory_mb} MiB"
    elif outcome["killed"] == "time" or cpu_s > limits.time_s or code == -signal.SIGXCPU:
        status, reason = "time", f"over {limits.time_s:g} s"
    elif max(os.fstat(output).st_size, os.fstat(errors).st_size) >= limits.output_mb * _MIB:
        status, reason = "output", f"over {limits.output_mb} MiB of output"
    elif code != 0:
        said = _tail(errors)
        ended = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        status = "memory" if said.endswith("MemoryError") else "runtime"
        reason = f"{ended}: {said}" if said else ended
    return TestResult(status, reason, cpu_s, memory_mb, float(outcome["spent"]))


def _tail(errors: int) -> str:
    size = os.fstat(errors).st_size
    return os.pread(errors, _SHOWN, max(0, size - _SHOWN)).decode(errors="replace").strip()


def filled(results: list[TestResult], count: int) -> list[TestResult]:
    """The results with those of the tests that were not run."""
    return results + [SKIPPED] * (count - len(results))
