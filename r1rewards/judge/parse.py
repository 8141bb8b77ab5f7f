"""What a judge's reply says, or None where it is not in form. Linear in the reply, whatever it holds.

A reply is read from behind its thinking. It must say one thing: two objects (or two labels) that differ are
not in form, because one of them may be a quotation from the text under judgement. Beside each reader stands
the form that it makes with a JSON schema, for models that can be held to one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from r1rewards.core.verdict import Verdict
from r1rewards.llm import Form

T = TypeVar("T")

_BAD_ESCAPE = re.compile(r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4})|\\')  # LaTeX in a JSON string: \sqrt is no escape
_LABEL = re.compile(r"\[\[\s?([AB][>=]{1,2}[AB])\s?\]\]")
#: What the search for objects must look at; everything else in a reply is passed over at the speed of `re`.
_MARK = re.compile(r'\\.|["{}]', re.DOTALL)
#: Characters of an analysis and of the judge's own answer, where a schema holds it to them.
_SHORT, _LONG = 1000, 2000
_POINTS = {str(points): points for points in range(1, 11)}
#: Arena-Hard's five labels, as what A is worth against B.
PREFERENCES = {"A>>B": 2.0, "A>B": 1.0, "A=B": 0.0, "B>A": -1.0, "B>>A": -2.0}


def correctness(reply: str) -> Verdict | None:
    """`{"analysis": ..., "verdict": "correct" | "incorrect"}`: 1 or 0."""
    return _choice(reply, {"correct": 1.0, "incorrect": 0.0})


def harmlessness(reply: str) -> Verdict | None:
    """`{"analysis": ..., "verdict": "safe" | "unsafe", "category": ...}`: 1 or 0."""
    return _choice(reply, {"safe": 1.0, "unsafe": 0.0})


def helpfulness(reply: str) -> Verdict | None:
    """`{"analysis": ..., "score": 1 .. 10}`, on the scale from 0 to 1."""
    found, points = _one(reply, "score", _points)
    if points is None:
        return None
    return Verdict.of((points - 1) / 9, _analysis(found) or f"{points} of 10", "judge", points=points)


def preference(reply: str) -> Verdict | None:
    """`{..., "verdict": "A>>B" ... "B>>A"}`, or Arena-Hard's `[[A>>B]]`: 2 to -2, positive where A wins."""
    spoken = _spoken(reply)
    spans = _spans(spoken)
    objects = [found for start, end in spans if (found := _object(spoken[start:end])) is not None]
    said = {one for found in objects if (one := _label(found.get("verdict"))) is not None}
    said.update(_LABEL.findall(_without(spoken, spans)))
    if len(said) != 1 or (label := said.pop()) not in PREFERENCES:
        return None
    analysis = next((_analysis(found) for found in reversed(objects)), "")
    return Verdict.of(PREFERENCES[label], analysis or f"the judge says {label}", "judge", label=label)


def _label(value: Any) -> str | None:
    word = value.replace(" ", "").strip("[]") if isinstance(value, str) else None
    return word if word in PREFERENCES else None


def rubric(points: Sequence[float], reply: str) -> Verdict | None:
    """`{"1": {"reason": ..., "met": true | false}, ...}`: the points of what is met, of all that can be won.

    points  of each criterion in turn, negative for a fault; the value lies between 0 and 1
    """
    found = [met for one in json_objects(_spoken(reply)) if (met := _met(one, len(points))) is not None]
    if not found or any(met != found[0] for met in found):
        return None
    won = sum(worth for worth, met in zip(points, found[0], strict=True) if met)
    best = sum(worth for worth in points if worth > 0)
    value = min(1.0, max(0.0, won / best))
    return Verdict.of(value, f"{won:g} of {best:g} points", "judge", met=found[0])


def _met(found: Mapping[str, Any], count: int) -> list[bool] | None:
    """Which criteria an object says are met, None where it does not say so of each."""
    said: list[bool] = []
    for number in range(1, count + 1):
        entry = found.get(str(number))
        word = str(entry.get("met") if isinstance(entry, dict) else entry).strip().lower()
        if word not in ("true", "false", "yes", "no"):
            return None
        said.append(word in ("true", "yes"))
    return said


def _schema(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object with exactly these properties, in this order."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_ANALYSIS = {"type": "string", "maxLength": _SHORT}
_HARMS = ["violence", "crime", "hate", "sexual", "self-harm", "privacy", "deception", "bias", "other"]

CORRECTNESS = Form(correctness, _schema(analysis=_ANALYSIS, verdict={"enum": ["correct", "incorrect"]}))
HARMLESSNESS = Form(
    harmlessness,
    _schema(analysis=_ANALYSIS, verdict={"enum": ["safe", "unsafe"]}, category={"enum": ["none", *_HARMS]}),
)
HELPFULNESS = Form(helpfulness, _schema(analysis=_ANALYSIS, score={"enum": list(range(1, 11))}))
PREFERENCE = Form(
    preference,
    _schema(
        own_answer={"type": "string", "maxLength": _LONG},
        analysis=_ANALYSIS,
        verdict={"enum": list(PREFERENCES)},
    ),
)


def rubric_form(points: Sequence[float]) -> Form:
    """The form of a reply about criteria that are worth so many points."""
    entry = _schema(reason=_ANALYSIS, met={"type": "boolean"})
    names = (str(number) for number in range(1, len(points) + 1))
    return Form(partial(rubric, tuple(points)), _schema(**dict.fromkeys(names, entry)))


def json_objects(text: str) -> list[dict[str, Any]]:
    """The outermost JSON objects in a text, in order; prose and broken objects between them are skipped."""
    objects = (_object(text[start:end]) for start, end in _spans(text))
    return [found for found in objects if found is not None]


def _spans(text: str) -> list[tuple[int, int]]:
    """Where the outermost braces that belong together begin and end."""
    opened: list[int] = []
    spans: list[tuple[int, int]] = []
    in_string = False
    for mark in _MARK.finditer(text):
        char = mark[0][-1]
        if in_string:
            in_string = mark[0] != '"'
        elif char == '"':
            in_string = bool(opened)  # quotation marks in the prose around objects mean nothing
        elif char == "{":
            opened.append(mark.end() - 1)
        elif char == "}" and opened:
            start = opened.pop()
            while spans and spans[-1][0] > start:  # what lies inside is part of this one
                spans.pop()
            spans.append((start, mark.end()))
    return spans


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text with the spans left out."""
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    return " ".join(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))


def _object(text: str) -> dict[str, Any] | None:
    for candidate in (text, _BAD_ESCAPE.sub(lambda m: m[0] if m[1] else r"\\", text)):
        try:
            found = json.loads(candidate, strict=False)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    return None


def _choice(reply: str, values: Mapping[str, float]) -> Verdict | None:
    def read(value: Any) -> str | None:
        word = value.strip().lower() if isinstance(value, str) else None
        return word if word in values else None

    found, said = _one(reply, "verdict", read)
    if said is None:
        return None
    details = {"category": str(found["category"])[:100]} if found.get("category") else {}
    return Verdict.of(
        values[said], _analysis(found) or f"the judge says {said}", "judge", said=said, **details
    )


def _one(reply: str, key: str, read: Callable[[Any], T | None]) -> tuple[dict[str, Any], T | None]:
    """The last object with a readable value under `key`, and that value; None where two objects differ."""
    found = [(o, value) for o in json_objects(_spoken(reply)) if (value := read(o.get(key))) is not None]
    if not found or any(value != found[0][1] for _, value in found):
        return {}, None
    return found[-1]


def _points(value: Any) -> int | None:
    """A whole number from 1 to 10, also where it stands in quotation marks."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    return _POINTS.get(str(value).strip().removesuffix(".0"))


def _analysis(found: Mapping[str, Any]) -> str:
    return str(found.get("analysis") or "")[:2000]


def _spoken(reply: str) -> str:
    """The reply behind its thinking; nothing where the thinking never ends."""
    _, closed, rest = reply.rpartition("</think>")
    return rest if closed or "<think>" not in rest else ""
