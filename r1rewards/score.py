"""What a row is worth: its verdicts and their total, defined here once; trainers' adapters only translate it.

The total is the weighted sum of the values of the components that apply (DeepSeek-R1 adds its rewards up),
times the values of those that the spec calls gates. It is None when nothing true can be said:

    a component that applies errs               status "error"
    a `required` one abstains, or all abstain   status "abstain"

An abstention of any other component counts for what its `if_abstains` says, and adds nothing without it.

A row without a total takes no part in the mean and the spread of its group and has an advantage of 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal

from r1rewards.component import Component
from r1rewards.core.reward import Sample
from r1rewards.core.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Score:
    """The verdicts of a row and their total.

    total     the reward of the row, or None (see this module's text)
    status    "ok" exactly where there is a total; else which of the two reasons there is none
    verdicts  what each component said, by name, for those that apply to the row
    rewards   the value of every component of the spec, unweighted; None where it has none
    """

    total: float | None
    status: Literal["ok", "error", "abstain"]
    verdicts: Mapping[str, Verdict]
    rewards: Mapping[str, float | None]

    def to_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The scored row: `row` with reward, rewards, status and verdicts."""
        return {
            **row,
            "reward": self.total,
            "rewards": dict(self.rewards),
            "status": self.status,
            "verdicts": {name: verdict.to_dict() for name, verdict in self.verdicts.items()},
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Score:
        """The score that `to_row` put into a row."""
        verdicts = {name: Verdict.from_dict(said) for name, said in row["verdicts"].items()}
        return cls(row["reward"], row["status"], verdicts, row["rewards"])

    def accuracy(self, task: str) -> float | None:
        """What the reward named like the task says: whether the answer is right. None where there is none."""
        return self.rewards.get(task)

    @property
    def seconds(self) -> float:
        """How long the row took to grade, as far as its rewards know."""
        return sum(verdict.seconds or 0.0 for verdict in self.verdicts.values())

    @property
    def reason(self) -> str:
        """Why there is no total, in a sentence; empty where there is one."""
        if self.status == "ok":
            return ""
        said = [f"{name}: {v.reason}" for name, v in self.verdicts.items() if v.status == self.status]
        return "; ".join(said) or "no reward applies"


def combine(components: Sequence[Component], verdicts: Mapping[str, Verdict]) -> Score:
    """The score of a row from the verdicts of the components that apply to it."""
    rewards = {c.name: verdicts[c.name].value if c.name in verdicts else None for c in components}
    if any(verdict.status == "error" for verdict in verdicts.values()):
        return Score(None, "error", verdicts, rewards)
    missing = any(c.required and c.name in verdicts and rewards[c.name] is None for c in components)
    worth = {
        c.name: c.if_abstains if rewards[c.name] is None and c.name in verdicts else rewards[c.name]
        for c in components
    }
    addends = [c.weight * value for c in components if not c.gate and (value := worth[c.name]) is not None]
    if missing or not addends:
        return Score(None, "abstain", verdicts, rewards)
    gates = [value for c in components if c.gate and (value := worth[c.name]) is not None]
    return Score(math.fsum(addends) * math.prod(gates), "ok", verdicts, rewards)


def score_batch(
    components: Sequence[Component],
    samples: Sequence[Sample],
    *,
    step: int | None,
    retries: int,
    threads: Executor,
) -> list[Score]:
    """Grade a batch: the components side by side in threads, equal samples once."""
    unique, places = _unique(samples)
    verdicts: list[dict[str, Verdict]] = [{} for _ in unique]
    running = []
    for component in components:
        chosen = [i for i, sample in enumerate(unique) if component.applies(sample, step)]
        if chosen:
            future = threads.submit(component.grade, [unique[i] for i in chosen], retries)
            running.append((component.name, chosen, future))
    for name, chosen, future in running:
        for i, verdict in zip(chosen, future.result(), strict=True):
            verdicts[i][name] = verdict
    scores = [combine(components, said) for said in verdicts]
    return [scores[place] for place in places]


def _unique(samples: Sequence[Sample]) -> tuple[list[Sample], list[int]]:
    """The different samples, and for each sample its place among them. The id makes no difference."""
    unique: list[Sample] = []
    places: list[int] = []
    seen: dict[tuple[str, str | None], list[int]] = {}
    for sample in samples:
        key = (sample.text, sample.reference if isinstance(sample.reference, str) else None)
        alike = seen.setdefault(key, [])
        place = next((i for i in alike if _same(unique[i], sample)), None)
        if place is None:
            place = len(unique)
            unique.append(sample)
            alike.append(place)
        places.append(place)
    return unique, places


def _same(a: Sample, b: Sample) -> bool:
    return (
        a.trace == b.trace  # equal texts still differ where one row asks for no thinking
        and a.task == b.task
        and a.domain == b.domain
        and a.language == b.language
        and a.finish_reason == b.finish_reason
        and a.reference == b.reference
        and list(a.prompt) == list(b.prompt)
        and a.meta == b.meta
    )


def group_advantages(
    totals: Sequence[float | None], group_size: int, *, scale: bool = True, epsilon: float = 1e-4
) -> list[float]:
    """GRPO's advantages, (r - mean) / (std + epsilon) within each group of `group_size` neighbours.

    A total of None counts neither in the mean nor in the deviation, and its advantage is 0.0; so is that of
    every row of a group in which fewer than two totals are known or all are equal. The deviation is that of
    a sample (n - 1) and epsilon is 1e-4, as in TRL; the paper's formula has no epsilon. `scale=False` leaves
    the deviation out (Dr. GRPO; TRL's `scale_rewards="none"`).
    """
    if group_size < 1 or len(totals) % group_size:
        raise ValueError(f"{len(totals)} totals do not make whole groups of {group_size}")
    advantages = [0.0] * len(totals)
    for start in range(0, len(totals), group_size):
        known = {i: t for i, t in enumerate(totals[start : start + group_size], start) if t is not None}
        if len(set(known.values())) < 2:
            continue
        mean = math.fsum(known.values()) / len(known)
        variance = math.fsum((total - mean) ** 2 for total in known.values()) / (len(known) - 1)
        for i, total in known.items():
            advantages[i] = (total - mean) / (math.sqrt(variance) + epsilon if scale else 1.0)
    return advantages
