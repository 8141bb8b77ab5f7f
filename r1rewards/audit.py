"""Who decided under hybrid grading, and where rule and judge disagree; see `r1rewards.judge.hybrid`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from r1rewards.core.verdict import Verdict

#: Disagreements that are told one by one.
_TOLD = 5


@dataclass(slots=True)
class Audit:
    """The verdicts of one hybrid reward, counted.

    ruled      rows that the rule decided
    judged     rows that the rule abstained on and the judge was asked about
    audited    rows that both decided
    disagreed  those of them on which they differ
    told       the first of those: (row, what the rule said, what the judge said)
    """

    ruled: int = 0
    judged: int = 0
    audited: int = 0
    disagreed: int = 0
    told: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, verdict: Verdict, name: str = "") -> None:
        if verdict.route.startswith("judge/"):
            self.judged += 1
        elif verdict.status == "value":
            self.ruled += 1
        if (agree := verdict.details.get("agree")) is not None:
            self.audited += 1
            if not agree:
                self.disagreed += 1
                self._tell((name, _said(verdict.details["rule"]), _said(verdict.details["judge"])))

    def merge(self, other: Audit) -> None:
        self.ruled += other.ruled
        self.judged += other.judged
        self.audited += other.audited
        self.disagreed += other.disagreed
        for one in other.told:
            self._tell(one)

    def _tell(self, one: tuple[str, str, str]) -> None:
        if len(self.told) < _TOLD:
            self.told.append(one)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def is_hybrid(verdict: Verdict) -> bool:
    """Whether a hybrid reward said this."""
    return verdict.route.startswith(("rule/", "judge/"))


def _said(verdict: dict[str, Any]) -> str:
    return f"{verdict['value']:g}: {verdict['reason'][:200]}"
