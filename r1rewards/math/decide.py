"""One gold against one extracted answer: exact strings, exact numbers, trees, and last the slow tier."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from r1rewards.math import compare
from r1rewards.math.expression import parse
from r1rewards.math.extract import boxed
from r1rewards.math.normalize import clean, with_backslashes
from r1rewards.math.phrases import LEADS, in_words, words
from r1rewards.math.scalars import AnswerBeyondCapError, GoldBeyondCapError
from r1rewards.math.tokens import MAX_CHARACTERS, NeedsAlgebra, Unreadable
from r1rewards.math.tree import Node
from r1rewards.math.units import is_unit_word, parse_unit

Outcome = Literal["right", "wrong", "undecided", "gold"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]{1,2}")
_CHOICE = re.compile(r"\(?\s*([A-J])\s*\)?")
_CHOICE_LEAD = re.compile(
    r"(?:(?:the|correct|right|final|answer|option|choice|is)\b[\s:.]*)+(?=\(?\s*[A-J]\b)", re.IGNORECASE
)
_CHOICE_END = re.compile(r"\s+(?:is|was)(?:\s+the)?\s+(?:correct|right)(?:\s+(?:answer|option|choice))?\.?$")
_LETTER_FIRST = re.compile(r"\(?([A-J])(?:\)|[.:]\s|\)?\s*$)")
_OTHER_LETTER = re.compile(
    r"\(\s*[A-J]\s*\)|\b[A-J][).]|\A\W*[A-J]\W*\Z|(?:\b(?:or|and)|[,/&])\W*[A-J]\b(?!\w* [a-z])"
)
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?\s*(?:[aApP]\.?\s*[mM]?\.*)?")
_BARE_UNIT = re.compile(r"(?<=[0-9}] )[A-Za-z][A-Za-z0-9/^]*|(?<=[0-9}])[A-Za-z][A-Za-z0-9/^]*")
_RATIO_WORD = re.compile(r"(?:\\text\s*\{)?\s*\bto\b\s*\}?")
#: A sentence without any formula but the one at its end: "The range of a is [0, 3)".
_SAID = re.compile(
    r"(?:(?!\b(?:is|are)\b)[^0-9\\=<>^_+*/])+\b(?:is|are)\b:?\s+([^A-Za-z]*[0-9\\].*)", re.DOTALL
)
_LONG_WORD = re.compile(r"(?<!\\)\b[A-Za-z]{3,}\b")
_MATH_OR_WORDS = re.compile(
    r"\$[^$]*\$|\\(?:text\w*|mbox|mathrm|begin|end|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+"
)
_WORD = re.compile(r"[^\W\d_]{2,}")


class Decision(NamedTuple):
    """`outcome` "gold": the gold cannot be checked. `tier` names what decided."""

    outcome: Outcome
    reason: str
    tier: str


@dataclass(frozen=True, slots=True)
class Gold:
    """A gold answer, worked out once: its text without delimiters, its tree, and what it is."""

    text: str
    node: Node | None
    kind: str
    problem: str = ""


@lru_cache(maxsize=65536)
def gold_of(text: str) -> Gold:
    """The gold in a reference: the box in it if there is one, else the whole of it."""
    text = with_backslashes(text)
    if "\\boxed" in text:
        box = boxed(text)
        text = box.text if box is not None else text.rpartition("\\boxed")[2].lstrip(" {")
    if len(text) > MAX_CHARACTERS:
        return Gold(text[:100], None, "text", f"the gold is longer than {MAX_CHARACTERS} characters")
    cleaned = clean(text)
    if choice := _CHOICE.fullmatch(_bare(cleaned)):
        return Gold(choice.group(1), Node("sym", name=choice.group(1)), "choice")
    if _CLOCK.fullmatch(cleaned):
        return Gold(cleaned, None, "time")
    if (named := in_words(cleaned)) is not None:
        return Gold(cleaned, named, compare.kind(named))
    if _is_text(text, cleaned):
        said = _SAID.fullmatch(cleaned)
        if said is None or _is_text(said[1], said[1]):
            return Gold(cleaned, None, "text")
        text = cleaned = said[1]
    try:
        node = parse(text)
    except NeedsAlgebra as error:
        return Gold(cleaned, None, "algebra", str(error))
    except Unreadable as error:
        return Gold(cleaned, None, "text" if _WORD.search(cleaned) else "unreadable", str(error))
    except RecursionError:
        return Gold(cleaned, None, "unreadable", "nested too deep")
    return Gold(cleaned, node, compare.kind(node))


def _is_text(text: str, cleaned: str) -> bool:
    """Whether a gold is words rather than a formula; a sentence stays one when it holds formulas."""
    outside = _MATH_OR_WORDS.sub(" ", text)
    if sum(not is_unit_word(word) for word in _LONG_WORD.findall(outside)) >= 4:
        return True
    if re.search(r"[0-9=<>^_+*/]", cleaned):
        return False
    plain = re.sub(r"\\(?:text\w*|mbox|mathrm|textbf)\s*\{([^{}]*)\}", r" \1 ", cleaned)
    if "\\" in plain:
        return False
    words = _WORD.findall(plain)
    return sum(len(word) > 3 for word in words) >= 1 or len(words) >= 3


@lru_cache(maxsize=65536)
def decide(gold_text: str, answer: str) -> Decision:
    """Whether an extracted answer is the gold, without the slow tier."""
    gold = gold_of(gold_text)
    if not gold.text:
        return Decision("gold", "the gold is empty", "string")
    cleaned = clean(answer)
    if cleaned == gold.text or answer.strip() == gold_text.strip():
        return Decision("right", "the same text", "string")
    if gold.kind == "choice":
        return _decide_choice(gold, cleaned)
    number, wanted = _integer(cleaned), _integer(gold.text)
    if number is not None and wanted is not None:
        return Decision("right" if number == wanted else "wrong", f"{number} and {wanted}"[:200], "integer")
    if gold.kind == "time":
        return _decide_time(gold, cleaned)
    if gold.kind == "text":
        return _decide_text(gold, cleaned)
    if gold.node is None:
        outcome: Outcome = "undecided" if gold.kind == "algebra" else "gold"
        return Decision(outcome, f"the gold is not understood: {gold.problem}", "parse")
    return _decide_tree(gold, gold.node, answer, cleaned)


def _integer(text: str) -> int | None:
    if _INTEGER.fullmatch(text):
        return int(text)
    return int(text.replace(",", "")) if _THOUSANDS.fullmatch(text) else None


def _decide_choice(gold: Gold, cleaned: str) -> Decision:
    bare = _CHOICE_END.sub("", _bare(cleaned))
    if lead := _CHOICE_LEAD.match(bare):
        bare = bare[lead.end() :]
    letter = _CHOICE.fullmatch(bare) or _LETTER_FIRST.match(bare)
    if letter is None or _OTHER_LETTER.search(bare[letter.end() :]):
        if cleaned.lower() == gold.text.lower():
            return Decision("right", "the same letter", "choice")
        return Decision("wrong", f"no single choice in {cleaned[:60]!r}", "choice")
    given = letter.group(1)
    return Decision("right" if given == gold.text else "wrong", f"{given} and {gold.text}", "choice")


def _bare(text: str) -> str:
    """The text without commands and braces: what is left of \\textbf{(C)} is (C)."""
    return re.sub(r"\\[A-Za-z]+|[{}]", "", text).strip() if "\\" in text or "{" in text else text


def _decide_text(gold: Gold, cleaned: str) -> Decision:
    mine, theirs = _text_words(gold.text), _text_words(cleaned)
    while theirs != mine and len(theirs) > len(mine) and theirs[0] in LEADS:
        del theirs[0]  # "the answer is yes"
    if mine == theirs and mine:
        return Decision("right", "the same words", "text")
    if "," in gold.text or " and " in gold.text:
        parts = _text_parts(gold.text), _text_parts(cleaned)
        if len(parts[0]) > 1 and parts[0] == parts[1]:
            return Decision("right", "the same list of words", "text")
    if len(mine) <= 3:
        return Decision("wrong", "other words", "text")
    return Decision("gold", "the gold is prose", "text")


def _decide_time(gold: Gold, cleaned: str) -> Decision:
    mine, theirs = (re.sub(r"[^0-9:apm]", "", _plain_words(text).lower()) for text in (gold.text, cleaned))
    # A gold without a.m. or p.m. is met with either.
    right = mine == theirs or (mine[-1:].isdigit() and mine == theirs.rstrip("apm"))
    return Decision("right" if right else "wrong", f"{theirs[:20]} and {mine[:20]}", "time")


def _plain_words(text: str) -> str:
    text = re.sub(r"\\(?:text\w*|mbox|mathrm|mathbf)\s*(?=\{)|[{}$]", " ", text)
    return re.sub(r"\\[a-zA-Z]+|\\.", " ", text)


def _text_words(text: str) -> list[str]:
    return words(_plain_words(text))


def _text_parts(text: str) -> list[list[str]]:
    return sorted(words(part) for part in re.split(r",|;|\band\b", _plain_words(text)))


def _decide_tree(gold: Gold, node: Node, answer: str, cleaned: str) -> Decision:
    problem, unsure = "", False
    for text, thousands in _readings(gold, answer, cleaned):
        try:
            outcome = _same(node, parse(text, thousands=thousands))
        except NeedsAlgebra:
            unsure = True
            continue
        except Unreadable as error:
            problem = problem or str(error)
            continue
        except AnswerBeyondCapError as error:
            return Decision("wrong", str(error), "tree")
        except GoldBeyondCapError as error:
            return Decision("gold", f"the gold is beyond the caps: {error}", "tree")
        except RecursionError:
            return Decision("wrong", "nested too deep", "tree")
        if outcome:
            return Decision("right", f"equal as {gold.kind}", "tree")
        unsure |= outcome is None
        problem = problem or f"not equal as {gold.kind}"
    if unsure:
        return Decision("undecided", "neither equality nor a difference could be shown", "tree")
    return Decision("wrong", problem, "tree")


def _same(gold: Node, answer: Node) -> bool | None:
    outcome = compare.same(gold, answer)
    bare = compare.without_domains(gold), compare.without_domains(answer)
    if outcome is False and (bare[0] == gold) != (bare[1] == answer):
        return compare.same(*bare)  # one of them says for which n it holds
    if outcome is False and (other := compare.renamed(gold, answer)) is not None:
        return compare.same(gold, other)
    return outcome


def _as_unit(match: re.Match[str]) -> str:
    """The letters after a number, marked as a unit where they are one."""
    return rf"\text{{ {match.group()} }}" if parse_unit(match.group()) is not None else match.group()


def _readings(gold: Gold, answer: str, cleaned: str) -> Iterator[tuple[str, bool]]:
    """The ways to read an answer, by what the gold is: 1,234 as a number or a pair, 2,74 as a decimal, the m
    of 5 m as metres, 3 to 4 as 3:4."""
    yield answer, True
    if gold.kind == "quantity" and (with_units := _BARE_UNIT.sub(_as_unit, cleaned)) != cleaned:
        yield with_units, True
    if gold.kind == "ratio" and (with_colon := _RATIO_WORD.sub(":", cleaned)) != cleaned:
        yield with_colon, True
    if gold.kind == "decimal" and _DECIMAL_COMMA.fullmatch(cleaned.strip("$ €")):
        yield cleaned.replace(",", "."), True
    if gold.kind in ("list", "tuple", "set") and _THOUSANDS.fullmatch(cleaned):
        yield answer, False
