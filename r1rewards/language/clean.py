"""What of a text is language: characters as they look, and no math, code, URL or tag.

Whatever is taken out gives back the words that a reader would still read: `\\text{}` in math, comments and
strings in code, and letters of other than the Latin and Greek alphabets anywhere. Every search is for a
fixed string or has a bound, so hostile text costs no more than any other.
"""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]+"
)
_MARKS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
#: Letters that NFKC changes, and marks with the letter before them. NFKC of a whole text costs more than
#: all the rest, and changes little but full-width punctuation.
_COMPATIBLE = re.compile(
    "[\u02b0-\u02b8\u02e0-\u02e4\u1d2c-\u1d6a\u1d9b-\u1dbf\u2070-\u209c\u2100-\u2188\u2460-\u24ff\u2c7c\u2c7d"
    "\u2e80-\u2fd5\u3131-\u318e\u3200-\u33ff\uf900-\ufaff\ufb00-\ufdff\ufe70-\ufefc\uff21-\uff3a\uff41-\uff5a"
    "\uff66-\uffdc\U0001d400-\U0001d7ff\U0001ee00-\U0001eeff\U0001f100-\U0001f1ff\u3099\u309a]+"
    f"|\\w?[{_MARKS}]+"
)
_LOOSE_MARKS = re.compile(f"[{_MARKS}]+")

_LATIN_OF = dict(
    zip(
        "АВЕЅІЈКМНОРСТУХаеѕіјорсухԁԛԝһΑΒΕΖΗΙΚΜΝΟΡΤΥΧονγ",
        "ABESIJKMHOPCTYXaesijopcyxdqwhABEZHIKMNOPTYXovy",
        strict=True,
    )
)
_CYRILLIC_OF = {latin: letter for letter, latin in _LATIN_OF.items() if "Ѐ" <= letter <= "ӿ"}
_OTHER_ALPHABET = "\u0370-\u03ff\u0400-\u052f"
_MIXED = re.compile(f"[A-Za-z][{_OTHER_ALPHABET}]|[{_OTHER_ALPHABET}][A-Za-z]")
_WORD = re.compile(r"[^\W\d_]+")

_OPENING = re.compile(
    r"```|~~~|`|\$\$?|\\\[|\\\(|\\begin\{|\\[A-Za-z]+\*?|(?:https?://|www\.)[!-~]+|</?[A-Za-z][A-Za-z_-]{0,30}>"
)
_CLOSING = {"```": "```", "~~~": "~~~", "$$": "$$", "\\[": "\\]", "\\(": "\\)", "\\begin{": "\\end{"}
#: How far an inline `$` or backtick may be from its partner.
_INLINE_REACH = 400
_MATH_TEXT = re.compile(r"\\(?:text[a-z]*|mbox|hbox|fbox|intertext)\s*\{([^{}]*)\}")
_CODE_TEXT = re.compile(
    r'(?s:"""(.*?)(?:"""|\Z))|(?s:/\*(.*?)(?:\*/|\Z))|(?s:<!--(.*?)(?:-->|\Z))'
    r"|#([^\n]*)|//([^\n]*)|\"([^\"\n]*)\"?|'([^'\n]*)'?"
)
_FOREIGN = re.compile(
    "[\u0400-\u1cff\u2c00-\u2c5f\u2d00-\u2ddf\u3005-\u9fff\ua000-\ua6ff\ua840-\uabff\uac00-\ud7ff"
    "\U00010000-\U0001d3ff\U00020000-\U0003ffff]+"
)
_LATIN_WORD = re.compile(r"(?<!\\)\b[A-Za-z\u00c0-\u024f]{2,}")


def normalize(text: str) -> str:
    """The characters as they look: nothing invisible, NFKC letters, no stacked marks, no homoglyphs.

    A letter of another alphabet is replaced only inside a word that mixes alphabets.
    """
    text = _INVISIBLE.sub("", text)
    text = _COMPATIBLE.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    text = _LOOSE_MARKS.sub("", text)
    if _MIXED.search(text):
        text = _WORD.sub(lambda match: _one_alphabet(match[0]), text)
    return text


def _one_alphabet(word: str) -> str:
    """The word in the alphabet that most of its letters are of, as far as the others look like it."""
    latin = sum(letter < "\u0250" for letter in word)
    if latin in (0, len(word)):
        return word
    mapping = _LATIN_OF if 2 * latin >= len(word) else _CYRILLIC_OF
    return "".join(mapping.get(letter, letter) for letter in word)


def prose(text: str) -> str:
    """The text without math, code, URLs, LaTeX commands and tags.

    Where more words would be taken out than stay, they stay: a text that is all code is judged as it is.
    """
    kept: list[str] = []
    removed: list[str] = []
    unclosed: set[str] = set()
    at = 0
    while True:
        match = _OPENING.search(text, at)
        if match is None:
            kept.append(text[at:])
            break
        kept.append(text[at : match.start()])
        opening = match[0]
        closing = _CLOSING.get(opening)
        end = -1
        if closing is not None and closing not in unclosed:
            end = text.find(closing, match.end())
            if end < 0:
                unclosed.add(closing)
            else:
                at = end + len(closing)
        elif opening in "$`":
            end, at = _inline(text, match.end(), opening)
        if end < 0:
            if opening in ("```", "~~~"):
                kept.append(text[match.end() :])
                break
            at = match.end()
            kept.append(" " if len(opening) > 2 else opening)
            if opening.startswith(("http", "www")):
                removed.append(opening)
            continue
        inner = text[match.end() : end]
        kept.append(f" {_readable(inner, code=opening[0] in '`~')} ")
        removed.append(inner)
    language = "".join(kept)
    taken = sum(map(len, _LATIN_WORD.findall(" ".join(removed))))
    if taken and taken > sum(map(len, _WORD.findall(language))):
        return _OPENING.sub(lambda match: " " if match[0][0] in "\\<" else match[0], text)
    return language


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
    return " ".join(parts + _FOREIGN.findall(rest))
