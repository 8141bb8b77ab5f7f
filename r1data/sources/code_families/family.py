"""What a family of functions is, and what its parameters and arguments are drawn from."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Params = dict[str, Any]
WORDS = ("river", "apple", "bee", "lantern", "tea", "banana", "sky", "garden", "moon", "paper", "a", "otter")
LABELS = (
    ("high", "low"),
    ("big", "small"),
    ("hot", "cold"),
    ("far", "near"),
    ("old", "young"),
    ("rich", "poor"),
)


def _ints(rng: random.Random) -> list[int]:
    return [rng.randint(-9, 60) for _ in range(rng.randint(2, 6))]


#: What an argument of this name is drawn from.
ARGUMENTS: dict[str, Callable[[random.Random], Any]] = {
    "x": lambda rng: rng.randint(-20, 80),
    "n": lambda rng: rng.randint(1, 40),
    "a": lambda rng: rng.randint(-20, 40),
    "b": lambda rng: rng.randint(-20, 40),
    "numbers": _ints,
    "text": lambda rng: rng.choice(WORDS),
    "words": lambda rng: [rng.choice(WORDS) for _ in range(rng.randint(2, 4))],
}
#: The edge case of the arguments that have one.
EMPTY: dict[str, Any] = {"numbers": [], "text": "", "words": []}
#: What a parameter of a family is drawn from.
PARAMS: dict[str, Callable[[random.Random], Any]] = {
    "k": lambda rng: rng.randint(2, 50),
    "m": lambda rng: rng.randint(1, 30),
    "d": lambda rng: rng.randint(2, 12),
    "s": lambda rng: rng.randint(2, 5),
    "letter": lambda rng: rng.choice("aenoprst"),
    "other": lambda rng: rng.choice("xyzquv"),
    "word": lambda rng: rng.choice(("hello", "good", "my", "the", "not", "re", "super", "old")),
    "mark": lambda rng: rng.choice("!?*#-+"),
    "labels": lambda rng: rng.choice(LABELS),
}


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of function. Texts are formatted with the parameters; `labels` gives `{yes}` and `{no}`.

    args    the arguments as they stand in the signature, from `ARGUMENTS`.
    params  what differs from one problem to the next, from `PARAMS`.
    names   names that the function may have.
    ask     what it does, after "a function that", in English and Chinese.
    idea    how to do it, first person, in English and Chinese.
    body    the canonical solution, without the signature.
    result  what a call must return: result(parameters, *arguments).
    """

    args: str
    params: tuple[str, ...]
    names: tuple[str, ...]
    ask: tuple[str, str]
    idea: tuple[str, str]
    body: str
    result: Callable[..., Any]
