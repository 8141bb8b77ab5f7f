"""What many scores come to: means, abstentions, failures with their reasons, audits, and the slowest rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from r1rewards.audit import Audit, is_hybrid
from r1rewards.core.verdict import Verdict
from r1rewards.score import Score

#: The slowest rows that are told of.
_SLOWEST = 5

#: Different error texts kept per component; a reason may quote a response, so their number has no bound.
_REASONS = 200


@dataclass(slots=True)
class Tally:
    """The verdicts of one reward, counted."""

    values: int = 0
    sum: float = 0.0
    abstained: int = 0
    errors: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: Verdict) -> None:
        if verdict.value is not None:
            self.values += 1
            self.sum += verdict.value
        elif verdict.status == "abstain":
            self.abstained += 1
        else:
            self.errors += 1
            reason = verdict.reason[:200]
            if reason in self.reasons or len(self.reasons) < _REASONS:
                self.reasons[reason] += 1

    def merge(self, other: Tally) -> None:
        self.values += other.values
        self.sum += other.sum
        self.abstained += other.abstained
        self.errors += other.errors
        for reason, count in other.reasons.items():
            if reason in self.reasons or len(self.reasons) < _REASONS:
                self.reasons[reason] += count

    @property
    def mean(self) -> float | None:
        return self.sum / self.values if self.values else None


class Summary:
    """Counts over scores, in constant memory."""

    def __init__(self) -> None:
        self.rows = 0
        self.total = Tally()
        self.components: dict[str, Tally] = {}
        self.audits: dict[str, Audit] = {}
        #: (seconds, row, what took them), the slowest first
        self.slowest: list[tuple[float, str, str]] = []

    def add(self, score: Score, row: str = "") -> None:
        """Count a score; `row` is what to call its row."""
        self.rows += 1
        if seconds := score.seconds:
            slow = max(score.verdicts, key=lambda reward: score.verdicts[reward].seconds or 0.0)
            self._add_slow([(seconds, row, f"{slow}: {score.verdicts[slow].reason[:200]}")])
        for name in score.rewards:
            tally = self.components.setdefault(name, Tally())
            if name in score.verdicts:
                tally.add(score.verdicts[name])
                if is_hybrid(score.verdicts[name]):
                    self.audits.setdefault(name, Audit()).add(score.verdicts[name], row)
        if score.total is not None:
            self.total.values += 1
            self.total.sum += score.total
        elif score.status == "error":
            self.total.errors += 1
        else:
            self.total.abstained += 1

    def merge(self, other: Summary) -> None:
        """Count what another summary counted."""
        self.rows += other.rows
        self.total.merge(other.total)
        for name, tally in other.components.items():
            self.components.setdefault(name, Tally()).merge(tally)
        for name, audit in other.audits.items():
            self.audits.setdefault(name, Audit()).merge(audit)
        self._add_slow(other.slowest)

    def _add_slow(self, rows: list[tuple[float, str, str]]) -> None:
        self.slowest = sorted([*self.slowest, *rows], key=lambda row: -row[0])[:_SLOWEST]

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Header and lines: one for each component that applied to a row, and one for the total."""
        header = ["reward", "graded", "mean", "abstained", "errors"]
        used = [(n, t) for n, t in self.components.items() if t.values or t.abstained or t.errors]
        lines = [[n, t.values, t.mean, t.abstained, t.errors] for n, t in [*used, ("total", self.total)]]
        return header, lines

    def errors(self) -> Iterable[tuple[str, str, int]]:
        """(component, reason, rows), the most frequent reasons of each component first."""
        for name, tally in self.components.items():
            for reason, count in tally.reasons.most_common(5):
                yield name, reason, count

    def audit_table(self) -> tuple[list[str], list[list[Any]]]:
        """Header and lines: one for each hybrid reward."""
        header = ["hybrid", "by rule", "by judge", "by both", "disagreed"]
        lines = [[n, a.ruled, a.judged, a.audited, a.disagreed] for n, a in self.audits.items()]
        return header, lines

    def disagreements(self) -> Iterable[tuple[str, str, str, str]]:
        """(component, row, what the rule said, what the judge said), the first of each component."""
        for name, audit in self.audits.items():
            for told in audit.told:
                yield name, *told

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON-able data, for `--json`."""
        header, lines = self.table()
        return {
            "rows": self.rows,
            "rewards": {line[0]: dict(zip(header[1:], line[1:], strict=True)) for line in lines[:-1]},
            "total": dict(zip(header[1:], lines[-1][1:], strict=True)),
            "errors": [{"reward": n, "reason": r, "rows": c} for n, r, c in self.errors()],
            **({"hybrid": {n: a.to_dict() for n, a in self.audits.items()}} if self.audits else {}),
            "slowest": [{"seconds": s, "row": n, "reward": r} for s, n, r in self.slowest],
        }
