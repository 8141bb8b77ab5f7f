"""Worked traces: reasoning and answer for generated problems, computed step by step by a small program.

A problem's `meta.kind` names its program, the rest of `meta` are the facts that it computes from. The
traces are in the first person and in the problem's language; the problem's id chooses the wording. They are
right by construction: the answer is the end of the computation, never a copy of the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from r1data.worked import choices, code, numbers, puzzles
from r1data.worked.voice import Voice
from r1rewards.core.rows import Problem

KINDS: dict[str, Callable[[dict[str, Any], Voice], tuple[str, str]]] = {
    "sum": numbers.work_sum,
    "product": numbers.work_product,
    "equation": numbers.work_equation,
    "story": numbers.work_story,
    "gcd": numbers.work_gcd,
    "lcm": numbers.work_lcm,
    "legs": numbers.work_legs,
    "friends": numbers.work_friends,
    "sequence": puzzles.work_sequence,
    "filter": puzzles.work_filter,
    "backward": puzzles.work_backward,
    "letters": puzzles.work_letters,
    "reversal": puzzles.work_reversal,
    "weekday": puzzles.work_weekday,
    "family": puzzles.work_family,
    "extreme": choices.work_extreme,
    "odd-one": choices.work_odd_one,
    "member": choices.work_member,
    "order": choices.work_order,
    "code": code.work_code,
}


def worked_trace(problem: Problem) -> tuple[str, str] | None:
    """Reasoning and answer for a problem that one of the generating sources made; None for any other."""
    facts = problem["meta"]
    voice = Voice(problem["id"], problem["language"])
    if facts.get("kind") == "choice":
        return choices.work_choice(facts, voice, KINDS)
    work = KINDS.get(str(facts.get("kind")))
    return work(facts, voice) if work else None
