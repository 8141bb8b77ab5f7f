"""Every row has exactly one fate, and a step is done once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from r1data.flat import flat_row, flatten
from r1data.ledger import DROPPED, KEPT, fates, run_step
from r1data.table import Table
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows


def row(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"p{number}",
        "uid": f"u{number}",
        "task": "math",
        "prompt": f"question {number}",
        "reference": str(number),
        "text": f"answer {number}",
        "source": "odd" if number % 2 else "even",
        **more,
    }


def every_third(table: Table) -> pl.DataFrame:
    numbers = range(table.keys.height)
    return fates(
        table,
        fate=[DROPPED if number % 3 == 0 else KEPT for number in numbers],
        rule=["third" if number % 3 == 0 else None for number in numbers],
    )


@pytest.mark.parametrize("as_file", [True, False])
def test_counts_add_up_and_rows_keep_their_order_and_columns(tmp_path: Path, as_file: bool) -> None:
    rows: Any = [row(number, extra={"n": number}) for number in range(5000)]
    if as_file:
        write_rows(tmp_path / "in.jsonl", rows)
        rows = tmp_path / "in.jsonl"
    counts = run_step("test", rows, tmp_path / "out", every_third, config={})
    assert counts["in"] == 5000 == counts["kept"] + counts["dropped"]
    assert counts["rules"] == {"third": 1667}
    assert sum(one["in"] for one in counts["by_source"].values()) == 5000
    kept = list(read_rows(tmp_path / "out" / "kept.parquet"))
    assert [one["uid"] for one in kept] == [f"u{n}" for n in range(5000) if n % 3]
    assert kept[0]["extra"] == {"n": 1}
    assert kept[0]["prompt"] == [{"role": "user", "content": "question 1"}]
    ledger = list(read_rows(tmp_path / "out" / "ledger.parquet"))
    assert [line["index"] for line in ledger] == list(range(5000))
    assert {line["step"] for line in ledger} == {"test"}
    expected = ["in.jsonl", "out"] if as_file else ["out"]
    assert sorted(path.name for path in tmp_path.iterdir()) == expected


def test_a_step_is_not_repeated_for_the_same_rows_and_settings(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    write_rows(path, [row(1), row(2)])
    calls: list[int] = []

    def decide(table: Table) -> pl.DataFrame:
        calls.append(1)
        return every_third(table)

    first = run_step("test", path, tmp_path / "out", decide, config={"k": 1})
    assert run_step("test", path, tmp_path / "out", decide, config={"k": 1}) == first
    assert len(calls) == 1
    run_step("test", path, tmp_path / "out", decide, config={"k": 2})
    write_rows(path, [row(1)])
    run_step("test", path, tmp_path / "out", decide, config={"k": 2})
    assert len(calls) == 3


def test_a_row_whose_uid_stood_before_is_named(tmp_path: Path) -> None:
    rows = [row(1), row(2), row(1, text="another")]
    counts = run_step("test", rows, tmp_path / "out", lambda table: fates(table), config={})
    assert counts["rules"] == {"repeated_uid": 1}
    ledger = list(read_rows(tmp_path / "out" / "ledger.parquet"))
    assert (ledger[2]["fate"], ledger[2]["match"]) == ("dropped", "u1")


def test_equal_responses_without_names_are_samples_of_one_problem(tmp_path: Path) -> None:
    rows = [{"task": "math", "prompt": "1+1", "reference": "2", "response": "2"}] * 3
    run_step("test", rows, tmp_path / "out", lambda table: fates(table), config={})
    kept = list(read_rows(tmp_path / "out" / "kept.parquet"))
    assert len({one["uid"] for one in kept}) == 3
    assert len({one["id"] for one in kept}) == 1


def test_a_file_of_an_earlier_step_is_read_as_it_is(tmp_path: Path) -> None:
    run_step("one", [row(1), row(2)], tmp_path / "one", lambda table: fates(table), config={})
    seen: list[Path] = []

    def decide(table: Table) -> pl.DataFrame:
        seen.append(table.path)
        return fates(table)

    run_step("two", tmp_path / "one" / "kept.parquet", tmp_path / "two", decide, config={})
    assert seen == [tmp_path / "one" / "kept.parquet"]


def test_columns_added_by_a_step_replace_those_of_the_rows(tmp_path: Path) -> None:
    def decide(table: Table) -> pl.DataFrame:
        return every_third(table).with_columns(reward=pl.Series([0.5, 1.5]))

    run_step("test", [row(1, reward=7.0), row(2, reward=7.0)], tmp_path / "out", decide, config={})
    assert [one["reward"] for one in read_rows(tmp_path / "out" / "kept.parquet")] == [1.5]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"id": "a", "prompt": "p", "reference": "1"}', "line 2: no 'task'"),
        ('{"id": "a", "task": "math", "prompt": null, "reference": "1"}', "line 2: no 'prompt'"),
        ('{"id": "a", "task": "math", "prompt": "p", "reference": null}', "line 2: a math problem needs"),
        ("{", "line 2: not JSON"),
    ],
)
def test_a_row_that_is_none_is_named_by_file_and_line(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps(row(1)) + "\n" + line + "\n")
    with pytest.raises(UserError, match=why):
        run_step("test", path, tmp_path / "out", every_third, config={})
    assert not (tmp_path / "out").exists()


def test_no_rows_are_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").touch()
    for rows in (tmp_path / "in.jsonl", []):
        with pytest.raises(UserError, match="no rows"):
            run_step("test", rows, tmp_path / "out", every_third, config={})


def test_responses_join_their_problems_by_name() -> None:
    problem = {"id": "p", "task": "math", "prompt": "q", "reference": "1", "language": "en"}
    response = {"uid": "u", "problem_id": "p", "sample": 3, "text": "t", "tokens": 9}
    (flat,) = flatten([problem], [response])
    assert (flat["id"], flat["uid"], flat["sample"], flat["language"]) == ("p", "u", 3, "en")
    assert "problem_id" not in flat
    assert flat_row(flat, "again") == flat
    with pytest.raises(UserError, match="response 1: there is no problem 'x'"):
        list(flatten([problem], [{**response, "problem_id": "x"}]))
