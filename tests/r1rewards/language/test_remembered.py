"""Rows of words are worked out once, and the memory of them is bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from r1rewards.language import remembered
from r1rewards.language.remembered import Remembered


def test_rows_are_those_of_their_words_whatever_was_asked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_MOST", 8)
    asked: list[str] = []

    def lengths(words: Sequence[str]) -> NDArray[np.float32]:
        asked.extend(words)
        return np.array([[len(word), ord(word[0])] for word in words], np.float32)

    memory = Remembered(lengths)
    first = memory.rows(["gleich", "same", "gleich"])
    assert first.tolist() == [[6, ord("g")], [4, ord("s")], [6, ord("g")]]
    assert (memory.rows(["same", "gleich"]) == first[[1, 0]]).all()
    assert asked == ["gleich", "same"]
    for start in range(0, 40, 4):
        memory.rows([f"{'x' * (start + at)}y" for at in range(4)] + ["gleich"])
        assert len(memory._known) <= 8
    assert (memory.rows(["gleich", "same", "gleich"]) == first).all()
