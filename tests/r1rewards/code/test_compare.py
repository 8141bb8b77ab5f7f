"""Comparing outputs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1rewards.code.compare import by_token, exact


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("1 2\n3", "1 2\n3\n"),
        ("1   2 \r\n3\r\n", "1 2\n3"),
        ("0.3333333", "0.33333333"),
        ("1000000.5", "1000000.0"),
        ("3", "3.0"),
        ("1e-7", "0.0"),
        ("", ""),
        ("2\n3 1", "2 3 1"),
    ],
)
def test_same(output: str, expected: str) -> None:
    assert by_token(output, expected) is None


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("1", "1\n2\n3"),
        ("1\n2\n3\n4", "1\n2\n3"),
        ("1 2 3", "1\n2\n3"),
        ("1\n\n2", "1\n2"),
        ("3.0", "3"),
        ("10000001", "10000000"),
        ("0.34", "0.33"),
        ("nan", "0.5"),
        ("inf", "1.0"),
        ("yes", "YES"),
        ("", "1"),
        ("1 2", "1"),
        ("0x10", "16.0"),
        ("1_0", "10.0"),
    ],
)
def test_different(output: str, expected: str) -> None:
    assert by_token(output, expected) is not None


def test_exact() -> None:
    assert exact("a\n", "a\n") is None
    assert exact("a", "a\n") is not None
    assert exact("b\n", "a\n") is not None


@given(st.text(max_size=300))
def test_text_equals_itself(text: str) -> None:
    assert by_token(text, text) is None
    assert exact(text, text) is None


@given(st.lists(st.integers(), min_size=2), st.lists(st.integers(), min_size=2))
def test_only_equal_lists_agree(left: list[int], right: list[int]) -> None:
    agree = by_token("\n".join(map(str, left)), "\n".join(map(str, right))) is None
    assert agree == (left == right)
