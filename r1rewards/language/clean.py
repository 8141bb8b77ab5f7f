"""What of a text is language: characters as they look, and no math, code, URL or tag.

Whatever is taken out gives back the words that a reader would still read: `\\text{}` in math, comments and
strings in code, and letters of other than the Latin and Greek alphabets anywhere. Every search is for a
fixed string or has a bound, so hostile text costs no more than any other.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

from r1rewards.language.scripts import CLASS, LATIN, STOP, code_points, table

_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff"
)
_MARKS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe20-\ufe2f"
#: Letters that NFKC changes. NFKC of a whole text costs more than all the rest, and would otherwise only
#: change full-width punctuation.
_COMPATIBLE = (
    "\u02b0-\u02b8\u02e0-\u02e4\u1d2c-\u1d6a\u1d9b-\u1dbf\u2070-\u209c\u2100-\u2188\u2460-\u24ff\u2c7c\u2c7d"
    "\u2e80-\u2fd5\u3131-\u318e\u3200-\u33ff\uf900-\ufaff\ufb00-\ufdff\ufe70-\ufefc\uff21-\uff3a\uff41-\uff5a"
    "\uff66-\uffdc\U0001d400-\U0001d7ff\U0001ee00-\U0001eeff\U0001f100-\U0001f1ff"
)
_DROPPED = re.compile(f"[{_INVISIBLE}]+")
_LOOSE = re.compile(f"[{_MARKS}]+")

_LATIN_OF = dict(
    zip(
        "АВЕЅІЈКМНОРСТУХаеѕіјорсухԁԛԝһΑΒΕΖΗΙΚΜΝΟΡΤΥΧονγ",
        "ABESIJKMHOPCTYXaesijopcyxdqwhABEZHIKMNOPTYXovy",
        strict=True,
    )
)
_CYRILLIC_OF = {latin: letter for letter, latin in _LATIN_OF.items() if "Ѐ" <= letter <= "ӿ"}
_LOOK_ALIKE = np.zeros(256, bool)
_LOOK_ALIKE[[CLASS["greek"], CLASS["cyrillic"]]] = True
_ALPHABETIC = re.compile("[A-Za-z\u00c0-\u024f\u0370-\u03ff\u0400-\u052f]+")

_URL = re.compile(r"https?://[!-~]+|www\.[!-~]+")
_OPENING = re.compile(r"```|~~~|`|\$\$|\$|\\\[|\\\(|\\begin\{|\\[A-Za-z]+|</?[A-Za-z][A-Za-z_-]{0,30}>")
_CLOSING = {"```": "```", "~~~": "~~~", "$$": "$$", "\\[": "\\]", "\\(": "\\)", "\\begin{": "\\end{"}
#: How far an inline `$` or backtick may be from its partner.
_INLINE_REACH = 400
_MATH_TEXT = re.compile(
    r"\\(?:text[a-z]*|mbox|hbox|fbox|intertext|math(?:rm|it|bf|sf)(?=\s*\{[^{}]{0,200}[a-z] +[a-z]))"
    r"\s*\{((?:[^{}]|\{[^{}]*\})*)\}"
)
#: Six words in a row are prose, also where the marks around them say that they are math or code.
_PROSE = re.compile(r"(?<![^\W\d_])(?:[^\W\d_]{2,}[,;:]?(?:[ ]|\\[ ,;])+){5,}[^\W\d_]{2,}")
_CODE_TEXT = re.compile(
    r'(?s:"""(.*?)(?:"""|\Z))|(?s:/\*(.*?)(?:\*/|\Z))|(?s:<!--(.*?)(?:-->|\Z))'
    r"|#([^\n]*)|//([^\n]*)|\"([^\"\n]*)\"?|'([^'\n]*)'?"
)
_FOREIGN = re.compile(
    "[\u0400-\u1cff\u2c00-\u2c5f\u2d00-\u2ddf\u3005-\u9fff\ua000-\ua6ff\ua840-\uabff\uac00-\ud7ff"
    "\U00010000-\U0001d3ff\U00020000-\U0003ffff]+"
)
_COMMAND = re.compile(r"\\[A-Za-z]+|</?[A-Za-z][A-Za-z_-]{0,30}>")
_LATIN_WORD = re.compile(r"(?<!\\)\b[A-Za-z\u00c0-\u024f]{2,}")


@cache
def _odd() -> NDArray[np.bool_]:
    """Of every code point, whether `normalize` may change it."""
    points = np.zeros(0x110000, bool)
    for plane in (0x0, 0x10000, 0xE0000):
        characters = "".join(map(chr, range(plane, plane + 0x10000)))
        for match in re.finditer(f"[{_INVISIBLE}{_MARKS}{_COMPATIBLE}]+", characters):
            points[plane + match.start() : plane + match.end()] = True
    return points


def normalize(text: str) -> str:
    """The characters as they look: nothing invisible, NFKC letters, no stacked marks, no homoglyphs.

    A letter of another alphabet is replaced only inside a word that mixes alphabets.
    """
    if text.isascii():
        return text
    points = code_points(text)
    odd = np.flatnonzero(_odd()[points])
    if len(odd):
        text = _plain(text, odd)
        points = code_points(text)
    classes = table()[points]
    latin, other = classes == CLASS[LATIN], _LOOK_ALIKE[classes]
    if (latin[1:] & other[:-1]).any() or (latin[:-1] & other[1:]).any():
        text = _ALPHABETIC.sub(lambda match: _one_alphabet(match[0]), text)
    return text


def _plain(text: str, odd: NDArray[np.intp]) -> str:
    """The text with each stretch of odd characters, and the letter that marks stand on, normalized."""
    breaks = np.flatnonzero(np.diff(odd) > 1)
    begins = odd[np.concatenate(([0], breaks + 1))] - 1
    ends = odd[np.append(breaks, len(odd) - 1)] + 1
    parts, at = [], 0
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        begin = max(begin, at)
        stretch = unicodedata.normalize("NFKC", _DROPPED.sub("", text[begin:end]))
        parts += [text[at:begin], _LOOSE.sub("", stretch)]
        at = end
    return "".join([*parts, text[at:]])


def _one_alphabet(word: str) -> str:
    """The word in the alphabet that all its letters look like, or else in that of most of them."""
    latin = sum(letter < "\u0250" for letter in word)
    if latin in (0, len(word)):
        return word
    as_latin = all(letter < "\u0250" or letter in _LATIN_OF for letter in word)
    as_cyrillic = all(letter >= "\u0400" or letter in _CYRILLIC_OF for letter in word)
    by_most = 2 * latin >= len(word)
    mapping = _LATIN_OF if (as_latin if as_latin != as_cyrillic else by_most) else _CYRILLIC_OF
    return "".join(mapping.get(letter, letter) for letter in word)


def prose(text: str) -> str:
    """The text without math, code, URLs, LaTeX commands and tags.

    Where more letters would be taken out than stay, they stay: a text that is all code is judged as it is.
    """
    removed: list[str] = []
    if "://" in text or "www." in text:
        removed = _URL.findall(text)
        text = _URL.sub(" ", text)
    if not any(mark in text for mark in "\\$`<~"):
        language = text
    else:
        language, inner = _split(text)
        removed += inner
    taken = sum(map(len, _LATIN_WORD.findall(" ".join(removed)))) if removed else 0
    if taken and taken > np.count_nonzero(table()[code_points(language)] > STOP):
        return _COMMAND.sub(" ", text)
    return language


def _split(text: str) -> tuple[str, list[str]]:
    """What of a text is language, and the math and code that were taken out."""
    kept: list[str] = []
    removed: list[str] = []
    unclosed: set[str] = set()
    at = 0
    while match := _OPENING.search(text, at):
        opening = match[0]
        kept.append(text[at : match.start()])
        end, after = _span(text, opening, match.end(), unclosed)
        if end < 0:
            if opening in ("```", "~~~"):
                # After a fence that is never closed everything counts.
                at = match.end()
                break
            kept.append(" " if len(opening) > 2 else opening)
        else:
            inner = text[match.end() : end]
            kept.append(f" {_readable(inner, code=opening[0] in '`~')} ")
            removed.append(inner)
        at = after
    return "".join([*kept, text[at:]]), removed


def _span(text: str, opening: str, begin: int, unclosed: set[str]) -> tuple[int, int]:
    """Where the span of an opening mark ends and what follows it begins; (-1, begin) where it is no span."""
    closing = _CLOSING.get(opening)
    if closing is None:
        return _inline(text, begin, opening) if opening in "$`" else (-1, begin)
    end = -1 if closing in unclosed else text.find(closing, begin)
    if end < 0:
        unclosed.add(closing)
        return -1, begin
    return end, end + len(closing)


def _inline(text: str, begin: int, mark: str) -> tuple[int, int]:
    """Where an inline span ends and what follows begins; (-1, ...) where the mark is only a mark.

    A dollar sign opens math only before a non-space, and closes it only after one and not before a digit.
    """
    end = text.find(mark, begin, begin + _INLINE_REACH)
    if end <= begin or "\n\n" in text[begin:end]:
        return -1, begin
    if mark == "$" and (
        text[begin].isspace() or text[end - 1].isspace() or text[end + 1 : end + 2].isdigit()
    ):
        return -1, begin
    return end, end + 1


def _readable(inner: str, *, code: bool) -> str:
    """What a reader still reads of a formula or a piece of code."""
    if not code:
        parts = [match[1] for match in _MATH_TEXT.finditer(inner)]
        rest = _MATH_TEXT.sub(" ", inner)
    else:
        parts = ["".join(filter(None, match.groups())) for match in _CODE_TEXT.finditer(inner)]
        rest = _CODE_TEXT.sub(" ", inner)
    prose = _PROSE.findall(rest)
    return " ".join(parts + prose + _FOREIGN.findall(_PROSE.sub(" ", rest) if prose else rest))
