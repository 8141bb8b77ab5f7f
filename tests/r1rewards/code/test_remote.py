"""A server that speaks SandboxFusion's protocol runs the programs: here a small one, with a real Python."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from r1rewards import code

SQUARES = {"tests": [{"input": str(n), "output": str(n * n)} for n in (2, 3, 4)]}
SQUARE = "print(int(input()) ** 2)"


def run(body: dict[str, Any]) -> dict[str, Any]:
    """What the server does with a request: run Python, and say how that ended."""
    command = [sys.executable, "-I", "-S", "-c", body["code"]]
    try:
        done = subprocess.run(
            command, input=body["stdin"], capture_output=True, text=True, timeout=body["run_timeout"]
        )
    except subprocess.TimeoutExpired:
        return {"status": "Failed", "message": "", "run_result": {"status": "TimeLimitExceeded"}}
    result = {"status": "Finished", "execution_time": 0.1, "return_code": done.returncode}
    result |= {"stdout": done.stdout, "stderr": done.stderr}
    return {"status": "Failed" if done.returncode else "Success", "message": "", "run_result": result}


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[dict[str, Any]], Any]], str]]:
    """Start a server whose answers a function makes; its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[dict[str, Any]], Any]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                said = answer(asked) if self.path == "/run_code" else {}
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(said).encode())

            def log_message(self, *args: Any) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("program", "statuses"),
    [
        (SQUARE, ["ok", "ok", "ok"]),
        ("n = int(input())\nprint(n * n if n != 3 else 0)", ["ok", "wrong", "skipped"]),
        ("1 / 0", ["runtime", "skipped", "skipped"]),
        ("raise MemoryError", ["memory", "skipped", "skipped"]),
        ("while True: pass", ["time", "skipped", "skipped"]),
    ],
)
def test_verdicts(serve: Any, program: str, statuses: list[str]) -> None:
    verdict = code.check(program, SQUARES, isolation=serve(run), limits={"time_s": 1})
    assert verdict.details["tests"] == statuses
    assert verdict.details["tier"] == "remote"
    assert verdict.value == float(statuses == ["ok"] * 3)


def test_what_is_sent_holds_no_expected_output(serve: Any) -> None:
    seen: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        seen.append(body)
        return run(body)

    reference = {"tests": [{"input": "3", "output": "9"}]}
    assert code.check(SQUARE, reference, isolation=serve(answer)).value == 1
    assert seen[0]["language"] == "python"
    assert seen[0]["stdin"] == "3"
    assert "9" not in json.dumps({name: value for name, value in seen[0].items() if "timeout" not in name})


def test_a_compiler_that_refuses(serve: Any) -> None:
    answer = {
        "status": "Failed",
        "compile_result": {"status": "Finished", "return_code": 1, "stderr": "error: x"},
    }
    verdict = code.check("int main() {", {**SQUARES, "lang": "cpp"}, isolation=serve(lambda body: answer))
    assert verdict.details["tests"][0] == "compile"
    assert "error: x" in verdict.reason


@pytest.mark.parametrize(
    "answer",
    [{"status": "SandboxError", "message": "no workers"}, {"status": "Success"}, [], None, "x", {}],
)
def test_a_server_that_fails_is_asked_again_and_then_an_error(serve: Any, answer: Any) -> None:
    asked = 0

    def fail(body: dict[str, Any]) -> Any:
        nonlocal asked
        asked += 1
        return answer

    assert code.check(SQUARE, SQUARES, isolation=serve(fail)).status == "error"
    assert asked == 2


def test_a_server_that_fails_once_costs_nothing(serve: Any) -> None:
    answers = [{"status": "SandboxError", "message": "restarting"}]
    address = serve(lambda body: answers.pop() if answers else run(body))
    assert code.check(SQUARE, SQUARES, isolation=address).value == 1


def test_no_server_is_an_error() -> None:
    verdict = code.check(SQUARE, SQUARES, isolation="http://127.0.0.1:9")
    assert verdict.status == "error"
    assert "127.0.0.1:9" in verdict.reason


@pytest.mark.parametrize(
    "reference",
    [
        {"asserts": ["assert f(1) == 1"]},
        {"tests": SQUARES["tests"], "checker": {"source": "print('accept')"}},
    ],
)
def test_what_the_protocol_cannot_do_is_an_error(serve: Any, reference: Any) -> None:
    verdict = code.check(SQUARE, reference, isolation=serve(run))
    assert verdict.status == "error"
    assert "local" in verdict.reason
