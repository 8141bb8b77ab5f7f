from __future__ import annotations

import random
from typing import Any

import pytest

from r1train.summary import accuracy, compare, summarize


def row(problem: str, sample: int, value: float | None, **extra: Any) -> dict[str, Any]:
    """A scored math row; value None means that the math reward abstained."""
    status = "abstain" if value is None else "value"
    return {
        "problem_id": problem,
        "sample": sample,
        "task": "math",
        "domain": "math",
        "language": "en",
        "model": "m",
        "tokens": 10,
        "finish_reason": "stop",
        "reward": None if value is None else value + 1.0,
        "rewards": {"math": value, "format": 1.0},
        "verdicts": {
            "math": {"status": status, "value": value, "reason": "r"},
            "format": {"status": "value", "value": 1.0, "reason": "r"},
        },
    } | extra


def general(problem: str, reward: float, domain: str = "writing") -> dict[str, Any]:
    verdicts = {"helpful": {"status": "value", "value": reward, "reason": "r"}}
    return row(problem, 0, 1.0, task="general", domain=domain, reward=reward, language="zh") | {
        "rewards": {"helpful": reward},
        "verdicts": verdicts,
    }


def test_means_go_over_problems_not_samples() -> None:
    rows = [row("a", 0, 1), row("a", 1, 1), row("a", 2, 1), row("b", 0, 0)]
    summary = summarize(rows)
    assert (summary["model"], summary["samples"], summary["problems"]) == ("m", 3, 2)
    assert summary["all"]["accuracy"] == {"mean": 0.5, "low": 0.0, "high": 1.0}
    assert summary["all"]["reward"]["mean"] == 1.5
    assert summary["all"]["language"] is None


def test_a_missing_value_is_left_out_and_counted() -> None:
    failed = row("c", 0, None)
    failed["verdicts"]["math"]["status"] = "error"
    rows = [row("a", 0, 1), row("a", 1, None), row("b", 0, None), failed]
    figures = summarize(rows)["all"]
    assert figures["accuracy"]["mean"] == 1.0
    assert (figures["problems"], figures["abstained"], figures["errors"]) == (3, 2, 1)


def test_tasks_without_a_rule_have_no_accuracy() -> None:
    summary = summarize([general("g", 0.3), row("a", 0, 1)])
    assert summary["domains"]["writing"]["accuracy"] is None
    assert summary["domains"]["writing"]["reward"]["mean"] == 0.3
    assert summary["all"]["accuracy"]["mean"] == 1.0
    assert set(summary["languages"]) == {"en", "zh"}
    assert accuracy(general("g", 0.3)) is None


def test_tokens_and_truncation_go_over_samples() -> None:
    rows = [row("a", 0, 1, tokens=10), row("a", 1, 1, tokens=40, finish_reason="length")]
    figures = summarize(rows)["all"]
    assert (figures["tokens"], figures["truncated"]) == (25.0, 0.5)


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = [row(f"p{i}", s, float((i * 7 + s) % 3 > 0)) for i in range(30) for s in range(2)]
    shuffled = random.Random(0).sample(rows, len(rows))
    assert summarize(rows) == summarize(shuffled)
    assert compare(rows, rows[10:]) == compare(shuffled, rows[10:])


def test_no_rows_is_a_summary_too() -> None:
    summary = summarize([])
    assert summary["problems"] == 0
    assert summary["all"]["accuracy"] is None
    assert summary["domains"] == {}


def test_two_evaluations_are_compared_over_shared_problems() -> None:
    before = [row(f"p{i}", 0, 0.0) for i in range(20)] + [row("only-before", 0, 1.0)]
    after = [row(f"p{i}", 0, float(i % 4 > 0)) for i in range(20)] + [general("g", 1.0)]
    compared = compare(before, after)
    difference = compared["all"]["accuracy"]
    assert difference["problems"] == 20
    assert difference["difference"] == 0.75
    assert 0 < difference["low"] < 0.75 < difference["high"] < 1
    assert difference["p"] < 0.01
    assert compared["all"]["format"]["p"] == 1.0
    assert compared["all"]["language"] is None
    assert set(compared["domains"]) == {"math"}
    assert compared["domains"]["math"]["accuracy"] == pytest.approx(difference)
