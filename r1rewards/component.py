"""One reward at work inside a spec: what it counts, where it applies, and a grading that cannot mislead."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from r1rewards.core.errors import GraderError, UserError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.verdict import Verdict


@dataclass(frozen=True)
class Component:
    """A reward with its weight and its route.

    tasks, domains        where it applies; None means the reward's own tasks, and every domain
    from_step, until_step the training steps in which it applies, the end excluded
    required              its abstention leaves the row without a total
    if_abstains           the value that its abstention counts for in the total; None: it adds nothing, and so
                          less than the others of the group get
    gate                  it multiplies the sum of the others instead of adding to it
    options               what the reward was made with, for whoever must know whether two specs grade alike
    """

    name: str
    reward: Reward
    weight: float = 1.0
    required: bool = False
    if_abstains: float | None = None
    gate: bool = False
    tasks: frozenset[str] | None = None
    domains: frozenset[str] | None = None
    from_step: int = 0
    until_step: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def applies(self, sample: Sample, step: int | None) -> bool:
        """Whether the row takes this reward; `step` None means outside training, where every phase counts."""
        tasks = self.reward.tasks if self.tasks is None else self.tasks
        if tasks is not None and sample.task not in tasks:
            return False
        if self.domains is not None and sample.domain not in self.domains:
            return False
        return step is None or self.from_step <= step < (self.until_step or math.inf)

    def grade(self, samples: Sequence[Sample], retries: int) -> list[Verdict]:
        """One verdict per sample. What errs is graded again up to `retries` times before the error stands."""
        verdicts = self._attempt(samples)
        for _ in range(retries):
            failed = [i for i, verdict in enumerate(verdicts) if verdict.status == "error"]
            if not failed:
                break
            for i, verdict in zip(failed, self._attempt([samples[i] for i in failed]), strict=True):
                verdicts[i] = verdict
        return verdicts

    def _attempt(self, samples: Sequence[Sample]) -> list[Verdict]:
        """The reward's own verdicts, or error verdicts where it broke its contract."""
        try:
            verdicts = self.reward.check_many(samples)
        except UserError:
            raise
        except GraderError as error:
            return [Verdict.error(str(error), "grader")] * len(samples)
        except Exception as error:  # noqa: BLE001 - a bug in a reward must not become a reward
            return [Verdict.error(f"{type(error).__name__}: {error}", "bug")] * len(samples)
        if len(verdicts) != len(samples):
            problem = f"the reward gave {len(verdicts)} verdicts for {len(samples)} samples"
            return [Verdict.error(problem, "bug")] * len(samples)
        return [_finite(verdict) for verdict in verdicts]


def _finite(verdict: Verdict) -> Verdict:
    if verdict.value is None or math.isfinite(verdict.value):
        return verdict
    return Verdict.error(f"the reward is {verdict.value}", "bug")
