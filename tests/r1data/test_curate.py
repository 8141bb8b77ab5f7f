"""Signals are measured once, rules decide in order, and no failed grader passes for a wrong answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from r1data import table as table_module
from r1data.curate import curate
from r1data.ruleset import RuleSet, load_rules, shipped
from r1rewards.component import Component
from r1rewards.core.errors import GraderError, UserError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.store import read_rows
from r1rewards.core.template import get_template
from r1rewards.core.verdict import Verdict
from r1rewards.spec import Spec

PROSE = "First I read the question with care, and then I add the two numbers that it gives me, one by one."


class Exact(Reward):
    """1 where the answer is the reference; it fails on "fail" and does not know about "skip"."""

    def __init__(self) -> None:
        self.calls = 0

    def check(self, sample: Sample) -> Verdict:
        self.calls += 1
        if sample.trace.answer == "fail":
            raise GraderError("broken on purpose")
        if sample.trace.answer == "skip":
            return Verdict.abstain("no idea")
        return Verdict.of(sample.trace.answer == sample.reference, "compared")


def spec_of(reward: Reward) -> Spec:
    return Spec([Component("math", reward, tasks=frozenset({"math"}))], get_template("think-answer"))


def row(number: int, answer: str = "2", thinking: str = PROSE, **more: Any) -> dict[str, Any]:
    text = f"<think>{thinking}</think><answer>{answer}</answer>"
    problem = {
        "id": f"p{number}",
        "task": "math",
        "prompt": "What is 1+1?",
        "reference": "2",
        "language": "en",
    }
    return {**problem, "uid": f"u{number}", "text": text, **more}


def fates_of(rows: list[dict[str, Any]], tmp_path: Path, rules: Any = "cold-start") -> list[str]:
    with spec_of(Exact()) as spec:
        curate(rows, rules, tmp_path / "out", spec=spec)
    return [line["rule"] or line["fate"] for line in read_rows(tmp_path / "out" / "ledger.parquet")]


def test_cold_start_drops_what_the_paper_names(tmp_path: Path) -> None:
    chinese = "首先我仔细阅读题目，然后把题目给出的两个数字一个一个地加起来，最后检查一遍。"
    rows = [
        row(0),
        row(1, "3"),
        row(2, finish_reason="length"),
        row(3, text="2"),
        row(4, "fail"),
        row(5, "skip"),
        row(6, thinking=chinese),
        row(7, thinking=" ".join([PROSE] * 12)),
        row(8, thinking=PROSE + "\n```python\nprint(1+1)\n```\n"),
        row(9, thinking=" ".join(f"{PROSE} Step {n} gives {n * 7} and {n * n}." for n in range(45))),
    ]
    assert fates_of(rows, tmp_path) == [
        "kept",
        "wrong",
        "truncated",
        "malformed",
        "grader_error",
        "ungraded",
        "wrong_language",
        "repetitive",
        "code_in_thinking",
        "repetitive",
    ]


def test_general_rows_need_no_reference_and_may_be_without_thinking(tmp_path: Path) -> None:
    rows = [
        {
            "id": "a",
            "task": "general",
            "prompt": "hello",
            "text": "<answer>Hi there!</answer>",
            "thinking": "none",
        },
        {"id": "b", "task": "general", "prompt": "hello", "text": "<answer> </answer>", "thinking": "none"},
    ]
    assert fates_of(rows, tmp_path, "general") == ["kept", "malformed"]


def test_kept_rows_carry_reward_and_correctness(tmp_path: Path) -> None:
    fates_of([row(0), row(1)], tmp_path)
    kept = list(read_rows(tmp_path / "out" / "kept.parquet"))
    assert [(one["reward"], one["correct"]) for one in kept] == [(1.0, 1.0), (1.0, 1.0)]


def test_another_threshold_does_not_measure_again(tmp_path: Path) -> None:
    reward = Exact()
    rows = [row(number, str(number)) for number in range(5)]
    rules = load_rules("cold-start").model_dump()
    with spec_of(reward) as spec:
        curate(rows, rules, tmp_path / "out", spec=spec)
        measured = reward.calls
        assert measured == 5
        rules["rules"] = [{"name": "wrong", "signal": "correct", "keep": "< 1"}]
        assert curate(rows, rules, tmp_path / "out", spec=spec)["kept"] == 4
        assert reward.calls == measured
        curate(rows[:3], rules, tmp_path / "out", spec=spec)
        assert reward.calls > measured


def test_shards_of_a_stopped_run_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "CHUNK_ROWS", 4)
    rows = [row(number, thinking=f"{PROSE} Number {number}.") for number in range(10)]

    class Stopped(Exact):
        def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
            if any(sample.id == "u9" for sample in samples) and self.calls < 10:
                raise UserError("stopped on purpose")
            return super().check_many(samples)

    with pytest.raises(UserError, match="on purpose"), spec_of(Stopped()) as spec:
        curate(rows, "cold-start", tmp_path / "out", spec=spec)
    again = Stopped()
    again.calls = 10
    with spec_of(again) as spec:
        curate(rows, "cold-start", tmp_path / "out", spec=spec)
    assert again.calls == 12  # the last shard only
    with spec_of(Stopped()) as spec, pytest.raises(UserError, match="on purpose"):
        curate(rows[1:], "cold-start", tmp_path / "out", spec=spec)
    signals = pl.read_parquet(tmp_path / "out" / "signals")
    assert signals["uid"].to_list() == [f"u{number}" for number in range(10)]


@pytest.mark.parametrize("name", shipped())
def test_shipped_rule_sets_load(name: str) -> None:
    assert load_rules(name).name == name


def test_the_first_broken_rule_is_the_fate() -> None:
    rules = RuleSet.model_validate(
        {
            "name": "test",
            "spec": {},
            "rules": [
                {"name": "low", "signal": "x", "keep": ">= 1", "tasks": ["math"]},
                {"name": "high", "signal": "x", "keep": "<= 5", "missing": "unknown"},
                {"name": "flagged", "signal": "flag", "keep": "== 0"},
            ],
        }
    )
    frame = pl.DataFrame(
        {
            "task": ["math", "math", "code", "code", "code"],
            "domain": ["math", "math", "code", "code", "code"],
            "x": [0.5, 7.0, 0.5, None, 2.0],
            "flag": [True, True, False, False, True],
        }
    )
    decided = rules.decide(frame)
    assert decided["rule"].to_list() == ["low", "high", None, "unknown", "flagged"]
    assert decided["value"].to_list() == [0.5, 7.0, None, None, 1.0]
    assert decided["threshold"].to_list() == [1.0, 5.0, None, 5.0, 0.0]


def test_mistakes_in_rules_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'cold-start'"):
        load_rules("cold-strat")
    wrong = {
        "name": "x",
        "spec": {"rewards": {"format": {}}},
        "rules": [{"name": "r", "signal": "s", "keep": "high"}],
    }
    with pytest.raises(UserError, match="no comparison"):
        load_rules(wrong)
    wrong["rules"] = [{"name": "r", "signal": "repetitoin", "keep": "< 1"}]
    with pytest.raises(UserError, match="did you mean 'repetition'"):
        curate([row(0)], wrong, tmp_path / "out")
