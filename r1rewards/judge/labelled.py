"""Rows that people (or better models) judged: pairs of answers, and labelled responses.

A pair is two answers to one prompt: {prompt, chosen, rejected}, lists of messages, or the transcripts of
Anthropic's HH data. A label says that a response is good (1) or bad (0).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from r1rewards.core.errors import UserError
from r1rewards.core.rows import Message, derived_name, question_of
from r1rewards.core.store import numbered_rows
from r1rewards.core.turns import CHAT_COLUMNS, question_and_answer, turns_of, turns_of_row

Row = Mapping[str, Any]
Kind = Literal["pairs", "labels"]

_GOOD = {"1", "true", "yes", "safe", "good", "chosen", "harmless"}
_BAD = {"0", "-1", "false", "no", "unsafe", "bad", "rejected", "harmful"}


@dataclass(frozen=True, slots=True)
class Labelled:
    """What a file holds.

    kind      pairs or labels, as its first row tells
    left_out  why a row was left out, a sentence each
    """

    kind: Kind
    rows: list[dict[str, Any]]
    left_out: list[str]

    @property
    def left_out_sentence(self) -> str:
        """What to tell of the rows that were left out; empty where there are none."""
        count = len(self.left_out)
        return f"{count:,} rows were left out; the first: {self.left_out[0]}" if count else ""


def read_labelled(
    path: Path, *, columns: Mapping[str, str] | None = None, good: Collection[str] = ()
) -> Labelled:
    """The labelled rows of a file, of one kind; published data sets hold rows that are none."""
    found: Labelled | None = None
    for where, row in numbered_rows(path, columns=columns):
        if found is None:
            found = Labelled("pairs" if row.get("chosen") is not None else "labels", [], [])
        try:
            found.rows.append(pair_row(row, where) if found.kind == "pairs" else label_row(row, where, good))
        except UserError as error:
            found.left_out.append(str(error))
    if found is None or not found.rows:
        raise UserError(found.left_out[0] if found else f"{path}: there are no rows in it")
    return found


def prompt_key(row: Row) -> str:
    """What rows about the same prompt share: its turns, whatever their case and spaces."""
    turns = (f"{turn['role']} {turn['content']}" for turn in row["prompt"])
    return derived_name(*(" ".join(turn.lower().split()) for turn in turns))


def pair_row(row: Row, where: str) -> dict[str, Any]:
    """The row as a pair: {id, uid, prompt, chosen, rejected, ...}; a UserError where it is none."""
    for name in ("chosen", "rejected"):
        if not row.get(name):
            raise UserError(f"{where}: a pair needs {name!r} (this row has {', '.join(sorted(row))})")
    before = _asked(row, where)
    (prompt, chosen), (other, rejected) = (
        _answered(row[name], before, f"{where}, {name}") for name in ("chosen", "rejected")
    )
    if prompt != other:
        raise UserError(f"{where}: the two conversations differ before their last turn")
    if chosen.strip() == rejected.strip():
        raise UserError(f"{where}: chosen and rejected are the same text")
    return _judged(row, prompt, where, chosen=chosen, rejected=rejected)


def label_row(row: Row, where: str, good: Collection[str] = ()) -> dict[str, Any]:
    """The row as a labelled response: {id, uid, prompt, response, label, ...}; a UserError where it is none.

    good  the values of the column `label` that mean 1; all others then mean 0
    """
    said = row.get("label")
    if said is None:
        raise UserError(f"{where}: no 'label' in this row; name its column: --map label=NAME")
    word = str(said).strip().lower()
    if good:
        label = int(word in {str(value).strip().lower() for value in good})
    elif word in _GOOD | _BAD:
        label = int(word in _GOOD)
    else:
        raise UserError(f"{where}: the label {said!r} says neither good nor bad; say which do: --good VALUE")
    if (response := row.get("response", row.get("text"))) is not None:
        prompt, response = _answered(response, _asked(row, where), where)
    else:
        turns, _ = turns_of_row(row, where)
        prompt, response = question_and_answer(turns, where)
    return _judged(row, prompt, where, response=response, label=label)


def _asked(row: Row, where: str) -> list[Message]:
    """The conversation before the answers, where the row has it apart."""
    for name in ("prompt", *CHAT_COLUMNS):
        if row.get(name):
            return turns_of(row[name], where)
    return []


def _answered(value: Any, before: list[Message], where: str) -> tuple[list[Message], str]:
    """The prompt and the answer: of a whole conversation, or of an answer to what stands before."""
    turns = turns_of(value, where)
    if len(turns) == 1 and before:
        return before, turns[0]["content"]
    return question_and_answer(turns, where)


def _judged(row: Row, prompt: list[Message], where: str, **answers: Any) -> dict[str, Any]:
    for name, text in answers.items():
        if isinstance(text, str) and not text.strip():
            raise UserError(f"{where}: the answer in {name!r} is empty")
    gone = {"prompt", "text", "response", "label", "chosen", "rejected", "system", *CHAT_COLUMNS}
    identity = str(row.get("id") or derived_name(question_of(prompt)))
    named = {"id": identity, "uid": derived_name(identity, *map(str, answers.values()))}
    rest = {name: value for name, value in row.items() if name not in gone}
    return {**named, **rest, "id": identity, "prompt": prompt, **answers}
