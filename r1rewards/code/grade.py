"""Does a program pass its tests? One program and its reference in, one verdict out."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from r1rewards.code import compare, languages
from r1rewards.code.languages import Language
from r1rewards.code.limits import Limits
from r1rewards.code.server import POOL, Box, BoxLost, Server, memfd, read_back
from r1rewards.core.errors import GraderError
from r1rewards.core.verdict import Verdict

TestStatus = Literal[
    "ok", "wrong", "time", "memory", "output", "runtime", "compile", "skipped", "infrastructure"
]
_MIB = 1 << 20
_SHOWN = 500
NUMPY = re.compile(r"^\s*(?:import|from)\s+numpy\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TestResult:
    """What became of one test, and why, for a reader. Times are processor seconds."""

    status: TestStatus
    reason: str = ""
    cpu_s: float = 0.0
    memory_mb: int = 0


SKIPPED = TestResult("skipped", "an earlier test failed")


@dataclass(frozen=True, slots=True)
class Task:
    """A program beside all that grading it needs, checked.

    partial  every test runs, and the value is the share that passes; else the first failure ends it
    """

    program: str
    reference: Mapping[str, Any]
    language: Language
    limits: Limits
    tier: str
    partial: bool = False

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
        return self.language.flavour


def grade(task: Task) -> Verdict:
    """The verdict on one program. A broken box is tried once more, then it is an error, never a 0."""
    started = time.monotonic()
    route = f"{task.language.name}/{task.kind}/{task.tier}"
    for attempt in (1, 2):
        try:
            results = _results(task)
            break
        except BoxLost as error:
            if attempt == 2:
                statuses = ["infrastructure"] * task.count
                return Verdict.error(f"sandbox failed twice: {error}", route, tests=statuses, tier=task.tier)
        except GraderError as error:
            return Verdict.error(str(error), route, tier=task.tier)
    return _verdict(task, results, route, time.monotonic() - started)


def _results(task: Task) -> list[TestResult]:
    if task.kind == "tests":
        return _run_tests(task)
    from r1rewards.code.asserts import run_asserts

    return run_asserts(task)


def _verdict(task: Task, results: Sequence[TestResult], route: str, wall_s: float) -> Verdict:
    passed = sum(result.status == "ok" for result in results)
    details: dict[str, Any] = {
        "tests": [result.status for result in results],
        "passed": passed,
        "tier": task.tier,
        "cpu_s": round(sum(result.cpu_s for result in results), 3),
        "memory_mb": max(result.memory_mb for result in results),
        "wall_s": round(wall_s, 3),
    }
    failed = next((i for i, result in enumerate(results) if result.status not in ("ok", "skipped")), None)
    if failed is None:
        return Verdict.of(1.0, f"all {len(results)} tests pass", route, **details)
    result = results[failed]
    value = passed / len(results) if task.partial else 0.0
    reason = f"test {failed + 1} of {len(results)}: {result.status}"
    return Verdict.of(value, f"{reason}: {result.reason}" if result.reason else reason, route, **details)


@contextmanager
def borrowed(flavour: str, tier: str) -> Iterator[Server]:
    """A server of this kind; one that lost a box is not used again."""
    server = POOL.borrow(flavour, tier)
    try:
        yield server
    except BaseException:
        server.close()
        raise
    POOL.give_back(server)


def _run_tests(task: Task) -> list[TestResult]:
    tests: Sequence[Mapping[str, Any]] = task.reference["tests"]
    results: list[TestResult] = []
    ends = time.monotonic() + task.limits.program_s
    with borrowed(task.flavour, task.tier) as server, prepared(task, server) as program:
        if isinstance(program, TestResult):
            return filled([program], len(tests))
        while len(results) < len(tests):
            with program.box(server) as box:
                for test in tests[len(results) :]:
                    if time.monotonic() > ends:
                        late = TestResult("time", f"the program's {task.limits.program_s:g} s are over")
                        return filled([*results, late], len(tests))
                    result, dirty = _run_test(box, task, test)
                    results.append(result)
                    if result.status == "compile" or (result.status != "ok" and not task.partial):
                        return filled(results, len(tests))
                    if dirty:
                        break  # files or processes were left: the next test gets a new box
    return results


def filled(results: list[TestResult], count: int) -> list[TestResult]:
    """The results with those of the tests that were not run."""
    return results + [SKIPPED] * (count - len(results))


def _run_test(box: Box, task: Task, test: Mapping[str, Any]) -> tuple[TestResult, bool]:
    given, output, errors = memfd(str(test["input"]).encode(errors="replace")), memfd(), memfd()
    try:
        box.start([given, output, errors])
        fault = box.wait_ready()
        if fault is not None:
            return TestResult("compile", fault), True
        outcome = box.outcome()
        result = judge_outcome(outcome, task.limits, output, errors)
        if result.status == "ok":
            difference = _differs(task, test, read_back(output))
            if difference is not None:
                result = TestResult("wrong", difference, result.cpu_s, result.memory_mb)
        return result, bool(outcome["dirty"])
    finally:
        for fd in (given, output, errors):
            os.close(fd)


def judge_outcome(outcome: Mapping[str, Any], limits: Limits, output: int, errors: int) -> TestResult:
    """How the run itself ended, before its output is looked at."""
    cpu_s, memory_mb, code = float(outcome["cpu"]), int(outcome["memory_mb"]), int(outcome["code"])
    status: TestStatus = "ok"
    reason = ""
    if outcome["killed"] == "time" or cpu_s > limits.time_s or code == -24:
        status, reason = "time", f"over {limits.time_s:g} s"
    elif outcome["killed"] == "memory":
        status, reason = "memory", f"over {limits.memory_mb} MiB"
    elif max(os.fstat(output).st_size, os.fstat(errors).st_size) >= limits.output_mb * _MIB:
        status, reason = "output", f"over {limits.output_mb} MiB of output"
    elif code != 0:
        said = _tail(errors)
        ended = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        status = "memory" if said.endswith("MemoryError") else "runtime"
        reason = f"{ended}: {said}" if said else ended
    return TestResult(status, reason, cpu_s, memory_mb)


def _tail(errors: int) -> str:
    size = os.fstat(errors).st_size
    return os.pread(errors, _SHOWN, max(0, size - _SHOWN)).decode(errors="replace").strip()


def _differs(task: Task, test: Mapping[str, Any], output: bytes) -> str | None:
    text, expected = output.decode(errors="replace"), str(test["output"])
    checker = task.reference.get("checker", "token")
    if checker == "token":
        return compare.by_token(text, expected)
    if checker == "exact":
        return compare.exact(text, expected)
    raise GraderError(f"there is no checker {checker!r}; use token, exact or a program")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A program that only has to be boxed."""

    task: Task

    def box(self, server: Server, **options: Any) -> Box:
        return Box(server, self.task.limits, source=self.task.program, **options)


@contextmanager
def prepared(task: Task, server: Server) -> Iterator[Prepared | TestResult]:
    """The program compiled, where its language is compiled to a file; or how that failed."""
    yield Prepared(task)
