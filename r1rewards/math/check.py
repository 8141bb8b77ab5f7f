"""The math reward: is the answer in this response mathematically the gold answer?"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from r1rewards.core.reward import Reward, Sample
from r1rewards.core.template import Template, Trace
from r1rewards.core.verdict import Verdict
from r1rewards.math.decide import decide, gold_of
from r1rewards.math.extract import Policy, find, tagged, trace_of


def check(
    response: str,
    gold: str,
    *,
    policy: Policy = "lenient",
    template: str | Template | None = None,
    prefilled: bool = False,
    thinking: bool = True,
) -> Verdict:
    r"""1 when the answer of the response is the gold, 0 when it is not.

    response  the whole model output, thinking included; the answer is looked for after the thinking.
    gold      the reference answer as text: `42`, `\frac{1}{2}`, `x \in [0,1)`, `(C)`, with or without a box.
    policy    "lenient" finds an answer wherever a person would; "strict" only in a box or an answer tag.
    template  how the response is laid out; None goes by the tags it holds.
    prefilled, thinking  as in `Template.parse`.

    Abstains when the gold cannot be checked or equality could not be decided; an error verdict when the
    grader failed. `details` holds `extracted`, `gold_type` and `seconds`.
    """
    trace = trace_of(response, template, prefilled=prefilled, thinking=thinking)
    return check_trace(trace, response, gold, policy=policy)


def check_trace(trace: Trace, response: str, gold: str, *, policy: Policy = "lenient") -> Verdict:
    """`check` of a response that was taken apart already."""
    started = time.perf_counter()
    found = find(trace.answer, tag=tagged(trace, response), policy=policy)
    if not found.text:
        reason = "the thinking is not closed" if "unclosed_reasoning" in trace.faults else found.route
        return _verdict("wrong", reason, "none", gold, "", started)
    decision = decide(gold, found.text)
    return _verdict(
        decision.outcome, decision.reason, f"{found.route}/{decision.tier}", gold, found.text, started
    )


def _verdict(outcome: str, reason: str, route: str, gold: str, extracted: str, started: float) -> Verdict:
    details = {
        "extracted": extracted[:200],
        "gold_type": gold_of(gold).kind,
        "seconds": round(time.perf_counter() - started, 6),
    }
    if outcome in ("right", "wrong"):
        return Verdict.of(outcome == "right", reason, route, **details)
    return Verdict.abstain(reason, route, **details)


def check_many(
    pairs: Iterable[tuple[str, str]],
    *,
    policy: Policy = "lenient",
    template: str | Template | None = None,
) -> list[Verdict]:
    """The verdict of every (response, gold), in order."""
    return [check(response, gold, policy=policy, template=template) for response, gold in pairs]


class MathReward(Reward):
    """1 for the right answer, 0 for a wrong or missing one; `reference` is the gold answer as text."""

    tasks = frozenset({"math"})

    def __init__(self, policy: Policy = "lenient") -> None:
        if policy not in ("lenient", "strict"):
            raise ValueError(f"policy is {policy!r}; it must be 'lenient' or 'strict'")
        self.policy: Policy = policy

    def check(self, sample: Sample) -> Verdict:
        return check_trace(sample.trace, sample.text, str(sample.reference), policy=self.policy)

    def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
        return [self._guarded(sample) for sample in samples]
