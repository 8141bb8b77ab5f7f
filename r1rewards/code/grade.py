"""Does a program pass its tests? One program and its reference in, one verdict out."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from r1rewards.code import compare, remote
from r1rewards.code.asserts import run_asserts
from r1rewards.code.compiled import ready
from r1rewards.code.languages import language_of
from r1rewards.code.pool import POOL, borrowed, described
from r1rewards.code.server import Box, BoxLost, CompilerLost, memfd, read_back
from r1rewards.code.task import Starved, Task, TestResult, filled, judge_outcome
from r1rewards.core.errors import GraderError
from r1rewards.core.verdict import Verdict

#: What is wrong with an output, given its test; None where it is right.
Differs = Callable[[Mapping[str, Any], str], str | None]


def grade(task: Task, differs: Differs | None = None) -> Verdict:
    """The verdict on one program. A broken box is tried once more, then it is an error, never a 0.

    differs  looks at the outputs in place of the reference's checker
    """
    differs = differs or (lambda test, output: _differs(task, test, output))
    started, tier = time.monotonic(), described(task.tier)
    route = f"{task.language.name}/{task.kind}/{task.tier}"
    if task.reference.get("mode") == "in-process":
        route += "/in-process"  # of lower trust, so it must show wherever results are grouped
    for attempt in (1, 2):
        try:
            task.cutoff.check()
            with POOL.turn(task.cutoff):
                results = _results(task, differs)
            break
        except BoxLost as error:
            if not task.address:
                POOL.close()  # whatever befell this server may have befallen the idle ones
            if attempt == 2 and isinstance(error, CompilerLost):
                results = filled([TestResult("compile", "the compiler crashed twice")], task.count)
            elif attempt == 2:
                statuses = ["infrastructure"] * task.count
                return Verdict.error(f"sandbox failed twice: {error}", route, tests=statuses, tier=tier)
        except Starved as error:
            if attempt == 2:
                statuses = ["infrastructure"] * task.count
                return Verdict.error(str(error), route, tests=statuses, tier=tier)
        except GraderError as error:
            return Verdict.error(str(error), route, tier=tier)
    return _verdict(task, results, route, time.monotonic() - started)


def _verdict(task: Task, results: Sequence[TestResult], route: str, wall_s: float) -> Verdict:
    passed = sum(result.status == "ok" for result in results)
    details: dict[str, Any] = {
        "tests": [result.status for result in results],
        "passed": passed,
        "tier": described(task.tier),
        "cpu_s": round(sum(result.cpu_s for result in results), 3),
        "memory_mb": max(result.memory_mb for result in results),
        "wall_s": round(wall_s, 3),
        "trust": "lower" if task.reference.get("mode") == "in-process" else "full",
    }
    failed = next((i for i, result in enumerate(results) if result.status not in ("ok", "skipped")), None)
    if failed is None:
        return Verdict.of(1.0, f"all {len(results)} tests pass", route, **details)
    result = results[failed]
    value = passed / len(results) if task.partial else 0.0
    reason = f"test {failed + 1} of {len(results)}: {result.status}"
    return Verdict.of(value, f"{reason}: {result.reason}" if result.reason else reason, route, **details)


def _results(task: Task, differs: Differs) -> list[TestResult]:
    if task.address:
        return remote.run_tests(task, differs)
    return _run_tests(task, differs) if task.kind == "tests" else run_asserts(task)


def _run_tests(task: Task, differs: Differs) -> list[TestResult]:
    tests: Sequence[Mapping[str, Any]] = task.reference["tests"]
    results: list[TestResult] = []
    with borrowed(task.flavour, task.tier) as server, ready(task, server) as options:
        if isinstance(options, TestResult):
            return filled([options], len(tests))
        while len(results) < len(tests):
            with Box(server, task.limits, cutoff=task.cutoff, **options) as box:
                for test in tests[len(results) :]:
                    if sum(result.spent_s for result in results) > task.limits.program_s:
                        late = TestResult("time", f"the program's {task.limits.program_s:g} s are over")
                        return filled([*results, late], len(tests))
                    results.append(result := _run_test(box, task, test, differs))
                    if result.status == "compile" or (result.status != "ok" and not task.partial):
                        return filled(results, len(tests))
                    if not box.clean:
                        break  # files or processes were left: the next test gets a new box
    return results


def _run_test(box: Box, task: Task, test: Mapping[str, Any], differs: Differs) -> TestResult:
    given, output, errors = memfd(str(test["input"]).encode(errors="replace")), memfd(), memfd()
    try:
        box.start([given, output, errors])
        fault = box.wait_ready()
        if fault is not None:
            return TestResult("compile", fault)
        outcome = box.outcome()
        result = judge_outcome(outcome, task.limits, output, errors)
        if result.status == "ok":
            difference = differs(test, read_back(output).decode(errors="replace"))
            if difference is not None:
                result = replace(result, status="wrong", reason=difference)
        return result
    finally:
        for fd in (given, output, errors):
            os.close(fd)


def _differs(task: Task, test: Mapping[str, Any], text: str) -> str | None:
    expected = str(test["output"])
    checker = task.reference.get("checker", "token")
    if checker == "token":
        return compare.by_token(text, expected)
    if checker == "exact":
        return compare.exact(text, expected)
    if isinstance(checker, Mapping) and not task.address:
        return _asked(task, checker, test, text)
    if task.address:
        raise GraderError("a remote sandbox compares by token or exact; a checker program needs a local one")
    raise GraderError(f"there is no checker {checker!r}; use token, exact or a program")


def _asked(task: Task, checker: Mapping[str, Any], test: Mapping[str, Any], output: str) -> str | None:
    """What a checker program says: its first word is accept or reject, the rest is its reason.

    It runs in a box of its own and reads one JSON object: input, expected and output.
    """
    case = {"input": str(test["input"]), "expected": str(test["output"]), "output": output}
    asked = replace(task, program=str(checker.get("source", "")), language=language_of(checker), reference={})
    given, said, errors = memfd(json.dumps(case).encode()), memfd(), memfd()
    try:
        with borrowed(asked.flavour, task.tier) as server, ready(asked, server) as options:
            if isinstance(options, TestResult):
                raise GraderError(f"the checker does not compile: {options.reason}")
            with Box(server, task.limits, cutoff=task.cutoff, **options) as box:
                box.start([given, said, errors])
                fault = box.wait_ready()
                ended = TestResult("compile", fault) if fault else None
                ended = ended or judge_outcome(box.outcome(), task.limits, said, errors)
        word, _, reason = read_back(said).decode(errors="replace").strip().partition(" ")
        if ended.status != "ok" or word not in ("accept", "reject"):
            raise GraderError(f"the checker failed: {ended.reason or 'it says neither accept nor reject'}")
        return None if word == "accept" else reason or "the checker rejects it"
    finally:
        for fd in (given, said, errors):
            os.close(fd)
