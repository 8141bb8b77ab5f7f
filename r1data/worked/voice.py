"""The wording of worked traces: which phrasing, chosen by the problem's id."""

from __future__ import annotations

import random

from r1data.sources.base import rng_for


class Voice:
    """Picks one of several wordings in the problem's language; the same id always speaks the same way."""

    def __init__(self, problem_id: str, language: str) -> None:
        self.chinese = language == "zh"
        self._rng: random.Random = rng_for("worked", problem_id)

    def say(self, en: tuple[str, ...], zh: tuple[str, ...] = (), **values: object) -> str:
        """One of the wordings with the values filled in; English where there is no Chinese one."""
        return self._rng.choice(zh if self.chinese and zh else en).format(**values)

    def chance(self, share: float) -> bool:
        """True for this share of the problems."""
        return self._rng.random() < share

    def join(self, *sentences: str) -> str:
        """Sentences as one paragraph: Chinese ones without a space between them."""
        return ("" if self.chinese else " ").join(s for s in sentences if s)
