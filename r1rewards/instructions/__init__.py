"""Does a response do what its prompt asks of its form? The verifiable instructions of IF-Eval.

A row's reference lists them as IF-Eval does (Zhou et al., arXiv 2311.07911), and `kinds` has all 25:

    {"instructions": [{"kind": "punctuation:no_comma"},
                      {"kind": "length_constraints:number_words", "relation": "at least", "num_words": 300}]}

R1 is evaluated by whether all instructions of a prompt are followed to the letter (its "prompt strict").
Written anew from the paper; where a person would count otherwise than the published checker, `kinds` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from r1rewards.core.errors import GraderError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.template import Template, get_template
from r1rewards.core.verdict import Verdict
from r1rewards.instructions.kinds import Fault, checker

__all__ = ["InstructionsReward", "check", "checkers"]


def check(
    response: str,
    reference: Mapping[str, Any],
    *,
    template: str | Template | None = None,
    partial: bool = False,
    loose: bool = False,
) -> Verdict:
    """1 where the answer follows every instruction of `reference`, else 0.

    template  how thinking and answer are laid out; None reads what follows the last `</think>`, or all.
    partial   the share of the instructions that are followed, in place of all or nothing.
    loose     IF-Eval's second count: an instruction is also followed where it would be without the first
              line, the last line or the asterisks of the answer, so that "Sure, here it is:" does no harm.

    Raises GraderError where the reference lists nothing, or what is unknown or lacks its arguments.
    """
    answer = (
        response.rpartition("</think>")[2]
        if template is None
        else get_template(template).parse(response).answer
    )
    return _judge(answer, reference, partial, loose)


def checkers(reference: Mapping[str, Any]) -> list[Callable[[str], Fault]]:
    """What checks an answer by each instruction of a reference, in order. Raises GraderError as `check`."""
    listed = reference.get("instructions")
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        raise GraderError("the reference lists no `instructions`: nothing to follow is never a pass")
    return [checker(instruction) for instruction in listed]


def _judge(answer: str, reference: Mapping[str, Any], partial: bool, loose: bool) -> Verdict:
    checks = checkers(reference)
    if not answer.strip():
        return Verdict.of(0.0, "the response gives no answer", "empty")
    readings = list(dict.fromkeys(_readings(answer))) if loose else [answer]
    faults = [_fault(check, readings) for check in checks]
    followed = [fault is None for fault in faults]
    value = sum(followed) / len(followed) if partial else float(all(followed))
    details = {"followed": followed, "faults": [fault for fault in faults if fault is not None]}
    if all(followed):
        return Verdict.of(value, f"all {len(followed)} instructions are followed", "followed", **details)
    broken = followed.index(False)
    route = str(reference["instructions"][broken]["kind"])
    more = followed.count(False) - 1
    reason = f"{route}: {faults[broken]}" + (f", and {more} more" if more else "")
    return Verdict.of(value, reason, route, **details)


def _fault(check: Callable[[str], Fault], readings: Sequence[str]) -> str | None:
    """What is wrong with the answer as it stands; None where one of the readings is right."""
    faults = [check(reading) for reading in readings if reading.strip()]
    return None if None in faults else faults[0]


def _readings(answer: str) -> Iterator[str]:
    """The answer, and the same without its first line, its last line or both, each also without asterisks."""
    lines = answer.split("\n")
    for some in (lines, lines[1:], lines[:-1], lines[1:-1]):
        text = "\n".join(some).strip()
        yield text
        yield text.replace("*", "")


class InstructionsReward(Reward):
    """`check` on the answer of a row whose reference lists instructions. Options as there."""

    tasks = frozenset({"instructions"})
    scope = "answer"

    def __init__(self, partial: bool = False, loose: bool = False) -> None:
        self._partial, self._loose = partial, loose

    def check(self, sample: Sample) -> Verdict:
        return _judge(sample.scoped(self.scope), sample.reference, self._partial, self._loose)
