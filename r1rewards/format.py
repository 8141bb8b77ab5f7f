"""Is the response laid out as its template asks?

R1's format reward is 0 or 1 (arXiv 2501.12948, section 2.2). Where a base model hardly ever gets all tags
right, `graded` pays for the tags that are right; it is ours, not R1's.
"""

from __future__ import annotations

from typing import Literal

from r1rewards.core.errors import UserError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.template import FAULTS, Template, Trace, get_template
from r1rewards.core.verdict import Verdict

Policy = Literal["exact", "lenient"]
POLICIES: tuple[Policy, ...] = ("exact", "lenient")

#: What `lenient` forgives: reasoning and answer can still be told apart without a doubt.
FORGIVEN = frozenset({"text_outside"})

#: What each fault takes from a graded reward of 1. A missing pair of tags costs half, one tag a quarter;
#: thinking that never ends has one tag of four right. An answer that is missing is not also empty.
COSTS: dict[str, float] = {
    "no_reasoning": 0.5,
    "unclosed_reasoning": 0.75,
    "unopened_reasoning": 0.25,
    "no_answer": 0.5,
    "unclosed_answer": 0.25,
    "unopened_answer": 0.25,
    "repeated_tag": 0.5,
    "wrong_order": 0.5,
    "text_outside": 0.125,
    "empty_reasoning": 0.5,
    "empty_answer": 0.5,
    "unwanted_reasoning": 0.5,
}


def check(
    response: str,
    template: str | Template = "think-answer",
    *,
    prefilled: bool = False,
    thinking: bool = True,
    policy: Policy = "exact",
    graded: bool = False,
) -> Verdict:
    """1 where the response has the layout of its template, else 0; the faults by name in the details.

    prefilled  the chat template wrote the opening tag into the prompt.
    thinking   False where the row says `thinking: none`; then only an answer is well formed.
    policy     "exact": the tags once each, in order, closed, nothing outside, nothing empty; white space
               around them is free. "lenient" forgives text before, between and after the tags.
    graded     a value between 0 and 1 for a layout that is partly right.
    """
    trace = get_template(template).parse(response, prefilled=prefilled, thinking=thinking)
    return _judge(trace, policy, graded)


def _judge(trace: Trace, policy: Policy, graded: bool) -> Verdict:
    faults = [fault for fault in trace.faults if policy == "exact" or fault not in FORGIVEN]
    if not faults:
        return Verdict.of(1.0, "well formed", "well_formed", faults=list(trace.faults))
    charged = [fault for fault in faults if fault != "empty_answer" or "no_answer" not in faults]
    value = max(0.0, 1.0 - sum(COSTS[fault] for fault in charged)) if graded else 0.0
    reason = "; ".join(FAULTS[fault] for fault in faults)
    return Verdict.of(value, reason, faults[0], faults=list(trace.faults))


class FormatReward(Reward):
    """`check` on the trace that the reward spec's template has already parsed; for every task."""

    def __init__(self, policy: Policy = "exact", graded: bool = False) -> None:
        if policy not in POLICIES:
            raise UserError(f"the format reward has no policy {policy!r}; use one of {', '.join(POLICIES)}")
        self.policy: Policy = policy
        self.graded = graded

    def check(self, sample: Sample) -> Verdict:
        return _judge(sample.trace, self.policy, self.graded)
