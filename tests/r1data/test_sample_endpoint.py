"""`r1data sample --url`: over endpoints that fail now and then, and over a real `vllm serve`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1rewards.core.store import read_rows, write_rows
from tests.conftest import VllmServe
from tests.r1rewards.llm.test_endpoint import fine, serving

PROBLEMS = [
    {"id": f"p{n}", "task": "math", "prompt": f"What is {n} + 1?", "reference": str(n + 1)} for n in range(8)
]


@pytest.fixture(autouse=True)
def problems(tmp_path: Path) -> None:
    write_rows(tmp_path / "problems.jsonl", PROBLEMS)


def test_sampling_goes_on_where_the_servers_stopped(r1data: Callable[..., tuple[int, str, str]]) -> None:
    def some_fail(body: dict[str, Any], number: int) -> tuple[int, Any]:
        return (404, "gone") if number == 20 else (503, "busy") if number % 5 == 2 else fine(body, number)

    with serving(some_fail) as one, serving(fine) as two:
        given = ("--url", one.url, "--model", "m", "-n", "6", "--concurrency", "3")
        code, _, said = r1data("sample", "problems.jsonl", "-o", "out.jsonl", *given)
        assert (code, "refuses: status 404 (gone)" in said) == (2, True), said
        written = Path("out.jsonl").read_bytes()
        before = written.count(b"\n")
        assert 0 < before < 48
        code, said, _ = r1data("sample", "problems.jsonl", "-o", "out.jsonl", *given, "--url", two.url)
        assert (code, said) == (0, f"48 responses, {7 * (48 - before):,} new tokens\n")
    assert Path("out.jsonl").read_bytes().startswith(written)
    rows = list(read_rows("out.jsonl"))
    assert len({row["uid"] for row in rows}) == len({(r["problem_id"], r["sample"]) for r in rows}) == 48
    assert {row["tokens"] for row in rows} == {7}


def test_a_problem_that_stands_there_twice_is_named(r1data: Callable[..., tuple[int, str, str]]) -> None:
    write_rows("problems.jsonl", [*PROBLEMS, PROBLEMS[2]])
    with serving(fine) as server:
        given = ("--url", server.url, "--model", "m")
        code, _, said = r1data("sample", "problems.jsonl", "-o", "out.jsonl", *given)
    assert (code, said) == (2, "r1data: the problem 'p2' stands there twice; leave one out (r1data dedup)\n")


@pytest.mark.parametrize(
    ("given", "why"),
    [((), "name a model"), (("--url", "nowhere"), "'nowhere' is no URL")],
)
def test_without_a_model_there_is_one_sentence(
    r1data: Callable[..., tuple[int, str, str]], given: tuple[str, ...], why: str
) -> None:
    code, _, said = r1data("sample", "problems.jsonl", "-o", "out.jsonl", *given)
    assert code == 2
    assert why in said


@pytest.mark.long
def test_a_real_vllm_server(
    tiny_model: Path, vllm_serve: VllmServe, r1data: Callable[..., tuple[int, str, str]]
) -> None:
    with vllm_serve(tiny_model, "--max-model-len", "256") as url:
        given = ("--url", url, "-n", "4", "--max-tokens", "16", "--json")
        code, said, told = r1data("sample", "problems.jsonl", "-o", "out.jsonl", *given)
        assert code == 0, told
        rows = list(read_rows("out.jsonl"))
        assert json.loads(said) == {"responses": 32, "new tokens": sum(row["tokens"] for row in rows)}
        assert {row["model"] for row in rows} == {"served"}
        assert all(0 < row["tokens"] <= 16 for row in rows)
        assert {row["finish_reason"] for row in rows} <= {"stop", "length"}
        texts = {row["uid"]: row["text"] for row in rows}
        assert r1data("sample", "problems.jsonl", "-o", "again.jsonl", *given)[0] == 0
        again = {row["uid"]: row["text"] for row in read_rows("again.jsonl")}
        assert set(again) == set(texts)
        write_rows("long.jsonl", [{**PROBLEMS[0], "prompt": "What is 1 + 1? " * 400}])
        code, _, told = r1data("sample", "long.jsonl", "-o", "long-out.jsonl", *given)
        assert code == 0, told
        assert {row["finish_reason"] for row in read_rows("long-out.jsonl")} == {"prompt_too_long"}
