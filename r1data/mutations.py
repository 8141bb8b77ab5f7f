"""New inputs of a program out of the ones that there are: other values in the same layout.

An input is lines of words. A number that counts what comes below it (lines, words of a line, letters of a
word) or may bound it stays as it is, and so does whatever is neither a whole number nor a word. The others
become values between the ones that stand in their place elsewhere: in their line, in the same column of like
lines, or at the same place of another input. So most of what comes out keeps what the problem promises of its
inputs; whether it does is for the right solutions to say.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

#: A line of so many words at most may say how many of something follow.
_HEADER = 3
#: Draws for each input that is wanted: many only repeat one that there is.
_TRIES = 20
_NUMBER, _LETTERS = re.compile(r"-?\d{1,18}"), re.compile(r"[^\W\d_]+")

Lines = list[list[str]]
Place = tuple[int, int]


def mutations(inputs: Sequence[str], count: int, seed: str) -> list[str]:
    """So many different inputs at most, none of which was given; the same ones for the same seed."""
    given = [[line.split(" ") for line in text.split("\n")] for text in inputs if text.strip()]
    known, made = set(inputs), list[str]()
    free = [_free(lines) for lines in given]
    for attempt in range(_TRIES * count if any(free) else 0):
        if len(made) == count:
            break
        rng = random.Random(f"{seed}/{attempt}")
        at = rng.choice([number for number, places in enumerate(free) if places])
        text = "\n".join(" ".join(line) for line in _changed(given, at, free[at], rng))
        if text not in known:
            known.add(text)
            made.append(text)
    return made


def _changed(given: Sequence[Lines], at: int, free: Sequence[Place], rng: random.Random) -> Lines:
    """One of the inputs with one, two or three changes."""
    lines = [list(line) for line in given[at]]
    for _ in range(rng.randint(1, 3)):
        row, column = rng.choice(free)
        columns = [place[1] for place in free if place[0] == row]
        if len(columns) > _HEADER and rng.random() < 0.4:
            _rearrange(lines[row], columns, rng)
        else:
            seen = list(_alike(lines, row, column))
            if len(set(seen)) == 1:
                seen += [other[row][column] for other in given if _has(other, row, column)]
            lines[row][column] = _another(lines[row][column], seen, rng)
    return lines


def _rearrange(line: list[str], columns: Sequence[int], rng: random.Random) -> None:
    """The numbers of a line in another order, or all of them the same; or its words, if it has no numbers."""
    columns = [column for column in columns if _NUMBER.fullmatch(line[column])] or columns
    words = [line[column] for column in columns]
    how = rng.choice(("shuffled", "rising", "falling", "same"))
    if how == "shuffled":
        rng.shuffle(words)
    elif how == "same":
        words = [rng.choice(words)] * len(words)
    else:
        words.sort(key=lambda word: (int(word) if _NUMBER.fullmatch(word) else 0, word))
        words = words[:: 1 if how == "rising" else -1]
    for column, word in zip(columns, words, strict=True):
        line[column] = word


def _another(word: str, seen: Sequence[str], rng: random.Random) -> str:
    """A number between those seen in its place, or a word of as many of their letters."""
    if not _NUMBER.fullmatch(word):
        letters = sorted({letter for one in seen if _LETTERS.fullmatch(one) for letter in one})
        places = rng.sample(range(len(word)), rng.randint(1, len(word)))
        return "".join(rng.choice(letters) if at in places else letter for at, letter in enumerate(word))
    values = sorted(int(one) for one in seen if _NUMBER.fullmatch(one))
    low, high = values[0], values[-1]
    if low == high:
        low, high = min(low, 1), max(high, 1)
    near = min(max(int(word) + rng.choice((-1, 1)), low), high)
    return str(rng.choice((low, high, near, rng.randint(low, high), rng.randint(low, high))))


def _free(lines: Lines) -> list[Place]:
    """The places that may change."""
    return [
        (row, column)
        for row, line in enumerate(lines)
        for column, word in enumerate(line)
        if _LETTERS.fullmatch(word) or (_NUMBER.fullmatch(word) and not _counts(lines, row, int(word)))
    ]


def _counts(lines: Lines, row: int, number: int) -> bool:
    """Whether a number of this line says how many of something follow, or how large something may be."""
    below = [[word for word in line if word] for line in lines[row + 1 :]]
    while below and not below[-1]:
        below.pop()
    if number < 1 or not below or sum(map(bool, lines[row])) > _HEADER:
        return False
    letters = {len(word) for line in below for word in line if not _NUMBER.fullmatch(word)}
    columns = (
        [int(word) for word in column if _NUMBER.fullmatch(word)] for column in zip(*below, strict=False)
    )
    bounds = any(column and max(column) <= number for column in columns)
    counts = len(below) % number == 0 or number in letters or number in map(len, below)
    return bounds or counts


def _alike(lines: Lines, row: int, column: int) -> Iterator[str]:
    """What stands in the same line, where it is more than a header, or in the same column of like lines."""
    if len(lines[row]) > _HEADER:
        yield from lines[row]
    for line in lines:
        if len(line) == len(lines[row]):
            yield line[column]


def _has(lines: Lines, row: int, column: int) -> bool:
    return row < len(lines) and column < len(lines[row])
