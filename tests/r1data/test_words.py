"""Words by numpy are the words that a regular expression finds."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1data import words


def slow_words(text: str) -> list[str]:
    folded = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    found, run = [], ""
    for char in folded:
        single = any(low <= ord(char) < high for low, high in words._UNSPACED)
        if char.isalnum() and ord(char) < 0x30000 and not single:
            run += char
            continue
        found += [run] if run else []
        found += [char] if char.isalnum() and single else []
        run = ""
    return found + ([run] if run else [])


_text = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("aZ9 .,中文かなé\u0301Ⅳ\n\0"), max_size=40
)


@given(st.lists(_text, max_size=6))
def test_words_and_their_places(texts: list[str]) -> None:
    cut = words.cut(texts)
    found = [
        [cut.word(i) for i in range(cut.begin[number], cut.begin[number + 1])] for number in range(len(texts))
    ]
    assert found == [slow_words(text) for text in texts]
    assert cut.text.tolist() == [number for number, one in enumerate(found) for _ in one]


@given(st.lists(_text, min_size=1, max_size=5), st.integers(1, 4))
def test_equal_runs_have_equal_hashes_and_stay_within_a_text(texts: list[str], n: int) -> None:
    cut = words.cut(texts)
    hashes, firsts = words.ngrams(cut, n)
    every = [cut.word(i) for i in range(len(cut.hashes))]
    runs = [tuple(every[first : first + n]) for first in firsts]
    assert len(runs) == sum(max(0, len(slow_words(text)) - n + 1) for text in texts)
    by_run: dict[tuple[str, ...], int] = {}
    for run, value in zip(runs, hashes.tolist(), strict=True):
        if all(len(word.encode()) <= 16 for word in run):
            assert by_run.setdefault(run, value) == value
    assert len(set(by_run.values())) == len(by_run)


def test_hashes_do_not_depend_on_the_batch() -> None:
    texts = ["Hello, world", "你好，world", "x" * 40 + " y"]
    together = words.cut(texts).hashes.tolist()
    apart = [value for text in texts for value in words.cut([text]).hashes.tolist()]
    assert together == apart


def test_a_span_is_the_text_between_words() -> None:
    cut = words.cut(["One, TWO; three."])
    assert cut.span(0, 1) == "one, two"
    assert np.array_equal(cut.count(), [3])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("What is $2+2$?", "what is 2 + 2", True),
        ("Solve x + 3 = 0.", "Solve x - 3 = 0.", False),
        ("１２ 個の林檎。", "12個の林檎", True),
        ("1,000", "1000", True),
    ],
)
def test_question_keys(one: str, other: str, same: bool) -> None:
    assert (words.question_key(one) == words.question_key(other)) is same
