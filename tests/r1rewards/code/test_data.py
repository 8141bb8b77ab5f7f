"""Canonical solutions of public benchmarks pass, and known bugs fail."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from r1rewards import code
from r1rewards.core.verdict import Verdict

DATA = Path(os.environ.get("R1KIT_DATA", Path(__file__).parents[4] / "shared" / "data"))
#: The solutions that need a package: md5 from npm, boost's headers.
NEEDS_A_PACKAGE = {"JavaScript/162", "CPP/22"}

pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(not (DATA / "humaneval.jsonl.gz").exists(), reason=f"no test data in {DATA}"),
    pytest.mark.skipif("code.pool.POOL.best_tier()[0] == 'C'", reason="no safe sandbox on this machine"),
]

#: Makes of generators and tuples the lists that QuixBugs' expected values are.
PLAIN = """
def plain(x):
    lists = hasattr(x, "__next__") or isinstance(x, (list, tuple))
    return [plain(item) for item in x] if lists else x
"""


def rows(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


def graded(items: list[tuple[str, dict[str, Any]]], time_s: float = 10) -> list[Verdict]:
    return code.check_many(items, limits={"time_s": time_s, "program_s": 300})


def failed(names: list[str], verdicts: list[Verdict]) -> dict[str, str]:
    return {name: v.reason for name, v in zip(names, verdicts, strict=True) if v.value != 1}


def test_humaneval() -> None:
    problems = rows("humaneval")
    items = [
        (
            row["prompt"] + row["canonical_solution"],
            {"setup": row["test"], "asserts": [f"check({row['entry_point']})"]},
        )
        for row in problems
    ]
    assert not failed([row["task_id"] for row in problems], graded(items))


def test_mbpp() -> None:
    problems = rows("mbpp_odd")
    items = [
        (row["code"], {"setup": row["test_setup_code"], "asserts": row["test_list"]}) for row in problems
    ]
    assert not failed([str(row["task_id"]) for row in problems], graded(items))


def test_cruxeval() -> None:
    problems = rows("cruxeval")
    items = [(row["code"], {"asserts": [f"assert f({row['input']}) == {row['output']}"]}) for row in problems]
    assert not failed([row["id"] for row in problems], graded(items))


@pytest.mark.long
def test_codecontests() -> None:
    problems = rows("codecontests_solved_half")
    verdicts = graded([(row["solution"], {"tests": row["tests"]}) for row in problems])
    assert not failed([row["task_id"] for row in problems], verdicts)


def quixbugs(row: dict[str, Any]) -> dict[str, Any]:
    """Its cases as asserts; square roots are compared within the tolerance that the case gives."""
    asserts = []
    for case in row["cases"]:
        call = f"plain({row['entry_point']}(*{case['args']!r}))"
        within = (
            f" or abs(got - {case['expected']!r}) <= {case['args'][-1]!r}"
            if row["entry_point"] == "sqrt"
            else ""
        )
        asserts.append(f"got = {call}\nassert got == {case['expected']!r}{within}")
    return {"setup": PLAIN, "asserts": asserts}


#: Cases, by their places, that ask more of the correct program than any limit allows: a table of 150 million
#: entries, and a recursion that takes minutes.
BEYOND_LIMITS = {"QuixBugs/knapsack": 9, "QuixBugs/levenshtein": 3}


@pytest.mark.long
def test_quixbugs() -> None:
    problems = rows("quixbugs_python")
    for row in problems:
        if row["task_id"] in BEYOND_LIMITS:
            del row["cases"][BEYOND_LIMITS[row["task_id"]]]
    names = [row["task_id"] for row in problems]
    assert not failed(names, graded([(row["correct"], quixbugs(row)) for row in problems], time_s=60))
    buggy = graded([(row["buggy"], quixbugs(row)) for row in problems], time_s=2)
    assert [verdict.value for verdict in buggy] == [0.0] * len(problems)


@pytest.mark.skipif(not os.access("/usr/bin/node", os.X_OK), reason="node is missing")
def test_humaneval_x_javascript() -> None:
    problems = rows("humaneval_x_js")
    items = [
        (
            row["prompt"] + row["canonical_solution"] + row["test"],
            {"lang": "javascript", "tests": [{"input": "", "output": ""}]},
        )
        for row in problems
    ]
    assert failed([row["task_id"] for row in problems], graded(items)).keys() <= NEEDS_A_PACKAGE


@pytest.mark.long
@pytest.mark.skipif(not os.access("/usr/bin/g++", os.X_OK), reason="g++ is missing")
def test_humaneval_x_cpp() -> None:
    problems = rows("humaneval_x_cpp")[:40]
    items = [
        (
            row["prompt"] + row["canonical_solution"] + row["test"],
            {"lang": "cpp", "tests": [{"input": "", "output": ""}]},
        )
        for row in problems
    ]
    assert failed([row["task_id"] for row in problems], graded(items)).keys() <= NEEDS_A_PACKAGE
