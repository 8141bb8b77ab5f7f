"""What every source of problems shares: its own random numbers, stable ids, and no question twice."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.rows import Problem, check_problem

#: Facts that only dress a question up or follow from the others: they do not make it another question.
DRESS = frozenset(
    {"who", "thing", "unit", "variable", "answer", "name", "args", "idea", "solution", "options"}
)
#: How many questions in a row may be repetitions before a source counts as exhausted.
PATIENCE = 400


def digest(*parts: Any, size: int = 4) -> str:
    """Hex digits that stand for JSON-able values: the same in every process and on every machine."""
    key = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.blake2b(key.encode(), digest_size=size).hexdigest()


def rng_for(*parts: Any) -> random.Random:
    """Random numbers that depend on these values and nothing else, so that every index is independent."""
    return random.Random(digest(*parts, size=16))


def problem_id(source: str, seed: int, index: int, options: Mapping[str, Any]) -> str:
    """`source-xxxxxxxx-index`: the same source, options and seed always give the same ids."""
    return f"{source}-{digest(source, seed, dict(options))}-{index}"


def make_problem(
    id: str,
    task: str,
    question: str,
    reference: Any,
    *,
    source: str,
    domain: str | None = None,
    language: str = "en",
    meta: Mapping[str, Any] | None = None,
) -> Problem:
    """A generated problem: one user turn.

    `meta` holds the facts that `r1data.worked` computes from, and `key`, which is equal for problems that
    ask the same thing in other words, in another language or from another seed: what a split must keep apart.
    """
    facts = dict(meta or {})
    facts["key"] = digest(_undressed(facts) or question, size=8)
    return check_problem(
        {
            "id": id,
            "task": task,
            "domain": domain,
            "prompt": question,
            "reference": reference,
            "language": language,
            "source": source,
            "meta": facts,
        },
        id,
    )


def _undressed(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _undressed(value) if isinstance(value, Mapping) else value
        for key, value in facts.items()
        if key not in DRESS
    }


def distinct(problems: Iterator[Problem], count: int, source: str) -> Iterator[Problem]:
    """The first `count` problems that differ in their key; a `UserError` where there are not so many."""
    seen: set[str] = set()
    repeated = 0
    if count <= 0:
        return
    for problem in problems:
        key = problem["meta"]["key"]
        if key in seen:
            repeated += 1
            if repeated > PATIENCE:
                raise UserError(
                    f"source {source!r} has only about {len(seen)} different problems with these options, "
                    f"not {count}; ask for fewer or for larger numbers"
                )
            continue
        repeated = 0
        seen.add(key)
        yield problem
        if len(seen) == count:
            return


def one_of(value: str, known: tuple[str, ...], option: str, source: str) -> str:
    """The value of an option that knows only certain words."""
    if value not in known:
        raise UserError(f"source {source!r}: {option} is {value!r}; it must be one of {', '.join(known)}")
    return value


def bounds(value: Any, option: str, source: str, *, least: int = 1) -> tuple[int, int]:
    """A range given as [low, high] or as one number."""
    low, high = (value, value) if isinstance(value, int) else (tuple(value) if len(value) == 2 else (0, -1))
    if not (isinstance(low, int) and isinstance(high, int) and least <= low <= high):
        raise UserError(
            f"source {source!r}: {option} is {value!r}; it must be [low, high] with {least} <= low <= high"
        )
    return low, high
