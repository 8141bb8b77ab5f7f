"""What people write in words for a value: two, all real numbers, no solution, infinity."""

from __future__ import annotations

import re

from r1rewards.math.tree import Node, number
from r1rewards.math.units import word_set

#: Words before an answer that say no more than that it comes.
LEADS = word_set(
    "the our my final correct answer answers result solution solutions set value is are it so thus hence "
    "therefore equals equal approximately approx about exactly roughly"
)
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80}
_TENS |= {"ninety": 90}
_DIGITS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_TEENS = {"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16}
_TEENS |= {"seventeen": 17, "eighteen": 18, "nineteen": 19}
_NUMBERS = {"zero": 0} | _DIGITS | _TEENS | _TENS
_REALS = Node("numbers", name="R")
_MEANINGS = {
    "infinity": Node("infinity"),
    "positive infinity": Node("infinity"),
    "negative infinity": Node("neg", (Node("infinity"),)),
    **dict.fromkeys(("empty set", "null set"), Node("set")),
    **dict.fromkeys(("no solution", "no solutions", "no real solution", "no real solutions"), Node("set")),
    **dict.fromkeys(("all real numbers", "all reals", "real numbers", "any real number"), _REALS),
    **dict.fromkeys(
        ("every real number", "all real x", "all real values", "set of all real numbers"), _REALS
    ),
}
_TEXT = re.compile(r"\\(?:text\w*|mbox|mathrm)\s*\{([^{}]*)\}")
_ONLY_WORDS = re.compile(r"[A-Za-z\s~.-]*[A-Za-z]{3}[A-Za-z\s~.-]*")


def words(text: str) -> list[str]:
    """The words of a text, for comparison: lower case, without punctuation and articles."""
    found = re.findall(r"[^\W_]+", text.lower())
    return [word for word in found if word not in ("the", "a", "an")] or found


def in_words(text: str) -> Node | None:
    """The value that a text of nothing but words names; None where it names none."""
    if len(text) > 60:
        return None
    plain = _TEXT.sub(r" \1 ", text) if "\\" in text else text
    if _ONLY_WORDS.fullmatch(plain) is None:
        return None
    said = words(plain)
    if len(said) == 1 and said[0] in _NUMBERS:
        return number(_NUMBERS[said[0]])
    if len(said) == 2 and said[0] in _TENS and said[1] in _DIGITS:
        return number(_TENS[said[0]] + _DIGITS[said[1]])
    return _MEANINGS.get(" ".join(said))
