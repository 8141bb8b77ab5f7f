from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from r1rewards import math
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


def answered(problem: str, answers: list[str], gold: str = "1/2", **extra: Any) -> list[dict[str, Any]]:
    """Samples of one math problem with these extracted answers, graded as the math reward grades them."""
    rows = []
    for sample, answer in enumerate(answers):
        value = math.check(f"\\boxed{{{answer}}}", gold).value if answer else 0.0
        rows.append(row(problem, sample, value, **extra))
        rows[-1]["verdicts"]["math"]["details"] = {"extracted": answer}
    return rows


def test_votes_are_counted_by_the_equality_of_the_math_reward() -> None:
    """0.5, 1/2 and \\frac12 are three votes for one answer, which beats two for 7; silence does not vote."""
    won = answered("won", ["7", "0.5", "7", "\\frac{1}{2}", "1/2", ""])
    lost = answered("lost", ["7", "7", "7", "0.5", "3", "2"])
    silent = answered("silent", [""] * 6)
    figures = summarize(won + lost + silent)["all"]
    assert figures["accuracy"]["mean"] == pytest.approx((3 + 1 + 0) / 18)
    assert figures["cons@6"]["mean"] == pytest.approx(1 / 3)
    assert [name for name in figures if "@" in name] == ["pass@2", "pass@4", "pass@6", "cons@6"]


def test_pass_at_k_is_the_estimator_of_the_codex_paper() -> None:
    """Its own numerically stable form (Chen et al. 2021, figure 3), over problems with c of 8 right."""
    rows = [row(f"p{c}", s, float(s < c)) for c in range(9) for s in range(8)]
    figures = summarize(rows)["all"]
    for k in (2, 4, 8):
        published = [1.0 if 8 - c < k else 1 - np.prod(1 - k / np.arange(9 - c, 9)) for c in range(9)]
        assert figures[f"pass@{k}"]["mean"] == pytest.approx(np.mean(published))


def test_a_sample_that_could_not_be_graded_is_none_of_k() -> None:
    rows = [row("a", 0, 1), row("a", 1, 0), row("a", 2, None)]
    figures = summarize(rows)["all"]
    assert figures["pass@2"]["mean"] == 1.0
    assert figures["pass@3"] is None


def test_only_answers_that_can_be_equal_are_voted_on() -> None:
    code = [row("c", s, 1.0, task="code", domain="code") for s in range(3)]
    for one in code:
        one["rewards"]["code"] = 1.0
    figures = summarize(code)["all"]
    assert figures["pass@3"]["mean"] == 1.0
    assert figures["cons@3"] is None


def test_several_samples_are_compared_too() -> None:
    before = [one for n in range(6) for one in answered(f"p{n}", ["1", "2", "0.5"])]
    after = [one for n in range(6) for one in answered(f"p{n}", ["0.5", "1/2", "7"])]
    compared = compare(before, after)["all"]
    assert (compared["cons@3"]["difference"], compared["pass@3"]["difference"]) == (1.0, 0.0)
    assert compared["pass@2"]["difference"] == pytest.approx(1 / 3)


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
