"""Is this output the expected one? Outputs are text written by a model: compared, never interpreted."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_TOLERANCE = 1e-6


def by_token(output: str, expected: str) -> str | None:
    """None when they agree, otherwise what differs first.

    The same number of lines, and in each line the same tokens; white space around tokens, carriage
    returns and empty lines at the end do not count. Where the expected token is a number with a decimal
    point, one within 1e-6 of it (relative above 1) will do. An expected output of one line asks for its
    tokens only, however they are laid out: some data sets have put all lines into one.
    """
    lines, wanted = _lines(output), _lines(expected)
    if len(wanted) == 1:
        lines = [" ".join(lines)]
    for number, (line, want) in enumerate(zip(lines, wanted, strict=False), start=1):
        if line == want:
            continue
        tokens, wants = line.split(), want.split()
        if len(tokens) != len(wants) or not all(map(_same, tokens, wants)):
            return f"line {number} is {_short(line)}, expected {_short(want)}"
    if len(lines) != len(wanted):
        return f"{len(lines)} lines, expected {len(wanted)}"
    return None


def exact(output: str, expected: str) -> str | None:
    """None when they are the same text to the last character."""
    if output == expected:
        return None
    at = next((i for i, (a, b) in enumerate(zip(output, expected, strict=False)) if a != b), None)
    if at is None:
        return f"{len(output)} characters, expected {len(expected)}"
    return f"differs at character {at}: {_short(output[at:])}, expected {_short(expected[at:])}"


def _lines(text: str) -> list[str]:
    return text.replace("\r", "").rstrip().split("\n")


def _same(token: str, want: str) -> bool:
    if token == want:
        return True
    if "." not in want or len(token) > 400 or not (_NUMBER.fullmatch(want) and _NUMBER.fullmatch(token)):
        return False
    value, goal = float(token), float(want)
    return abs(value - goal) <= _TOLERANCE * max(1.0, abs(goal))


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "...")
