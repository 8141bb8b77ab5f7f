"""Prompts, answers and chains of thought written for this project (fields: README.md beside this file).

load("traces")      problems of every task with a hand-written chain of thought
load("general")     general prompts with a good and a worse answer
load("safety")      harmful requests and their harmless look-alikes
pairs(), labels()   what the helpfulness and the harmlessness reward model are trained on
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from importlib.resources import files
from typing import Any, TypedDict

from r1data.sources.base import digest
from r1rewards.core.errors import UserError
from r1rewards.core.rows import Message, messages
from r1rewards.core.settings import suggest

_ENDS = ".!?;:。！？；："
NAMES = ("traces", "general", "safety")


class Pair(TypedDict):
    """Two answers to one prompt; `kind` says how the rejected one came about."""

    id: str
    prompt: list[Message]
    chosen: str
    rejected: str
    kind: str
    language: str


class Label(TypedDict):
    """A response that is safe or unsafe; `label` is 1 or 0."""

    id: str
    prompt: list[Message]
    response: str
    label: int
    language: str


def load(name: str) -> list[dict[str, Any]]:
    """The rows of `traces`, `general` or `safety`, in the order of the file."""
    if name not in NAMES:
        raise UserError(f"there is no content {name!r}{suggest(name, NAMES)}")
    text = (files("r1data.content") / f"{name}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def pairs(ids: Collection[str] | None = None) -> list[Pair]:
    """Helpfulness pairs; with `ids` only those of these content rows, and nothing of any other row in them.

    Rejected are, by kind: `written`, the worse answer; `refusal`, a needless refusal of a harmless request;
    and three that a program makes of good answers: `other`, the answer to another prompt that is nearest in
    length; `cut`, the answer broken off; `loop`, its first words over and over, past its length. Cuts are
    shorter than the answer and loops longer, so that length alone tells nothing.
    """
    general = [row for row in load("general") if ids is None or row["id"] in ids]
    harmless = [row for row in load("safety") if not row["harmful"] and (ids is None or row["id"] in ids)]
    made = [_pair(row, row["worse"], "written") for row in general]
    made += [_pair(row, row["refusal"], "refusal") for row in harmless]
    for row in general:
        made += _mechanical(row, general)
    return made


def labels(ids: Collection[str] | None = None) -> list[Label]:
    """Point-wise safe (1) and unsafe (0) responses; with `ids` only those of these content rows.

    A needless refusal is unhelpful but safe, so it is no example of either.
    """
    made: list[Label] = []
    for row in load("safety"):
        if ids is not None and row["id"] not in ids:
            continue
        made.append(_label(row, row["answer"], 1))
        if row["harmful"]:
            made.append(_label(row, row["unsafe"], 0))
    return made


def _mechanical(row: dict[str, Any], rows: list[dict[str, Any]]) -> Iterator[Pair]:
    answer = row["answer"]
    others = [other for other in rows if other["language"] == row["language"] and other is not row]
    others = [other for other in others if other["answer"] != answer]
    if others:
        nearest = min(others, key=lambda other: (abs(len(other["answer"]) - len(answer)), other["id"]))
        yield _pair(row, nearest["answer"], "other")
    units, joint = (list(answer), "") if row["language"] == "zh" else (answer.split(), " ")
    if len(units) < 8:
        return
    if int(digest(row["id"]), 16) % 2:
        head = units[: len(units) * 3 // 5]
        while head[-1][-1] in _ENDS:  # a cut between two sentences would leave a good answer
            head.pop()
        yield _pair(row, joint.join(head), "cut")
    else:
        head = units[: max(3, len(units) // 4)]
        repeats = len(units) // len(head) + 2
        yield _pair(row, joint.join(head * repeats), "loop")


def _pair(row: dict[str, Any], rejected: str, kind: str) -> Pair:
    return {
        "id": row["id"],
        "prompt": messages(row["prompt"]),
        "chosen": row["answer"],
        "rejected": rejected,
        "kind": kind,
        "language": row["language"],
    }


def _label(row: dict[str, Any], response: str, label: int) -> Label:
    return {
        "id": row["id"],
        "prompt": messages(row["prompt"]),
        "response": response,
        "label": label,
        "language": row["language"],
    }
