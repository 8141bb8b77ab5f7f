"""The math reward: is the answer in this response mathematically the gold answer?"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from r1rewards.core.errors import GraderError, UserError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.template import Template, Trace
from r1rewards.core.verdict import Verdict
from r1rewards.core.workers import Workers
from r1rewards.math.decide import Decision, decide, gold_of
from r1rewards.math.extract import Found, Policy, find, tagged, trace_of
from r1rewards.math.normalize import clean

#: From this many different (gold, answer) pairs on, a batch is worth the processes of all cores.
_PARALLEL_FROM = 4000
_CHUNK = 500
_CHUNK_DEADLINE_S = 120.0


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
    started = time.perf_counter()
    trace = trace_of(response, template, prefilled=prefilled, thinking=thinking)
    return _check(trace, response, gold, policy, started)


def check_trace(trace: Trace, response: str, gold: str, *, policy: Policy = "lenient") -> Verdict:
    """`check` of a response that was taken apart already."""
    return _check(trace, response, gold, policy, time.perf_counter())


def check_many(
    responses: Sequence[str],
    golds: Sequence[str],
    *,
    policy: Policy = "lenient",
    template: str | Template | None = None,
    prefilled: bool = False,
    thinking: bool = True,
) -> list[Verdict]:
    """The verdict of every response against its gold, in order.

    Equal (gold, extracted answer) pairs, which repeat inside a GRPO group, are decided once; large batches
    use all cores. The verdicts are those of `check`, but for `seconds`, which is the batch's mean.
    """
    traces = [trace_of(response, template, prefilled=prefilled, thinking=thinking) for response in responses]
    return _check_traces(traces, responses, golds, policy)


def equal(one: str, other: str) -> bool:
    """Whether two extracted answers mean the same, by the equality that grades an answer against a gold.

    It need not be symmetric, as a gold may be more than an answer has to say; what cannot be decided is not
    equal. Used to count votes: cons@k of an evaluation.
    """
    decision: Decision | GraderError = _fast(one, other)
    if isinstance(decision, Decision) and decision.outcome == "undecided":
        decision = _slow(one, other)
    return isinstance(decision, Decision) and decision.outcome == "right"


def explain(
    response: str,
    gold: str,
    *,
    policy: Policy = "lenient",
    template: str | Template | None = None,
    prefilled: bool = False,
    thinking: bool = True,
) -> list[str]:
    """The steps of `check` on one response, a line each, for a reader."""
    trace = trace_of(response, template, prefilled=prefilled, thinking=thinking)
    found = find(trace.answer, tag=tagged(trace, response), policy=policy)
    wanted = gold_of(gold)
    lines = [
        f"thinking      {len(trace.reasoning)} characters"
        + (f"; faults of the layout: {', '.join(trace.faults)}" if trace.faults else ""),
        f"answer part   {trace.answer[-200:]!r}",
        f"gold          {wanted.text!r}, read as {wanted.kind}"
        + (f" ({wanted.problem})" if wanted.problem else ""),
    ]
    if not found.text:
        return [*lines, f"extracted     nothing: {found.route}", "verdict       0"]
    lines.append(f"extracted     {found.text[:200]!r} by the route {found.route!r}")
    lines.append(f"cleaned       {clean(found.text)[:200]!r}")
    fast = decide(gold, found.text)
    lines.append(f"fast tiers    {fast.outcome} ({fast.tier}): {fast.reason}")
    if fast.outcome == "undecided":
        slow = _slow(gold, found.text)
        lines.append(
            f"slow tier     failed: {slow}"
            if isinstance(slow, GraderError)
            else f"slow tier     {slow.outcome}: {slow.reason}"
        )
    verdict = check_trace(trace, response, gold, policy=policy)
    value = verdict.status if verdict.value is None else f"{verdict.value:g}"
    return [*lines, f"verdict       {value}: {verdict.reason}"]


class MathReward(Reward):
    """1 for the right answer, 0 for a wrong or missing one; `reference` is the gold answer as text."""

    tasks = frozenset({"math"})

    def __init__(self, policy: Policy = "lenient") -> None:
        if policy not in ("lenient", "strict"):
            raise UserError(f"the policy of the math reward is {policy!r}; use 'lenient' or 'strict'")
        self.policy: Policy = policy

    def check(self, sample: Sample) -> Verdict:
        return check_trace(sample.trace, sample.text, _gold(sample), policy=self.policy)

    def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
        return _check_traces(
            [sample.trace for sample in samples],
            [sample.text for sample in samples],
            [_gold(sample) for sample in samples],
            self.policy,
        )

    def close(self) -> None:
        from r1rewards.math import symbolic

        symbolic.close()


def _gold(sample: Sample) -> str:
    """The reference as text; nothing, which is no checkable gold, where the row has none."""
    return "" if sample.reference is None else str(sample.reference)


def _check(trace: Trace, response: str, gold: str, policy: Policy, started: float) -> Verdict:
    found = find(trace.answer, tag=tagged(trace, response), policy=policy)
    decision: Decision | GraderError = _decision_without_answer(trace, found)
    if found.text:
        decision = _fast(gold, found.text)
        if isinstance(decision, Decision) and decision.outcome == "undecided":
            decision = _slow(gold, found.text)
    return _verdict(decision, found, gold, time.perf_counter() - started)


def _check_traces(
    traces: Sequence[Trace], responses: Sequence[str], golds: Sequence[str], policy: Policy
) -> list[Verdict]:
    if not len(traces) == len(responses) == len(golds):
        raise ValueError(f"{len(responses)} responses but {len(golds)} golds")
    started = time.perf_counter()
    founds = [
        find(trace.answer, tag=tagged(trace, response), policy=policy)
        for trace, response in zip(traces, responses, strict=True)
    ]
    pairs = list(
        dict.fromkeys((gold, found.text) for gold, found in zip(golds, founds, strict=True) if found.text)
    )
    decisions = dict(zip(pairs, _decide_all(pairs), strict=True))
    seconds = (time.perf_counter() - started) / max(1, len(traces))
    return [
        _verdict(
            decisions[gold, found.text] if found.text else _decision_without_answer(trace, found),
            found,
            gold,
            seconds,
        )
        for trace, found, gold in zip(traces, founds, golds, strict=True)
    ]


def _decide_all(pairs: list[tuple[str, str]]) -> list[Decision | GraderError]:
    decisions: list[Decision | GraderError]
    if len(pairs) < _PARALLEL_FROM or (os.cpu_count() or 1) == 1:
        decisions = [_fast(gold, answer) for gold, answer in pairs]
    else:
        decisions = _decide_on_all_cores(pairs)
    unsure = [
        place
        for place, decision in enumerate(decisions)
        if isinstance(decision, Decision) and decision.outcome == "undecided"
    ]
    if unsure:
        from r1rewards.math.symbolic import decide_slowly

        slow = decide_slowly([pairs[place] for place in unsure])
        for place, decision in zip(unsure, slow, strict=True):
            decisions[place] = decision
    return decisions


@lru_cache(maxsize=1)
def _deciders() -> Workers:
    return Workers(
        "r1rewards.math.check:decide_chunk", size=os.cpu_count() or 1, deadline_s=_CHUNK_DEADLINE_S
    )


def decide_chunk(pairs: list[list[str]]) -> list[list[str] | str]:
    """The fast decisions on many pairs, or why one failed, as JSON: what a large batch's processes run."""
    decisions = [_fast(gold, answer) for gold, answer in pairs]
    return [str(one) if isinstance(one, GraderError) else list(one) for one in decisions]


def _decide_on_all_cores(pairs: list[tuple[str, str]]) -> list[Decision | GraderError]:
    chunks = [pairs[start : start + _CHUNK] for start in range(0, len(pairs), _CHUNK)]
    decisions: list[Decision | GraderError] = []
    for chunk, outcome in zip(chunks, _deciders().map([(chunk,) for chunk in chunks]), strict=True):
        if isinstance(outcome, GraderError):
            decisions += [outcome] * len(chunk)
        else:
            decisions += [GraderError(one) if isinstance(one, str) else Decision(*one) for one in outcome]
    return decisions


def _fast(gold: str, answer: str) -> Decision | GraderError:
    """`decide`, with a defect of the grader told as such: it must not end a training run, nor count as 0."""
    try:
        return decide(gold, answer)
    except Exception as error:  # noqa: BLE001 - the boundary at which a grader's failure becomes a verdict
        return GraderError(f"the math grader failed: {type(error).__name__}: {error}")


def _slow(gold: str, answer: str) -> Decision | GraderError:
    from r1rewards.math.symbolic import decide_slowly

    return decide_slowly([(gold, answer)])[0]


def _decision_without_answer(trace: Trace, found: Found) -> Decision:
    reason = "the thinking is not closed" if "unclosed_reasoning" in trace.faults else found.route
    return Decision("wrong", reason, "")


def _verdict(decision: Decision | GraderError, found: Found, gold: str, seconds: float) -> Verdict:
    details: dict[str, Any] = {"extracted": found.text[:200], "seconds": round(seconds, 6)}
    if isinstance(decision, GraderError):
        return Verdict.error(str(decision), found.route, **details)
    details["gold_type"] = gold_of(gold).kind
    route = f"{found.route}/{decision.tier}" if found.text else "none"
    if decision.outcome in ("right", "wrong"):
        return Verdict.of(decision.outcome == "right", decision.reason, route, **details)
    return Verdict.abstain(decision.reason, route, **details)
