"""The prompts written for this project: general ones and safety ones (`r1data.content`)."""

from __future__ import annotations

from collections.abc import Iterator

from r1data.content import load
from r1data.sources.base import one_of
from r1data.sources.columns import sample
from r1rewards.core.rows import Problem, check_problem


def prompts(*, count: int, seed: int, set: str = "general", language: str | None = None) -> Iterator[Problem]:
    """At most `count` prompts of a set, chosen by a hash under the seed.

    The ids are those of the content rows, so that `r1data.content.pairs(ids)` finds the answers. The
    reference is the good answer, for a judge to compare with.

    set       general or safety.
    language  en or zh; both unless given.
    """
    one_of(set, ("general", "safety"), "set", "prompts")
    rows = [row for row in load(set) if language in (None, row["language"])]
    return sample((_problem(row, set) for row in rows), count, seed)


def _problem(row: dict[str, str], task: str) -> Problem:
    problem = {
        "id": row["id"],
        "task": task,
        "domain": row["domain"],
        "prompt": row["prompt"],
        "reference": row["answer"],
        "language": row["language"],
        "source": f"prompts/{task}",
        "thinking": row.get("thinking"),
        "meta": {"key": row["id"]},
    }
    return check_problem(problem, row["id"])
