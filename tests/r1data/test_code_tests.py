"""Tests of code problems: made by generators and changes, checked by right solutions, kept for wrong ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1data.code_tests import make_tests
from r1data.examine import Settings
from r1rewards import code
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows
from tests.r1data.test_model_commands import saying
from tests.r1data.test_model_steps import Scripted
from tests.r1rewards.llm.test_endpoint import serving

pytestmark = pytest.mark.skipif(
    "code.pool.POOL.best_tier()[0] == 'C'",
    reason="no safe sandbox on this machine",
)

#: The largest of some numbers; the second line holds them.
RIGHT = [
    "input()\nprint(max(map(int, input().split())))",
    "n = input()\nprint(sorted(map(int, input().split()))[-1])",
]
FROM_ZERO = "input()\nbest = 0\nfor x in map(int, input().split()):\n    best = max(best, x)\nprint(best)"
LAST = "input()\nprint(input().split()[-1])"
GENERATOR = """Here it is.
```python
import random
seed = int(input())
random.seed(seed)
if seed == 3:
    raise SystemExit("no such input")
print(3)
print(*(random.randint(-50, -1 if seed % 2 else 50) for _ in range(3)))
```"""
TEST = {"input": "3\n1 5 2", "output": "5"}
PROBLEM = {
    "id": "max",
    "task": "code",
    "prompt": "Print the largest number.",
    "reference": {"tests": [TEST]},
    "source": "mine",
}
SUBMISSIONS = [
    *({"id": "max", "program": program, "correct": 1} for program in RIGHT),
    *({"id": "max", "program": program, "correct": 0} for program in (FROM_ZERO, LAST)),
    {"id": "max", "program": "never looked at", "correct": None},
    {"id": "max", "program": "class Main {}", "correct": 1, "lang": "java"},
]


@pytest.fixture
def submissions(tmp_path: Path) -> Path:
    write_rows(tmp_path / "submissions.jsonl", SUBMISSIONS)
    return tmp_path / "submissions.jsonl"


def made(folder: Path, problems: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    model = Scripted(lambda prompt: GENERATOR)
    asking = {"model": lambda: model, "name": "m", "generators": 1, **more}
    return make_tests(problems, folder, **asking)


def lines(folder: Path) -> list[dict[str, Any]]:
    return list(read_rows(folder / "candidates.parquet"))


def test_new_tests_expose_what_the_old_ones_did_not(tmp_path: Path, submissions: Path) -> None:
    settings = Settings(each=6, mutations=4)
    counts = made(tmp_path / "out", [PROBLEM], submissions=submissions, settings=settings, count=5)
    assert counts["wrong_solutions"] == {"known": 2, "exposed_by_given": 1, "exposed": 2}
    (row,) = read_rows(tmp_path / "out" / "kept.parquet")
    assert row["reference"]["tests"][0] == TEST
    assert len(row["reference"]["tests"]) == 5
    assert [code.check(program, row["reference"]).value for program in RIGHT] == [1, 1]
    assert [code.check(program, row["reference"]).value for program in (FROM_ZERO, LAST)] == [0, 0]
    found = lines(tmp_path / "out")
    assert sum(counts["candidates"].values()) == len(found) == 1 + 6 + 4
    assert {line["rule"] for line in found} == {None, "generator_failed", "over_count"}
    (failed,) = (line for line in found if line["rule"] == "generator_failed")
    assert (failed["origin"], failed["span"]) == ("generator 1, seed 3", "runtime")
    (ledger,) = read_rows(tmp_path / "out" / "ledger.parquet")
    assert (ledger["fate"], ledger["value"]) == ("kept", 5)


def test_a_problem_without_tests_gets_some(tmp_path: Path, submissions: Path) -> None:
    bare = {**PROBLEM, "reference": {}}
    counts = made(tmp_path / "out", [bare], submissions=submissions, settings=Settings(each=5, mutations=2))
    assert counts["wrong_solutions"]["exposed"] == 2
    (row,) = read_rows(tmp_path / "out" / "kept.parquet")
    assert len(row["reference"]["tests"]) == 6
    assert {line["origin"].split()[0] for line in lines(tmp_path / "out")} == {"generator", "mutation"}


def test_what_right_solutions_do_not_agree_on_goes(tmp_path: Path, submissions: Path) -> None:
    """A given test whose output is wrong, and an input on which the right ones part."""
    tests = [{"input": "2\n1 2", "output": "1"}, TEST, {"input": "1\nx", "output": "x"}, TEST]
    problem = {**PROBLEM, "reference": {"tests": tests}}
    settings = Settings(mutations=0)
    make_tests([problem], tmp_path / "out", submissions=submissions, settings=settings)
    assert [line["rule"] for line in lines(tmp_path / "out")] == [
        "disputed",
        None,
        "right_failed",
        "repeated",
    ]
    (row,) = read_rows(tmp_path / "out" / "kept.parquet")
    assert row["reference"]["tests"] == [TEST]
    part = [
        {"id": "max", "program": RIGHT[0], "correct": 1},
        {"id": "max", "program": "n = int(input())\nprint(5 if n == 3 else 7)", "correct": True},
    ]
    write_rows(tmp_path / "part.jsonl", part)
    problem = {**PROBLEM, "reference": {"tests": [tests[0]]}}
    counts = make_tests([problem], tmp_path / "none", submissions=tmp_path / "part.jsonl", settings=settings)
    assert counts["rules"] == {"no_tests": 1}


def test_too_few_right_solutions_change_nothing(tmp_path: Path) -> None:
    one = {**PROBLEM, "meta": {"solution": RIGHT[0]}}
    bare = {**one, "id": "bare", "reference": {"tests": []}}
    other = {"id": "q", "task": "general", "prompt": "Hello", "source": "mine"}
    calls = {**PROBLEM, "id": "calls", "reference": {"asserts": ["assert f(1) == 2"]}}
    counts = make_tests([one, bare, other, calls], tmp_path / "out")
    assert counts["rules"] == {"few_solutions": 1}
    kept = list(read_rows(tmp_path / "out" / "kept.parquet"))
    assert [row["reference"] for row in kept] == [one["reference"], None, calls["reference"]]
    (first, second, *_) = read_rows(tmp_path / "out" / "ledger.parquet")
    assert (first["value"], first["threshold"], "too few" in first["span"]) == (1, 2, True)
    assert (second["value"], second["threshold"]) == (1, 2)
    counts = make_tests([one, bare], tmp_path / "one", agree=1)
    assert (counts["candidates"]["given"], counts["rules"]) == (1, {"no_tests": 1})


def test_deciding_again_runs_and_asks_nothing(
    tmp_path: Path, submissions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(each=4, mutations=2)
    made(tmp_path / "out", [PROBLEM], submissions=submissions, settings=settings)
    first = lines(tmp_path / "out")

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a program was run again")

    monkeypatch.setattr(code, "check", never)
    monkeypatch.setattr(code, "outputs", never)
    counts = made(
        tmp_path / "out", [PROBLEM], submissions=submissions, settings=settings, count=1, model=never
    )
    assert counts["candidates"]["over_count"] > 0
    assert [line["input"] for line in lines(tmp_path / "out")] == [line["input"] for line in first]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"id": "max", "correct": 1}, r"submissions.jsonl, line 1: a submission has"),
        ({"id": "max", "program": "x"}, r"line 1: nothing says whether"),
        ({"program": "x", "correct": 1}, r"line 1: a submission has"),
    ],
)
def test_submissions_that_are_none_are_named(tmp_path: Path, line: dict[str, Any], why: str) -> None:
    write_rows(tmp_path / "submissions.jsonl", [line])
    with pytest.raises(UserError, match=why):
        make_tests([PROBLEM], tmp_path / "out", submissions=tmp_path / "submissions.jsonl")


def test_the_command(r1data: Callable[..., tuple[int, str, str]]) -> None:
    write_rows("problems.jsonl", [PROBLEM])
    write_rows("submissions.jsonl", [{**one, "right": one["correct"]} for one in SUBMISSIONS])
    given = ("--model", "m", "--submissions", "submissions.jsonl", "--map-submissions", "correct=right")
    with serving(saying(lambda prompt: GENERATOR)) as server:
        code_, said, told = r1data(
            "tests", "problems.jsonl", "--url", server.url, *given, "-o", "out", "--json"
        )
    assert code_ == 0, told
    assert json.loads(said)["wrong_solutions"] == {"known": 2, "exposed_by_given": 1, "exposed": 2}
    code_, said, _ = r1data("show", "out/candidates.parquet", "--where", "origin=given", "-n", "1")
    assert "exposes: 1" in said
    assert r1data("tests", "problems.jsonl", "-o", "two")[0] == 0
