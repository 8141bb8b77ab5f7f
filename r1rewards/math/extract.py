r"""Where the answer stands in a response: a box, an answer tag, and, when lenient, wherever a person looks.

Only the end of the answer part is read (32 KB), a box holds at most 2 KB, and every search is a linear
scan. Routes, best first:

    boxed    the last complete \boxed{...}; boxes side by side are one list, so that hedging is not an answer
    tag      the whole content of a closed answer tag, when it is short
    phrase   what follows "the answer is"                                              (lenient from here on)
    whole    the whole answer part, when it is a formula and nothing else
    bold     the last **bold** formula
    math     the last $...$, \(...\) or \[...\]; those that "and" or "or" join are one list, as boxes are
    number   the last number
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from r1rewards.core.template import TEMPLATES, Template, Trace, get_template
from r1rewards.math.units import is_unit_word, word_set

MAX_ANSWER = 32 * 1024
MAX_BOX = 2048
_MAX_SHORT = 400
_MAX_BOXES = 32

Policy = Literal["lenient", "strict"]


class Formula(NamedTuple):
    """A formula between math delimiters: where it stands with them, and what is between them."""

    start: int
    end: int
    text: str
    display: bool


class Found(NamedTuple):
    """The text of an answer and the route it was found on; "" and the reason where there is none."""

    text: str
    route: str


_CONNECTIVE = (
    r"(?:\\q?quad|\\(?:text|mbox|mathrm)\{\s*(?:and|or)\s*\}|and|or|\\[,;:! ()\[\]]|[\s,;.$&()\[\]{}+\\])"
)
_LABEL = r"(?:[A-Za-z](?:_\{?\w{1,3}\}?)?(?:\([A-Za-z]\))?\s*=)"
_BESIDE = re.compile(rf"{_CONNECTIVE}*(?:{_LABEL}{_CONNECTIVE}*)?")
_SPECIAL = re.compile(r"<\|(?:im_start|im_end|endoftext|eot_id|end)\|>|</s>|<｜end▁of▁sentence｜>")
_ASSISTANT = re.compile(r"\A<\|im_start\|>\s*assistant\s*")
_PHRASE = re.compile(
    r"(?:\b(?:final\s+answer|answers?|result|solutions?(?:\s+set)?|correct\s+(?:option|choice))\b\**\s*"
    r"(?:[^.\n:=]{0,60}?\b(?:is|are|be)\b|\s*[:=])|答案[是为]?\s*[:：]?|####|^\s*A\s*:)\s*:?",
    re.IGNORECASE | re.MULTILINE,
)
#: What the answer is said not to be: up to where something else may be said.
_DENIED = re.compile(r"\W*not\b[^.\n,;]*(?:\.\d[^.\n,;]*)*", re.IGNORECASE)
_EITHER = re.compile(r"\W*either\s+(?=.*\bor\b)", re.IGNORECASE)
_OPENING = re.compile(
    r"(?:(?:so|thus|hence|therefore|then|finally|it is|it's|this is|that is|we (?:get|have|find))\b[\s,:]*)+",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"\n|(?<=[^\d\s])\.(?=\s|$)|(?<=\d)\.(?=\s+[A-Z]|\s*$)|。")
_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*")
_DELIMITER = re.compile(r"\\[\[\]()$\\]|\$\$?")
_CLOSING = {r"\[": r"\]", r"\(": r"\)", "$$": "$$", "$": "$"}
_MAX_FORMULA = 2000
_JOINED = re.compile(r"\s*(?:,|;|,?\s*(?:and|or))\s*")
_DEFINES = re.compile(r"\s*[A-Za-z](?:_\{?\w{1,3}\}?)?\s*=")
_NUMBER = re.compile(
    r"(?<![\w.,])[-−]?[$€£]?\s?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?|\.\d+)"
    r"(?:/\d+|\s*(?:%|\\%))?"
)
_PROSE = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{3,}|[\u3040-\u30ff\u4e00-\u9fff]{2,}|[\u0400-\u04ff]{3,}")
_GLUED = re.compile(r"(?<=[\d)}])(?:and|or)(?=[A-Z(\\])")
_NO_PROSE = word_set(
    "sin cos tan cot sec csc log exp max min gcd lcm sqrt arcsin arccos arctan sinh cosh tanh and "
    "percent pct percentage degrees degree infty pi inf all none for"
)


def trace_of(response: str, template: str | Template | None, *, prefilled: bool, thinking: bool) -> Trace:
    """The response taken apart; without a template, by the tags it holds."""
    if template is None:
        template = guess_template(response)
    return get_template(template).parse(response, prefilled=prefilled, thinking=thinking)


def guess_template(response: str) -> Template:
    """The template whose tags the response holds."""
    if "<" in response:
        if "<reasoning_process>" in response or "</reasoning_process>" in response or "<summary>" in response:
            return TEMPLATES["reasoning-summary"]
        if "<answer>" in response or "</answer>" in response:
            return TEMPLATES["think-answer"]
    return TEMPLATES["think-summary"]


def tagged(trace: Trace, response: str) -> bool:
    """Whether the answer of a trace is the content of a closed answer tag."""
    if not ("</answer>" in response or "</summary>" in response):
        return False
    return not {"no_answer", "unclosed_answer", "unopened_answer"} & set(trace.faults)


def find(answer: str, *, tag: bool, policy: Policy) -> Found:
    """The answer in the answer part of a response."""
    answer = answer[-MAX_ANSWER:]
    answer = answer.strip()
    if "<" in answer:
        answer = _ASSISTANT.sub("", answer, count=1)
        if special := _SPECIAL.search(answer):
            answer = answer[: special.start()].rstrip()
    if not answer:
        return Found("", "no answer")
    box = boxed(answer)
    if box is not None:
        return box
    if tag and len(answer) <= _MAX_SHORT and (policy == "strict" or not _is_prose(answer)):
        return Found(answer, "tag")
    if policy == "strict":
        return Found("", "no box or answer tag" if not tag else "no box and a long answer tag")
    return _lenient(answer)


def boxed(text: str) -> Found | None:
    r"""The last complete box, or the boxes side by side that it ends; None where there is none."""
    boxes: list[str] = []
    end = len(text)
    start = len(text)
    for _ in range(_MAX_BOXES):
        at = max(text.rfind("\\boxed", 0, end), text.rfind("\\fbox", 0, end))
        if at < 0:
            break
        end = at
        content = _box_at(text, at)
        if content is None:
            continue
        inside, close = content
        if (boxes and not _BESIDE.fullmatch(text, close, min(start, close + 120))) or (
            boxes and start > close + 120
        ):
            break
        if inside.strip():
            boxes.insert(0, inside.strip())
        start = at
    if not boxes:
        return None
    return Found(boxes[0] if len(set(boxes)) == 1 else " , ".join(boxes), "boxed")


def _box_at(text: str, at: int) -> tuple[str, int] | None:
    """The content of the box that starts here, and where it ends."""
    start = text.find("{", at, at + 10)
    name_end = at + (6 if text.startswith("\\boxed", at) else 5)
    if start < 0 or text[name_end:start].strip():
        # \boxed 5
        bare = re.compile(r"\s*([-\d.,/]*\d)").match(text, name_end, name_end + 40)
        return (bare.group(1), bare.end()) if bare else None
    depth = 0
    position = start
    limit = min(len(text), start + MAX_BOX + 2)
    while position < limit:
        character = text[position]
        if character == "\\":
            position += 2
            continue
        if character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return text[start + 1 : position], position + 1
        position += 1
    return None


def _lenient(answer: str) -> Found:
    phrase = _last(_PHRASE, answer)
    if phrase is not None:
        rest = answer[phrase.end() :]
        if denied := _DENIED.match(rest):
            rest = rest[denied.end() :].strip(" .,;\n")
            return _lenient(rest) if rest else Found("", "only what the answer is not")
        found = _after_phrase(rest)
        if found:
            return Found(found, "phrase")
    one = "\n" not in answer or answer.startswith(("$$", "\\[", "\\begin"))
    if one and len(answer) <= _MAX_SHORT:
        bare = answer.strip("* ") if answer.startswith("*") else answer
        bare = bare[opening.end() :] if (opening := _OPENING.match(bare)) else bare
        if bare and not _is_prose(bare):
            return Found(bare, "whole")
    for bold in reversed(_BOLD.findall(answer)):
        if not _is_prose(bold) and re.search(r"\d|\\|\$|^\(?[A-J]\)?$", bold):
            return Found(bold.strip(" .:"), "bold")
    maths = _formulas(answer)
    number = _last(_NUMBER, answer, maths[-1].end if maths else 0)
    if maths and not (number is not None and _new_sentence(answer, maths[-1], number.start())):
        return Found(_list_that_ends(answer, maths) or maths[-1].text, "math")
    if number is not None:
        return Found(number.group(), "number")
    return Found("", "nothing that looks like an answer")


def _last(pattern: re.Pattern[str], text: str, start: int = 0) -> re.Match[str] | None:
    last = None
    for match in pattern.finditer(text, start):
        last = match
    return last


def _formulas(text: str) -> list[Formula]:
    """What stands between math delimiters, in order; one linear scan."""
    found: list[Formula] = []
    opened: re.Match[str] | None = None
    for delimiter in _DELIMITER.finditer(text):
        sign = delimiter.group()
        if opened is not None and sign == _CLOSING[opened.group()]:
            inside = text[opened.end() : delimiter.start()]
            if inside.strip() and len(inside) <= _MAX_FORMULA:
                found.append(Formula(opened.start(), delimiter.end(), inside, sign in ("$$", r"\]")))
            opened = None
        elif sign in _CLOSING and (opened is None or "$" not in opened.group()):
            opened = delimiter
    return found


def _list_that_ends(answer: str, maths: list[Formula]) -> str:
    """The definitions side by side that the last formula ends, "$x = 1$ or $x = 2$"; "" if it is alone."""
    parts = [maths[-1]]
    for formula in reversed(maths[:-1]):
        if not _JOINED.fullmatch(answer, formula.end, parts[0].start):
            break
        parts.insert(0, formula)
    if len(parts) == 1 or not all(_DEFINES.match(part.text) for part in parts):
        return ""
    return " , ".join(part.text.strip() for part in parts)


def _new_sentence(answer: str, math: Formula, start: int) -> bool:
    """Whether a number after the last formula stands in a sentence of its own."""
    return math.display or _SENTENCE_END.search(answer[math.end : start]) is not None


def _after_phrase(rest: str) -> str:
    rest = rest.lstrip(" *\n\t:")[:MAX_BOX]
    if rest.startswith(("\\[", "$$")) and (display := _formulas(rest)):
        return display[0].text
    end = _SENTENCE_END.search(rest)
    segment = (rest[: end.start()] if end else rest).strip(" *")
    if either := _EITHER.match(segment):
        segment = segment[either.end() :]
    if not _is_prose(segment):
        return segment
    maths = _formulas(segment)
    tail = segment.rpartition(" is ")[2]
    if tail != segment and not _is_prose(tail):
        return tail
    if maths:
        return maths[-1].text
    numbers = _NUMBER.findall(segment)
    if numbers:
        return str(numbers[-1])
    return segment if len(segment.split()) <= 6 else ""


def _is_prose(text: str) -> bool:
    """Whether words carry the text, so that it holds an answer rather than being one."""
    words = [word for word in _PROSE.findall(_GLUED.sub(r" ", text)) if word.lower() not in _NO_PROSE]
    if not words:
        return False
    if re.search(r"[\d\\$=]", text) is None:
        return len(words) > 4
    return sum(not is_unit_word(word) for word in words) > 0
