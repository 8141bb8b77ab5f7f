"""What one reward says about one response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Status = Literal["value", "abstain", "error"]

#: A row that takes less time than this is not worth telling of.
SLOW_S = 0.1


@dataclass(frozen=True, slots=True)
class Verdict:
    """A value, an abstention, or a failure of the grader; `reason` always says why.

    status   "value": `value` is the reward. "abstain": the reward does not apply, or it could not decide.
             "error": the grader failed, so nothing is known about the response.
    route    which rule decided, for example "boxed/integer"; what reports and debugging group by.
    details  JSON-able facts for a reader: what was extracted, counts, spans.
    seconds  wall time, where the reward knows it and it is worth telling; no part of what was said.

    Make one with `Verdict.of`, `Verdict.abstain` or `Verdict.error`.
    """

    status: Status
    value: float | None
    reason: str
    route: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if (self.status == "value") != (self.value is not None):
            raise ValueError(f"a verdict has a value exactly when its status is 'value', not {self.status!r}")

    @classmethod
    def of(cls, value: float, reason: str, route: str = "", **details: Any) -> Verdict:
        return cls("value", float(value), reason, route, details)

    @classmethod
    def abstain(cls, reason: str, route: str = "", **details: Any) -> Verdict:
        return cls("abstain", None, reason, route, details)

    @classmethod
    def error(cls, reason: str, route: str = "", **details: Any) -> Verdict:
        return cls("error", None, reason, route, details)

    def to_dict(self) -> dict[str, Any]:
        """The form that scored rows carry; `from_dict` reads it back."""
        out: dict[str, Any] = {"status": self.status, "value": self.value, "reason": self.reason}
        if self.route:
            out["route"] = self.route
        if self.details:
            out["details"] = dict(self.details)
        if self.seconds is not None:
            out["seconds"] = round(self.seconds, 3)
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        return cls(
            data["status"],
            data["value"],
            data["reason"],
            data.get("route", ""),
            data.get("details", {}),
            data.get("seconds"),
        )


def timed(verdict: Verdict, seconds: float) -> Verdict:
    """The verdict with the time that it took, where that is worth telling."""
    return replace(verdict, seconds=seconds) if seconds >= SLOW_S else verdict
