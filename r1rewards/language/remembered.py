"""What is worked out of a word once, for most words come again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

#: So many words are remembered, then all are forgotten: hostile text must not fill the memory.
_MOST = 1 << 16


class Remembered:
    """A row of numbers for each word.

    work_out  makes the rows of words, each from its word alone
    """

    def __init__(self, work_out: Callable[[Sequence[str]], NDArray[np.float32]]) -> None:
        self._work_out = work_out
        self._known: dict[str, bytes] = {}

    def rows(self, words: Collection[str]) -> NDArray[np.float32]:
        """The rows of these words, in order; there is at least one."""
        rows = list(map(self._known.get, words))
        try:
            joined = b"".join(rows)  # type: ignore[arg-type]
        except TypeError:  # some are None
            unknown = [word for word, row in zip(words, rows, strict=True) if row is None]
            joined = b"".join(map(self._learn(words, list(dict.fromkeys(unknown))).__getitem__, words))
        return np.frombuffer(joined, np.float32).reshape(len(words), -1)

    def _learn(self, words: Collection[str], unknown: list[str]) -> dict[str, bytes]:
        """What is known of words, these among them."""
        known = self._known
        if len(known) + len(unknown) > _MOST:
            known, unknown = {}, list(dict.fromkeys(words))
        known.update(zip(unknown, map(bytes, self._work_out(unknown)), strict=True))
        self._known = known
        return known
