"""What one reward says about one response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["value", "abstain", "error"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A value, an abstention, or a failure of the grader; `reason` always says why.

    status   "value": `value` is the reward. "abstain": the reward does not apply, or it could not decide.
             "error": the grader failed, so nothing is known about the response.
    route    which rule decided, for example "boxed/integer"; what reports and debugging group by.
    details  JSON-able facts for a reader: what was extracted, counts, spans, timings.

    Make one with `Verdict.of`, `Verdict.abstain` or `Verdict.error`.
    """

    status: Status
    value: float | None
    reason: str
    route: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

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
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        return cls(
            data["status"], data["value"], data["reason"], data.get("route", ""), data.get("details", {})
        )
