"""The same held-out problems before and after each stage, side by side."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from r1rewards.core.rows import question_of
from r1rewards.core.template import TEMPLATES, Template
from r1train.report.headline import in_order
from r1train.report.run import Run
from r1train.report.text import TEXT_LIMIT, shorten
from r1train.summary import accuracy

CASES = 12
CHANGES = (
    "wrong, then right",
    "right, then wrong",
    "right, and still right",
    "wrong, and still wrong",
    "not checked by a rule",
)


@dataclass(frozen=True)
class Answered:
    """One response as it is shown, whole and taken apart; texts are already shortened."""

    stage: str
    text: str
    reasoning: str
    answer: str
    faults: tuple[str, ...]
    right: float | None
    reward: float | None
    tokens: int
    truncated: bool
    verdicts: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Case:
    """One held-out problem with the first sample of every model that has answered it."""

    problem_id: str
    domain: str
    language: str
    question: str
    reference: str
    change: str
    answers: list[Answered]


def cases(run: Run, count: int = CASES, limit: int = TEXT_LIMIT) -> list[Case]:
    """Problems that show what the stages changed, each text shortened to the limit.

    Domains take turns. Within a domain, problems take turns by how the first sample of the first and of the
    last model compare (`CHANGES`), and come in the order of their ids: nothing is picked by hand.
    """
    rows: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for stage in run.models:
        for row in stage.evaluation_rows():
            if row.get("sample") == 0:
                rows[str(row["problem_id"])][stage.title] = row
    by_domain: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for problem_id, answers in sorted(rows.items()):
        ordered = list(answers.values())
        by_domain[str(ordered[0].get("domain"))][_change(ordered[0], ordered[-1])].append(problem_id)
    turns = [
        _take_turns([by_domain[name][change] for change in CHANGES]) for name in in_order(set(by_domain))
    ]
    return [_case(problem_id, rows[problem_id], limit) for problem_id in _take_turns(turns)[:count]]


def _take_turns(lists: list[list[str]]) -> list[str]:
    return [item for turn in zip_longest(*lists) for item in turn if item is not None]


def _change(first: Mapping[str, Any], last: Mapping[str, Any]) -> str:
    before, after = accuracy(first), accuracy(last)
    if before is None or after is None:
        return CHANGES[4]
    if before < 1:
        return CHANGES[0] if after >= 1 else CHANGES[3]
    return CHANGES[2] if after >= 1 else CHANGES[1]


def _case(problem_id: str, answers: Mapping[str, Mapping[str, Any]], limit: int) -> Case:
    rows = list(answers.values())
    first = rows[0]
    reference = first.get("reference")
    text = reference if isinstance(reference, str) else json.dumps(reference, ensure_ascii=False)
    return Case(
        problem_id=problem_id,
        domain=str(first.get("domain") or ""),
        language=str(first.get("language") or ""),
        question=shorten(question_of(first.get("prompt") or ""), limit),
        reference="" if reference is None else shorten(text, 600),
        change=_change(first, rows[-1]) if len(rows) > 1 else "",
        answers=[_answered(stage, row, limit) for stage, row in answers.items()],
    )


def _answered(stage: str, row: Mapping[str, Any], limit: int) -> Answered:
    text = str(row.get("text") or "")
    trace = template_of(text).parse(text)
    verdicts = [
        (name, _said(verdict), str(verdict.get("reason") or ""))
        for name, verdict in (row.get("verdicts") or {}).items()
    ]
    return Answered(
        stage=stage,
        text=shorten(text, limit),
        reasoning=shorten(trace.reasoning, limit),
        answer=shorten(trace.answer, limit),
        faults=trace.faults,
        right=accuracy(row),
        reward=row.get("reward"),
        tokens=int(row.get("tokens") or 0),
        truncated=row.get("finish_reason") == "length",
        verdicts=verdicts,
    )


def template_of(text: str) -> Template:
    """The template whose tags the text uses; a text without tags is all answer under each of them."""
    if "reasoning_process>" in text:
        return TEMPLATES["reasoning-summary"]
    return TEMPLATES["think-answer" if "<answer>" in text else "think-summary"]


def _said(verdict: Mapping[str, Any]) -> str:
    return f"{verdict['value']:.3g}" if verdict["status"] == "value" else str(verdict["status"])
