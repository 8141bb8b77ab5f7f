"""A rule first; where it abstains, a judge; and a share of what the rule decides for both, to find bugs.

    rewards:
      math:
        use: hybrid
        required: true
        options:
          rule: {use: math, policy: strict}
          judge: {judge: correctness, url: "http://localhost:8000/v1", record: judge.calls.jsonl}
          audit: 0.05

The verdict's route begins with `rule` or `judge`, and its details hold what each of the two said. Audited
rows keep the rule's value; where the judge disagrees, `r1rewards score` and the trainers' metrics tell so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.formats import dump_json
from r1rewards.core.reward import Reward, Sample, Scope
from r1rewards.core.rows import drawn_hash
from r1rewards.core.verdict import Verdict
from r1rewards.spec import make_reward


class HybridReward(Reward):
    """See this module's text.

    rule   the reward that is asked first: `use`, its name, and its options
    judge  the options of the reward `judge`
    audit  the share of the rows decided by the rule that the judge sees too; which ones depends on the rows
           alone
    """

    copies = False

    def __init__(self, rule: Mapping[str, Any], judge: Mapping[str, Any], *, audit: float = 0.05) -> None:
        options = dict(rule) if isinstance(rule, Mapping) else {"use": rule}
        name = options.pop("use", None)
        if not isinstance(name, str):
            raise UserError("the rule of a hybrid reward needs `use`, the name of a reward such as math")
        if not 0 <= audit <= 1:
            raise UserError("audit is a share, from 0 to 1")
        self.rule = make_reward(name, options, "rule")
        self.judge = make_reward("judge", dict(judge), "judge")
        self.tasks = self.rule.tasks
        self.audit = audit

    @property
    def scope(self) -> Scope:
        """The part of the response that the rule reads; setting it is setting it for both."""
        return self.rule.scope

    @scope.setter
    def scope(self, scope: Scope) -> None:
        self.rule.scope = self.judge.scope = scope

    def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
        verdicts = self.rule.check_many(samples)
        asked = [
            i
            for i, (sample, verdict) in enumerate(zip(samples, verdicts, strict=True))
            if verdict.status == "abstain" or (verdict.status == "value" and self._audits(sample))
        ]
        judged = self.judge.check_many([samples[i] for i in asked]) if asked else []
        second = dict(zip(asked, judged, strict=True))
        return [_both(verdict, second.get(i)) for i, verdict in enumerate(verdicts)]

    def _audits(self, sample: Sample) -> bool:
        key = dump_json([list(sample.prompt), str(sample.reference), sample.text])
        return drawn_hash(key) < self.audit * 2**64

    def close(self) -> None:
        self.rule.close()
        self.judge.close()


def _both(rule: Verdict, judge: Verdict | None) -> Verdict:
    """The verdict that counts, with both in its details."""
    if judge is None:
        return replace(rule, route=f"rule/{rule.route}")
    said: dict[str, Any] = {"rule": rule.to_dict(), "judge": judge.to_dict()}
    if rule.value is None:
        return replace(judge, route=f"judge/{judge.route}", details={**judge.details, **said})
    if judge.value is not None:
        said["agree"] = (rule.value >= 0.5) == (judge.value >= 0.5)
    return replace(rule, route=f"rule/{rule.route}", details={**rule.details, **said})
