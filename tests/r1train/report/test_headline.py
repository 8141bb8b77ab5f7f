from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from r1train.report import table
from r1train.report.headline import in_order, signed

COLUMNS = ["model", "accuracy", "math", "code", "stem", "logic"]
COLUMNS += ["format", "language", "reward", "general", "tokens", "truncated"]


def test_five_rows_with_the_same_columns(run: Path) -> None:
    rows = table(run)
    assert [row["model"] for row in rows] == [
        "base",
        "1-cold-start",
        "2-reasoning-rl",
        "3-rejection-sft",
        "4-all-scenarios-rl",
    ]
    assert all(list(row) == COLUMNS for row in rows)
    value, interval = rows[0]["accuracy"].split("\n")
    low, high = map(float, interval.split("–"))
    assert low <= float(value) <= high
    assert float(rows[-1]["accuracy"].split("\n")[0]) > float(value)


def test_stages_to_come_have_a_row_without_figures(unfinished: Callable[[int], Path]) -> None:
    rows = table(unfinished(2))
    assert [row["model"] for row in rows[2:]] == [
        "2-reasoning-rl\n(running)",
        "3-rejection-sft\n(pending)",
        "4-all-scenarios-rl\n(pending)",
    ]
    assert set(list(rows[2].values())[1:]) == {"–"}
    assert "general" not in rows[0], "nothing has graded the general answers yet"


def test_domains_come_in_the_order_of_the_paper() -> None:
    assert in_order({"writing", "logic", "algebra", "math", "code"}) == [
        "math",
        "code",
        "logic",
        "algebra",
        "writing",
    ]


@pytest.mark.parametrize(("value", "text"), [(1.25, "+1.2"), (-3.0, "−3.0"), (-0.04, "0.0"), (0.0, "0.0")])
def test_a_difference_has_a_sign_unless_it_rounds_to_nothing(value: float, text: str) -> None:
    assert signed(value, 1) == text
