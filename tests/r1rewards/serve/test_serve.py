"""The server, as its clients meet it: right answers, and clear ones to what is wrong, slow or too much."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from r1rewards.spec import load_spec

pytestmark = pytest.mark.slow

GOOD = "<think>t</think><answer>{}</answer>"


def row(n: int, said: object) -> dict[str, Any]:
    return {"id": f"r{n}", "task": "math", "reference": str(n), "response": GOOD.format(said)}


def post(server: Any, path: str, body: Any, **more: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json", **more.pop("headers", {})}
    return httpx.post(f"{server.url}{path}", content=content, headers=headers, timeout=60, **more)


def lives(server: Any) -> None:
    """It is up and grades rightly."""
    said = post(server, "/score", {"rows": [row(1, 1), row(2, 3)]}).json()
    assert [score["reward"] for score in said["scores"]] == [1.5, 0.5]
    assert httpx.get(f"{server.url}/health").json()["status"] == "ok"


def test_scores_are_those_of_the_engine(server: Any) -> None:
    rows = [row(n, n + n % 2) for n in range(20)] + [{"task": "general", "response": "no tags"}]
    said = post(server, "/score", {"rows": rows, "step": 3}).json()["scores"]
    rewards = {"math": {"required": True}, "choice": {}, "code": {}, "format": {"weight": 0.5}}
    with load_spec({"rewards": rewards}) as spec:
        scores = [score.to_row({}) for score in spec.score(rows)]
    for one in (*said, *scores):
        for verdict in one["verdicts"].values():
            verdict.get("details", {}).pop("seconds", None)
    assert said == json.loads(json.dumps(scores))


def test_openrlhf_asks_its_way(server: Any) -> None:
    body = {
        "query": ["<|user|>2?<|assistant|>" + GOOD.format(2) + "<|im_end|>"],
        "prompts": ["<|user|>2?<|assistant|>"],
        "labels": ['{"task": "math", "reference": "2"}'],
    }
    expected = {"rewards": [1.5], "scores": [1.0], "extra_logs": {"math": [1.0], "format": [1.0]}}
    assert post(server, "/get_reward", body).json() == expected
    said = post(server, "/get_reward", body | {"labels": ["2"]})
    assert said.status_code == 422
    assert "no 'task' in this row" in said.json()["error"]
    said = post(server, "/get_reward", body | {"prompts": ["other"]})
    assert "does not begin with its prompt" in said.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"{", 400, "the body is not JSON"),
        (b'{"rows": [NaN]}', 400, "the body is not JSON"),
        (b'{"rows": "\\ud800"}', 400, "the body is not JSON"),
        (b"\xff\xfe", 400, ""),
        (b"[" * 1_000_000, 400, ""),
        (b'{"rows": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, ""),
        ({}, 422, "rows: field required"),
        ({"rows": [1]}, 422, "rows.0: "),
        ({"rows": [], "stpe": 1}, 422, "stpe: "),
        ({"rows": [row(1, 1), {"task": "maths", "response": "x"}]}, 422, "rows[1]: task is 'maths'"),
        ({"rows": [{"task": "math", "response": "x"}]}, 422, "rows[0]: a math problem needs a reference"),
        ({"rows": [row(1, 1) | {"prompt": 5}]}, 422, "rows[0]: a prompt is text or a list"),
        ({"rows": [row(1, 1) | {"domain": [1]}]}, 422, "rows[0]: 'domain' must be text"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(server: Any, body: Any, status: int, sentence: str) -> None:
    said = post(server, "/score", body)
    assert said.status_code == status
    assert sentence in said.json()["error"]
    lives(server)


def test_another_path_or_method_is_an_error_too(server: Any) -> None:
    assert post(server, "/scores", {}).json() == {"error": "not found"}
    assert httpx.get(f"{server.url}/score").json() == {"error": "method not allowed"}


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def test_a_body_of_100_mb_is_refused_and_not_kept(server: Any) -> None:
    lives(server)
    before = resident_mb(server.process.pid)
    said = post(server, "/score", b'{"rows": ["' + b"x" * 100_000_000 + b'"]}')
    assert said.status_code == 413
    assert "longer than 4 MiB" in said.json()["error"]

    def chunks() -> Any:
        for _ in range(100):
            yield b"x" * 1_000_000

    said = httpx.post(f"{server.url}/score", content=chunks(), timeout=60)  # of a length that it does not say
    assert said.status_code == 413
    assert resident_mb(server.process.pid) < before + 30
    lives(server)


def test_slow_clients_hold_up_nobody(server: Any) -> None:
    slow = [socket.create_connection((server.host, server.port)) for _ in range(50)]
    head = (
        b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    )
    for number, client in enumerate(slow):
        client.sendall(head[: None if number % 2 else 20] + (b'{"rows"' if number % 2 else b""))
    lives(server)
    slow[1].settimeout(30)
    said = slow[1].recv(65536)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 2 s" in said or b"did not arrive within 2 s" in slow[1].recv(65536)
    for client in slow:
        client.close()  # without a word
    lives(server)


def children(pid: int) -> list[int]:
    """The processes below one, at any depth; threads and processes that end meanwhile are passed over."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for child in (task / "children").read_text().split():
                    found += [int(child), *children(int(child))]
    return found


def code(program: str) -> dict[str, Any]:
    said = GOOD.format(f"```python\n{program}\n```")
    return {"task": "code", "reference": {"tests": [{"input": "1", "output": "2"}]}, "response": said}


def test_a_killed_worker_is_replaced(server: Any) -> None:
    right = code("print(int(input()) + 1)")
    first = post(server, "/score", {"rows": [right]}).json()["scores"][0]
    assert first["reward"] == 1.5
    workers = children(server.process.pid)
    assert workers
    for pid in workers:
        with contextlib.suppress(ProcessLookupError):  # it went with its parent
            os.kill(pid, signal.SIGKILL)
    again = post(server, "/score", {"rows": [right]}).json()["scores"][0]
    assert (again["reward"], again["status"]) == (1.5, "ok")
    lives(server)


def test_a_worker_that_is_killed_at_work_is_an_error_or_tried_again(server: Any) -> None:
    slow = code("import time\ntime.sleep(1.5)\nprint(2)")
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(post(server, "/score", {"rows": [slow]})))
    asking.start()
    time.sleep(0.7)
    workers = children(server.process.pid)
    assert workers
    for pid in workers:
        with contextlib.suppress(ProcessLookupError):  # it went with its parent
            os.kill(pid, signal.SIGKILL)
    asking.join()
    (score,) = answers[0].json()["scores"]
    assert (score["reward"], score["status"]) in [(1.5, "ok"), (None, "error")]  # never a 0
    lives(server)


def test_a_token_is_asked_for(tmp_path: Path, start: Any) -> None:
    with start(tmp_path, "--token", "s3cret") as server:
        assert httpx.get(f"{server.url}/health").status_code == 200
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic !!"}):
            said = post(server, "/score", {"rows": [row(1, 1)]}, headers=headers)
            assert (said.status_code, said.headers["www-authenticate"]) == (401, "Bearer")
            assert "token" in said.json()["error"]
        bearer = {"authorization": "Bearer s3cret"}
        assert post(server, "/score", {"rows": [row(1, 1)]}, headers=bearer).status_code == 200
        assert post(server, "/score", {"rows": [row(1, 1)]}, auth=("user", "s3cret")).status_code == 200


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_last_answer(tmp_path: Path, start: Any, end: signal.Signals) -> None:
    with start(tmp_path, "--task", "choice") as server:
        assert post(server, "/score", {"rows": [{"response": GOOD.format("B"), "reference": "B"}]}).json()
        server.process.send_signal(end)
        assert server.process.wait(timeout=60) in (130, -end)
        assert server.process.stderr.read() == ""


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path, server: Any) -> None:
    (tmp_path / "spec.yaml").write_text("rewards: {format: {}}")
    argv = ["-m", "r1rewards", "serve", str(tmp_path / "spec.yaml"), "--port", str(server.port)]
    done = subprocess.run([sys.executable, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"127.0.0.1:{server.port} cannot be served on" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_does_not_need_the_extra() -> None:
    code = (
        "import sys\n"
        "sys.modules['fastapi'] = None\n"
        "sys.argv = ['r1rewards', 'serve', 'spec.yaml']\n"
        "from r1rewards.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "r1rewards: the server needs the extra `serve`: pip install 'r1kit[serve]'\n"
