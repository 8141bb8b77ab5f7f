"""What many scores come to, whoever counted them."""

from __future__ import annotations

import time
from typing import Any

from r1rewards.component import Component
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.template import get_template
from r1rewards.core.verdict import Verdict
from r1rewards.score import Score
from r1rewards.spec import Spec
from r1rewards.summary import Summary


class Sleeps(Reward):
    """Sleeps as many seconds as the response says; `error` fails."""

    def check(self, sample: Sample) -> Verdict:
        if sample.text == "error":
            return Verdict.error("asked to")
        time.sleep(float(sample.text))
        return Verdict.of(1, f"slept {sample.text}")


def scores(*texts: str) -> list[Score]:
    with Spec([Component("sleeps", Sleeps())], get_template("think-answer")) as spec:
        return spec.score_many([{"task": "general", "response": text} for text in texts])


def counted(given: list[Score], first: int = 0) -> Summary:
    summary = Summary()
    for number, score in enumerate(given, first):
        summary.add(score, f"row {number}")
    return summary


def test_the_slowest_rows_are_named_with_what_took_them() -> None:
    summary = counted(scores("0", "0.15", "0.3", "0.0", "error"))
    (seconds, name, why), (_, second, _) = summary.slowest
    assert 0.3 <= seconds < 30
    assert (name, why, second) == ("row 2", "sleeps: slept 0.3", "row 1")
    assert list(summary.errors()) == [("sleeps", "asked to", 1)]
    assert summary.to_dict()["slowest"][0]["row"] == "row 2"


def test_a_quick_row_says_nothing_of_its_time() -> None:
    quick, slow = scores("0", "0.2")
    assert "seconds" not in quick.to_row({})["verdicts"]["sleeps"]
    assert slow.to_row({})["verdicts"]["sleeps"]["seconds"] >= 0.2


def test_parts_add_up_and_a_scored_row_counts_as_its_score() -> None:
    given = scores("0", "0.15", "error", "0", "0.2", "error")
    whole, parts = counted(given), counted(given[:3])
    parts.merge(counted(given[3:], first=3))

    def timeless(summary: Summary) -> dict[str, Any]:
        said = summary.to_dict()
        said["slowest"] = [slow["row"] for slow in said["slowest"]]
        return said

    assert (
        timeless(whole) == timeless(parts) == timeless(counted([Score.from_row(s.to_row({})) for s in given]))
    )
    assert [Score.from_row(score.to_row({})) for score in given] == given
