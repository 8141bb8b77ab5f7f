"""Assert tests in two processes: the tests run in one box, the program they call in another."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from r1rewards.code.grade import NUMPY, Task, TestResult, borrowed, filled, judge_outcome, prepared
from r1rewards.code.server import Box, Server, memfd, read_back
from r1rewards.core.errors import GraderError


def run_asserts(task: Task) -> list[TestResult]:
    """The result of each assert. Raises GraderError where the tests themselves are at fault."""
    if task.language.name != "python":
        raise GraderError("asserts are run for python only; other languages take tests with input and output")
    asserts: Sequence[str] = task.reference["asserts"]
    setup = str(task.reference.get("setup") or "")
    results: list[TestResult] = []
    tester_flavour = "numpy" if NUMPY.search("\n".join([setup, *asserts])) else "python"
    with borrowed(task.flavour, task.tier) as server, borrowed(tester_flavour, task.tier) as test_server:
        while len(results) < len(asserts):
            rest = {"setup": setup, "asserts": list(asserts[len(results) :]), "stop": not task.partial}
            results += _round(task, server, test_server, rest)
            if results[-1].status == "compile" or (results[-1].status != "ok" and not task.partial):
                break
    return filled(results, len(asserts))


def _round(task: Task, server: Server, test_server: Server, tests: dict[str, Any]) -> list[TestResult]:
    """Run tests until one ends the program; at least one result."""
    # The tester does nothing but wait while the program works, so its own limits are those of the whole.
    patient = replace(task.limits, time_s=task.limits.program_s)
    fds: list[int] = []

    def file() -> int:
        fds.append(memfd())
        return fds[-1]

    try:
        ours, theirs = socket.socketpair()
        marks, mark = os.pipe()
        with ours, theirs:
            fds += [marks, mark]
            results, errors = file(), file()
            with (
                Box(server, task.limits, source=task.program, role="serve") as program,
                Box(test_server, patient, role="test", tests=tests) as tester,
            ):
                program.start([file(), file(), errors, theirs.fileno(), marks])
                tester.start([file(), results, file(), ours.fileno(), mark])
                ours.close()
                theirs.close()
                os.close(fds.pop(fds.index(marks)))
                os.close(fds.pop(fds.index(mark)))
                fault = program.wait_ready()
                if fault is not None:
                    return [TestResult("compile", fault)]
                tester.wait_ready()
                tested = tester.outcome(8 * patient.wall_s)
                lines = [json.loads(line) for line in read_back(results).splitlines()]
                program_outcome = program.outcome() if lines and lines[-1][0] == "gone" else None
        return _read(task, lines, tested, program_outcome, errors, len(tests["asserts"]))
    finally:
        for fd in fds:
            os.close(fd)


def _read(
    task: Task,
    lines: list[list[str]],
    tested: dict[str, Any],
    outcome: dict[str, Any] | None,
    errors: int,
    count: int,
) -> list[TestResult]:
    results: list[TestResult] = []
    for status, reason in lines:
        if status == "infrastructure":
            raise GraderError(reason)
        if status == "gone" and outcome is not None:
            ended = judge_outcome(outcome, task.limits, errors, errors)
            results.append(ended if ended.status != "ok" else TestResult("runtime", reason))
        else:
            results.append(TestResult(status, reason))  # type: ignore[arg-type]
    if len(results) < count and (not results or results[-1].status == "ok"):
        # The tester was stopped in a test: by its time, or by a value too large to compare.
        status = "memory" if tested["killed"] == "memory" else "time"
        results.append(TestResult(status, "comparing the program's values took too much"))  # type: ignore[arg-type]
    return results
