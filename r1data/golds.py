"""Can the answer of a problem be graded at all? Asked once, on the way in, before anyone trains on it.

A mathematical gold must be readable as a value, a choice must be one of the letters that the question shows,
instructions must be known, with their arguments, and tests must be tests: present, in form, and passed by the
solution that the data set brings (`meta.solution`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from r1rewards.core.errors import GraderError
from r1rewards.core.rows import Problem, question_of

#: A gold that is prose can be compared, but not one that is an essay or a proof.
MAX_WORDS = 12
_NO_ANSWER = frozenset({"proof", "notfound", "none", "nan", "n/a", "null", "unknown"})
_COMMAND, _WORD = re.compile(r"\\[a-zA-Z]+"), re.compile(r"[^\W\d_]{2}")
_OPTION = re.compile(r"^\s*\(?([A-J])[).:：、]", re.MULTILINE)


def fault(problem: Problem) -> str | None:
    """What is wrong with the gold of a problem, in words; None where nothing is or its task has no gold."""
    check = _CHECKS.get(problem["task"])
    return check(problem) if check else None


def split(problems: Iterable[Problem], left_out: Callable[[str, str], None]) -> Iterable[Problem]:
    """The problems whose gold can be graded; `left_out` is told id and reason of the others."""
    for problem in problems:
        reason = fault(problem)
        if reason is None:
            yield problem
        else:
            left_out(problem["id"], reason)


def _math(problem: Problem) -> str | None:
    from r1rewards.math.decide import gold_of

    text = str(problem["reference"])
    if text.strip().lower() in _NO_ANSWER:
        return f"the reference {text.strip()!r} is no answer"
    gold = gold_of(text)
    if gold.kind == "unreadable" or (gold.problem and not _WORD.search(_COMMAND.sub("", text))):
        return f"the reference {text[:80]!r} cannot be read as mathematics ({gold.problem})"
    if gold.kind == "text" and len(text.split()) > MAX_WORDS:
        return f"the reference is prose of {len(text.split())} words, which no rule can compare"
    return None


def _choice(problem: Problem) -> str | None:
    letter = str(problem["reference"]).strip().strip("().").upper()
    shown = _OPTION.findall(question_of(problem["prompt"]))
    if len(letter) != 1 or not "A" <= letter <= "J":
        return f"the reference {letter[:40]!r} is no letter"
    if shown and letter not in shown:
        return f"the reference is {letter}, and the question shows {', '.join(dict.fromkeys(shown))}"
    return None


def _code(problem: Problem) -> str | None:
    from r1rewards import code
    from r1rewards.code.limits import Limits

    reference: Mapping[str, Any] = problem["reference"]
    if not (reference.get("tests") or reference.get("asserts")):
        return "there are no tests"
    solution = (problem.get("meta") or {}).get("solution")
    program = f"```python\n{solution or 'pass'}\n```"
    verdict = code.check(program, reference)
    if "time" in verdict.details.get("tests", ()):  # near its limit it must not come and go with the load
        patient = {"time_s": 2 * Limits.of(reference.get("limits")).time_s}
        verdict = code.check(program, reference, limits=patient)
    if verdict.status == "error":
        return f"the tests cannot be run ({verdict.reason})"
    if solution and verdict.value != 1:
        return f"the data set's own solution does not pass ({verdict.reason})"
    return None


def _puzzle(problem: Problem) -> str | None:
    missing = [name for name in ("dataset", "seed", "index") if problem["reference"].get(name) is None]
    return f"the reference lacks {missing[0]!r}" if missing else None


def _instructions(problem: Problem) -> str | None:
    from r1rewards.instructions import checkers

    try:
        checkers(problem["reference"])
    except GraderError as error:
        return str(error)
    return None


_CHECKS: dict[str, Callable[[Problem], str | None]] = {
    "math": _math,
    "choice": _choice,
    "code": _code,
    "puzzle": _puzzle,
    "instructions": _instructions,
}
