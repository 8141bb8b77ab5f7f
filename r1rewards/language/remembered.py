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
        known = self._known
        try:
            rows = [known[word] for word in words]
        except KeyError:
            known = self._learn(words)
            rows = [known[word] for word in words]
        return np.frombuffer(b"".join(rows), np.float32).reshape(len(words), -1)

    def _learn(self, words: Collection[str]) -> dict[str, bytes]:
        """What is known of words, these among them."""
        known = self._known
        unknown = list(dict.fromkeys([word for word in words if word not in known]))
        if len(known) + len(unknown) > _MOST:
            known, unknown = {}, list(dict.fromkeys(words))
        known.update(zip(unknown, map(bytes, self._work_out(unknown)), strict=True))
        self._known = known
        return known
