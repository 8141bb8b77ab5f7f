"""Programs run elsewhere: on a server that speaks SandboxFusion's HTTP protocol (`POST /run_code`).

What the server says of a run is believed, so how safe that is depends on the server. Outputs are compared
here, as always: expected outputs are not sent. Asserts are not run this way, for the protocol has no
second process to hold them.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from r1rewards.code.server import BoxLost
from r1rewards.code.task import Task, TestResult, filled
from r1rewards.core.errors import GraderError

TIER = "remote"
#: What the protocol calls our languages.
_LANGUAGES = {"python": "python", "cpp": "cpp", "javascript": "nodejs"}
#: Beside the time limits of a run: the server may have to wait for a worker.
_GRACE_S = 120.0
_SHOWN = 500


def is_address(isolation: str) -> bool:
    return isolation.startswith(("http://", "https://"))


def run_tests(task: Task, differs: Callable[[Mapping[str, Any], str], str | None]) -> list[TestResult]:
    """The result of each test. Raises BoxLost where the server fails, which may be worth another try.

    differs  what is wrong with an output, given its test; None where it is right
    """
    if task.kind != "tests":
        raise GraderError("a remote sandbox runs tests with input and output only; asserts need a local one")
    if task.language.name not in _LANGUAGES:
        raise GraderError(f"a remote sandbox is not asked to run {task.language.name}")
    tests = task.reference["tests"]
    results: list[TestResult] = []
    for test in tests:
        task.cutoff.check()
        result, output = _read(task, _asked(task, str(test["input"])))
        if result.status == "ok" and (difference := differs(test, output)) is not None:
            result = TestResult("wrong", difference, spent_s=result.spent_s)
        results.append(result)
        over = sum(result.spent_s for result in results) > task.limits.program_s
        if over or result.status == "compile" or (result.status != "ok" and not task.partial):
            break
    if len(results) < len(tests) and results[-1].status == "ok":
        results.append(TestResult("time", f"the program's {task.limits.program_s:g} s are over"))
    return filled(results, len(tests))


def _asked(task: Task, given: str) -> dict[str, Any]:
    limits = task.limits
    body = {
        "code": task.program,
        "language": _LANGUAGES[task.language.name],
        "stdin": given,
        "compile_timeout": limits.compile_s,
        "run_timeout": limits.wall_s,
    }
    request = urllib.request.Request(
        task.address.rstrip("/") + "/run_code",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    cap = 4 * (limits.output_mb << 20)  # an output escaped as JSON, and as much on the other stream
    try:
        with urllib.request.urlopen(request, timeout=limits.compile_s + limits.wall_s + _GRACE_S) as reply:
            text = reply.read(cap + 1)
        if len(text) > cap:
            return {"run_result": {"status": "TooMuchOutput"}}
        answer = json.loads(text)
    except (OSError, ValueError, http.client.HTTPException, RecursionError) as error:
        raise BoxLost(f"the sandbox at {task.address} does not answer: {error}") from error
    if not isinstance(answer, dict) or answer.get("status") not in ("Success", "Failed"):
        said = answer.get("message") if isinstance(answer, dict) else answer
        raise BoxLost(f"the sandbox at {task.address} failed: {str(said)[:_SHOWN]}")
    return answer


def _read(task: Task, answer: Mapping[str, Any]) -> tuple[TestResult, str]:
    """How the run ended, before its output is looked at, and that output."""
    compiled, run = answer.get("compile_result"), answer.get("run_result")
    if isinstance(compiled, Mapping) and (
        compiled.get("status") != "Finished" or compiled.get("return_code")
    ):
        return TestResult("compile", str(compiled.get("stderr") or compiled.get("status"))[-_SHOWN:]), ""
    if not isinstance(run, Mapping):
        raise BoxLost(f"the sandbox at {task.address} says nothing of the run")
    output, errors = str(run.get("stdout") or ""), str(run.get("stderr") or "").strip()[-_SHOWN:]
    spent_s = float(run.get("execution_time") or 0.0)
    if run.get("status") == "TimeLimitExceeded":
        return TestResult("time", f"over {task.limits.wall_s:g} s", spent_s=spent_s), ""
    if run.get("status") == "TooMuchOutput" or len(output) >= task.limits.output_mb << 20:
        return TestResult("output", f"over {task.limits.output_mb} MiB of output", spent_s=spent_s), ""
    if run.get("status") != "Finished":
        raise BoxLost(f"the sandbox at {task.address} failed: {errors or run.get('status')}")
    if code := run.get("return_code"):
        status = "memory" if errors.endswith("MemoryError") else "runtime"
        return TestResult(status, f"exit code {code}: {errors}", spent_s=spent_s), ""  # type: ignore[arg-type]
    return TestResult("ok", spent_s=spent_s), output
