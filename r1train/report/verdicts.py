"""How often each reward gave a value, abstained or failed, and why it did not give one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from r1rewards.core.store import read_rows
from r1rewards.core.verdict import Verdict
from r1rewards.summary import Tally
from r1train.report.run import Run

#: Rollouts counted for one stage; a longer training is sampled evenly over its steps.
ROLLOUTS = 20_000
LEAST_PER_STEP = 64
REASONS = 4


@dataclass
class Graded:
    """The verdicts of one reward in one place: the counts, and the reasons of its abstentions."""

    tally: Tally = field(default_factory=Tally)
    abstentions: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: Verdict) -> None:
        self.tally.add(verdict)
        if verdict.status == "abstain":
            self.abstentions[verdict.reason[:200]] += 1

    def why(self) -> list[tuple[str, str, int]]:
        """The most frequent reasons for not giving a value, errors first: status, an example, count."""
        errors = [("error", reason, n) for reason, n in _alike(self.tally.reasons)]
        return errors + [("abstained", reason, n) for reason, n in _alike(self.abstentions)]


def _alike(reasons: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent reasons, those that differ only in a number taken together."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for reason, n in reasons.items():
        masked = re.sub(r"\d[\d.,]*", "0", reason)
        counts[masked] += n
        examples.setdefault(masked, reason)
    return [(examples[masked], n) for masked, n in counts.most_common(REASONS)]


@dataclass
class Place:
    """Where responses were scored: the evaluation or the training of a stage."""

    stage: str
    part: str
    rows: int
    rewards: dict[str, Graded]


def places(run: Run) -> list[Place]:
    """Every place of the run in which responses were scored, in order."""
    found = []
    for stage in run.stages:
        found.append(_count(stage.title, "training", _rollouts(stage.rollout_files())))
        found.append(_count(stage.title, "evaluation", stage.evaluation_rows()))
    return [place for place in found if place.rows]


def _count(stage: str, part: str, rows: Iterable[Mapping[str, Any]]) -> Place:
    place = Place(stage, part, 0, {})
    for row in rows:
        place.rows += 1
        for name, verdict in (row.get("verdicts") or {}).items():
            place.rewards.setdefault(name, Graded()).add(Verdict.from_dict(verdict))
    return place


def _rollouts(files: list[Path]) -> Iterator[dict[str, Any]]:
    """The rollouts of a training; of a long one, the first rows of evenly spaced steps."""
    if files:
        per_step = max(LEAST_PER_STEP, ROLLOUTS // len(files))
        for file in files[:: max(1, len(files) * per_step // ROLLOUTS)]:
            yield from islice(read_rows(file), per_step)
