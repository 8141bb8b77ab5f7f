"""What a judge's reply says, or None where it is not in form. Linear in the reply, whatever it holds.

A reply is read from behind its thinking. It must say one thing: two objects (or two labels) that differ are
not in form, because one of them may be a quotation from the text under judgement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from r1rewards.core.verdict import Verdict

T = TypeVar("T")

_BAD_ESCAPE = re.compile(r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4})|\\')  # LaTeX in a JSON string: \sqrt is no escape
_LABEL = re.compile(r"\[\[\s?([AB][>=]{1,2}[AB])\s?\]\]")
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
    """`[[A>>B]]` to `[[B>>A]]`: 2 to -2, positive where A is better."""
    labels = set(_LABEL.findall(_spoken(reply)))
    if len(labels) != 1 or (label := labels.pop()) not in PREFERENCES:
        return None
    return Verdict.of(PREFERENCES[label], f"the judge says {label}", "judge", label=label)


def json_objects(text: str) -> list[dict[str, Any]]:
    """The outermost JSON objects in a text, in order; prose and broken objects between them are skipped."""
    opened: list[int] = []
    spans: list[tuple[int, int]] = []
    in_string = escaped = False
    for i, char in enumerate(text):
        if in_string:
            if char == '"' and not escaped:
                in_string = False
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_string = bool(opened)  # quotation marks in the prose around objects mean nothing
        elif char == "{":
            opened.append(i)
        elif char == "}" and opened:
            start = opened.pop()
            while spans and spans[-1][0] > start:  # what lies inside is part of this one
                spans.pop()
            spans.append((start, i + 1))
    objects = (_object(text[start:end]) for start, end in spans)
    return [found for found in objects if found is not None]


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
