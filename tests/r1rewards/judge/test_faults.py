"""Judging a file over a server that fails in every way a server can, and over kills."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from r1rewards.core.store import read_rows, write_rows
from tests.r1rewards.judge.test_judge import fenced
from tests.r1rewards.llm.test_endpoint import Server, reply, serving


def judges(body: dict[str, Any], number: int) -> tuple[int, Any]:
    """The verdict is in the answer: correct where its number is even."""
    answer = fenced(body["messages"][-1]["content"], "answer")
    word = "incorrect" if int(answer.rpartition(" ")[2]) % 2 else "correct"
    return 200, reply(body, content=json.dumps({"analysis": answer, "verdict": word}))


def failing(body: dict[str, Any], number: int) -> tuple[int, Any]:
    """Every fifth request fails, in five ways by turns."""
    if number % 5:
        return judges(body, number)
    way = number // 5 % 5
    if way == 0:
        return 500, "boom"
    if way == 1:
        return 503, "loading"
    if way == 2:
        return 200, '{"choices": [{"message": {"content": "{'  # cut off
    if way == 3:
        return 200, {"object": "error"}  # another form
    return -1, json.dumps(judges(body, number)[1])  # the line is cut in the middle of the body


def rows(count: int) -> list[dict[str, Any]]:
    made = []
    for n in range(count):
        response = f"<think>t</think><answer>answer {n}</answer>"
        made.append({"id": str(n), "task": "general", "prompt": "q", "reference": "r", "response": response})
    return made


def command(folder: Path, url: str, *more: str) -> list[str]:
    files = [str(folder / "rows.jsonl"), "-o", str(folder / "out.jsonl")]
    return [sys.executable, "-m", "r1rewards", "judge", *files, "--url", url, "--model", "m", "--json", *more]


def verdicts(folder: Path, count: int) -> None:
    """Every row once, in order, with a value."""
    judged = list(read_rows(folder / "out.jsonl"))
    assert [one["id"] for one in judged] == [str(n) for n in range(count)]
    assert [one["verdict"]["value"] for one in judged] == [float(n % 2 == 0) for n in range(count)]


@contextmanager
def recorded(folder: Path) -> Iterator[Counter[str]]:
    """How often each answer was asked about and recorded."""
    lines = read_rows(folder / "out.jsonl.calls.jsonl")
    yield Counter(fenced(line["request"]["prompt"][0]["content"], "answer") for line in lines)


def answered(server: Server) -> Counter[str]:
    return Counter(fenced(body["messages"][-1]["content"], "answer") for body in server.asked)


def judge(folder: Path, server: Server, *more: str) -> dict[str, Any]:
    done = subprocess.run(command(folder, server.url, *more), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.slow
def test_five_thousand_calls_of_which_a_fifth_fail_in_five_ways(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", rows(5000))
    with serving(failing) as server:
        said = judge(tmp_path, server, "--concurrency", "64")
        assert len(server.asked) > 6000
    assert said == {"graded": 5000, "mean": 0.5, "abstained": 0, "errors": 0}
    verdicts(tmp_path, 5000)
    with recorded(tmp_path) as calls:
        assert len(calls) == 5000
        assert set(calls.values()) == {1}


@pytest.mark.slow
def test_a_kill_in_the_middle_asks_only_for_the_rest(tmp_path: Path) -> None:
    def slow(body: dict[str, Any], number: int) -> tuple[int, Any]:
        time.sleep(0.01)
        return failing(body, number)

    write_rows(tmp_path / "rows.jsonl", rows(600))
    record = tmp_path / "out.jsonl.calls.jsonl"
    with serving(slow) as server:
        given = command(tmp_path, server.url, "--concurrency", "8")
        process = subprocess.Popen(given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not record.exists() or record.read_bytes().count(b"\n") < 200:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = record.read_bytes()
        done = before.count(b"\n")
        assert 200 <= done < 600
        with server.lock:
            server.asked.clear()
        judge(tmp_path, server)
        with server.lock:
            again = answered(server)
    assert record.read_bytes().startswith(before[: before.rindex(b"\n") + 1])
    assert len(again) == 600 - done
    verdicts(tmp_path, 600)
    with recorded(tmp_path) as calls:
        assert (len(calls), set(calls.values())) == (600, {1})


@pytest.mark.slow
def test_rows_that_are_never_answered_end_as_named_errors(tmp_path: Path) -> None:
    def poisoned(body: dict[str, Any], number: int) -> tuple[int, Any]:
        answer = fenced(body["messages"][-1]["content"], "answer")
        n = int(answer.rpartition(" ")[2])
        return (400, "content policy") if n == 3 else judges(body, number)

    write_rows(tmp_path / "rows.jsonl", [*rows(8), {**rows(1)[0], "id": "8", "reference": ""}])
    with serving(poisoned) as server:
        given = command(tmp_path, server.url)
        done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout) == {"graded": 7, "mean": pytest.approx(4 / 7), "abstained": 1, "errors": 1}
    wrong = [one for one in read_rows(tmp_path / "out.jsonl") if one["verdict"]["status"] == "error"]
    assert [(one["id"], one["verdict"]["route"]) for one in wrong] == [("3", "call")]
    assert "content policy" in wrong[0]["verdict"]["reason"]


@pytest.mark.slow
def test_a_record_answers_without_a_server(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", rows(20))
    with serving(judges) as server:
        first = judge(tmp_path, server)
        (tmp_path / "out.jsonl").unlink()
    done = subprocess.run(
        command(tmp_path, "http://127.0.0.1:9"), capture_output=True, text=True, check=False
    )
    assert (done.returncode, json.loads(done.stdout)) == (0, first)
    verdicts(tmp_path, 20)
