"""Assert tests in two processes: the tests run in one box, the program they call in another."""

from __future__ import annotations

import json
import marshal
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from r1rewards.code.cutoff import Cutoff
from r1rewards.code.limits import Limits
from r1rewards.code.pool import borrowed
from r1rewards.code.server import Box, Server, memfd, read_back
from r1rewards.code.task import NUMPY, Task, TestResult, filled, judge_outcome
from r1rewards.core.errors import GraderError


def run_asserts(task: Task) -> list[TestResult]:
    """The result of each assert. Raises GraderError where the tests themselves are at fault."""
    if task.language.name != "python":
        raise GraderError("asserts are run for python only; other languages take tests with input and output")
    asserts: Sequence[str] = task.reference["asserts"]
    setup = str(task.reference.get("setup") or "")
    if task.reference.get("mode") == "in-process":
        return _in_process(task, setup, asserts)
    results: list[TestResult] = []
    numpy = NUMPY.search("\n".join([task.program, setup, *asserts]))
    tester_flavour = "numpy tests" if numpy else "tests"
    with borrowed(task.flavour, task.tier) as server, borrowed(tester_flavour, task.tier) as test_server:
        while len(results) < len(asserts):
            rest = {"setup": setup, "asserts": list(asserts[len(results) :]), "stop": not task.partial}
            results += _round(task, server, test_server, rest)
            if results[-1].status == "compile" or (results[-1].status != "ok" and not task.partial):
                break
    return filled(results, len(asserts))


def _in_process(task: Task, setup: str, asserts: Sequence[str]) -> list[TestResult]:
    limits = replace(task.limits, time_s=min(task.limits.program_s, task.limits.time_s * len(asserts)))
    word = secrets.token_hex(16)
    tests = {"setup": setup, "asserts": list(asserts), "stop": not task.partial, "word": word}
    text = json.dumps(tests).encode()
    fds = [memfd(), memfd(), memfd(), memfd(len(text).to_bytes(4, "little") + text), memfd()]
    try:
        with (
            borrowed(task.flavour, task.tier) as server,
            Box(server, limits, source=task.program, role="in-process", cutoff=task.cutoff) as box,
        ):
            box.start(fds)
            fault = box.wait_ready()
            if fault is not None:
                return filled([TestResult("compile", fault)], len(asserts))
            outcome = box.outcome()
        lines = _forged_out(read_back(fds[4]), word)
        ended = judge_outcome(outcome, limits, fds[1], fds[2])
        if lines and lines[0][0] != "ok":
            raise GraderError(f"the setup of the tests fails: {lines[0][1]}")
        results = [TestResult(status, reason) for status, reason in lines[1:]]  # type: ignore[arg-type]
        if len(results) < len(asserts) and all(result.status == "ok" for result in results):
            results.append(ended if ended.status != "ok" else TestResult("runtime", "the program ended"))
        return filled(results, len(asserts))
    finally:
        for fd in fds:
            os.close(fd)


def _forged_out(data: bytes, word: str) -> list[tuple[str, str]]:
    """The results that carry the word, up to the first line that does not."""
    lines: list[tuple[str, str]] = []
    for line in data.splitlines():
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not (isinstance(said, list) and len(said) == 3 and said[0] == word):
            break
        lines.append((str(said[1]), str(said[2])))
    return lines


def _round(task: Task, server: Server, test_server: Server, tests: dict[str, Any]) -> list[TestResult]:
    """Run tests until one ends the program; at least one result."""
    # The tester does nothing but wait while the program works, so its own limits are those of the whole.
    patient = replace(task.limits, time_s=task.limits.program_s)
    fds: list[int] = []

    def file(data: bytes = b"") -> int:
        fds.append(memfd(data))
        return fds[-1]

    try:
        ours, theirs = socket.socketpair()
        marks, mark = os.pipe()
        with ours, theirs:
            fds += [marks, mark]
            results, errors, sent = file(), file(), file(marshal.dumps(tests))
            with (
                Box(server, task.limits, source=task.program, role="serve", cutoff=task.cutoff) as program,
                _tester(test_server, patient, task.cutoff) as tester,
            ):
                program.start([file(), file(), errors, theirs.fileno(), marks])
                tester.start([file(), results, file(), ours.fileno(), mark, sent])
                ours.close()
                theirs.close()
                os.close(fds.pop(fds.index(marks)))
                os.close(fds.pop(fds.index(mark)))
                fault = program.wait_ready()
                if fault is not None:
                    return [TestResult("compile", fault)]
                tester.wait_ready()
                tested = tester.outcome()
                lines = [json.loads(line) for line in read_back(results).splitlines()]
                program_outcome = program.outcome() if lines and lines[-1][0] == "gone" else None
        return _read(task, lines, tested, program_outcome, errors, len(tests["asserts"]))
    finally:
        for fd in fds:
            os.close(fd)


@contextmanager
def _tester(server: Server, limits: Limits, cutoff: Cutoff) -> Iterator[Box]:
    """A box in which tests run, each program's in a new process; kept for the next one's as long as it is
    clean, for no program runs in it.
    """
    box = server.kept_box(limits) or Box(server, limits, role="test")
    box.cutoff = cutoff
    try:
        yield box
    finally:
        if box.clean and server.apart:
            server.keep(box)
        else:
            box.close()


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
