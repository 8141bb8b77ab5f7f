"""Rows as other tools leave them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from r1rewards.core.errors import UserError
from r1rewards.core.rows import check_problem, check_response
from r1rewards.core.store import read_rows, write_rows

TESTS = {"tests": [{"input": "1", "output": "2"}]}


def test_our_parquet_that_polars_passed_on_is_read_as_it_was(tmp_path: Path) -> None:
    row = {"id": "p", "task": "code", "prompt": "Add 1.", "reference": TESTS, "meta": {"digits": [1, 2]}}
    problem = check_problem(row, "here")
    write_rows(tmp_path / "ours.parquet", [problem])
    pl.read_parquet(tmp_path / "ours.parquet").write_parquet(tmp_path / "theirs.parquet")
    (theirs,) = read_rows(tmp_path / "theirs.parquet")
    assert isinstance(theirs["meta"], str), "polars forgets which columns held objects"
    assert check_problem(theirs, "here") == problem


@pytest.mark.parametrize("wrong", ["easy", "[1]", 3, ["a"]])
def test_what_is_no_object_is_named(wrong: object) -> None:
    problem = {"id": "p", "task": "math", "prompt": "1 + 1?", "reference": "2", "meta": wrong}
    with pytest.raises(UserError, match=r"file, line 3: 'meta' must be a JSON object"):
        check_problem(problem, "file, line 3")
    with pytest.raises(UserError, match=r"file, line 3: 'sampling' must be a JSON object"):
        check_response({"problem_id": "p", "text": "2", "sampling": wrong}, "file, line 3")
