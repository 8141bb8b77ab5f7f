"""Sentences, words in capitals and the language of a text, as instructions mean them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

# fmt: off
#: Words whose full stop ends no sentence.
_SHORT = frozenset({
    "mr", "mrs", "ms", "dr", "prof", "sr", "st", "mt", "vs", "capt", "col", "gen", "sgt", "rep", "sen", "gov",
    "rev", "messrs",
})
#: Words whose full stop may end one, but not before a small letter or a number.
_MAY_END = frozenset({
    "etc", "jr", "inc", "ltd", "co", "corp", "dept", "al", "approx", "fig", "vol", "pp", "cf",
})
# fmt: on
#: Marks that end a sentence, with what closes behind them: before a space, or, in some scripts, anywhere.
_END = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’)\]*_]*+(?=\s|$)|[。！？｡।॥؟۔]+[」』”’）]*")
#: What begins an item of a list: the stop in "1." ends no sentence.
_MARKER = re.compile(r"^[ \t]*(?:[-*•+]|\(?(?:\d{1,3}|[A-Za-z])[.)])[ \t]+", re.MULTILINE)
#: The word before a stop, with the stops inside it ("e.g", "U.S").
_BEFORE = re.compile(r"(?<![\w.])((?:[^\W\d_]\.)*[^\W\d_]+)$")
_NEXT = re.compile(r"\s*+(\S)")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
#: langdetect reads no more than this of a text.
_READ = 10_000


def sentences(text: str) -> int:
    """How many sentences a text has: what ends with its marks, and what is left without any behind them.

    So a heading belongs to the sentence below it, as NLTK has it. The full stops of abbreviations, initials,
    decimals and list markers end none, nor do three of them before a small letter.
    """
    text = _MARKER.sub("", text)
    count, start = 0, 0
    for end in _END.finditer(text):
        if _ends(text, end):
            count += _has_words(text[start : end.start()])
            start = end.end()
    return count + _has_words(text[start:])


def _ends(text: str, end: re.Match[str]) -> bool:
    """Whether these marks end a sentence; only a full stop may not."""
    follows = _NEXT.match(text, end.end())
    if end[0][0] != "." or follows is None:
        return True
    if end[0].startswith(".."):
        return not follows[1].islower()
    before = _BEFORE.search(text, max(0, end.start() - 40), end.start())
    word = before[1].lower() if before else ""
    if word in _MAY_END:
        return not (follows[1].islower() or follows[1].isdigit())
    return not (word in _SHORT or "." in word or (len(word) == 1 and word != "i"))


def _has_words(text: str) -> bool:
    return any(sign.isalnum() for sign in text)


def capital_words(text: str) -> int:
    """How many words are all in capitals; what a hyphen or an apostrophe joins is one word."""
    return sum(word.isupper() for word in _WORD.findall(text))


def language_of(text: str) -> str | None:
    """langdetect's code of the language that the text begins in; None where it has no letters."""
    from langdetect.lang_detect_exception import LangDetectException

    detector = _factory().create()
    detector.append(text[:_READ])
    try:
        return str(detector.detect())
    except LangDetectException:  # no letters
        return None


@cache
def _factory() -> Any:
    """langdetect with a seed, so that a text is always the same language."""
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    factory = DetectorFactory()
    factory.set_seed(0)
    factory.load_json_profile([file.read_text() for file in sorted(Path(PROFILES_DIRECTORY).iterdir())])
    return factory
