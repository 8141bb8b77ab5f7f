"""Rule sets: which rows stay, as data.

    name: cold-start
    spec: {template: think-answer, rewards: {math: {}, code: {}}}     # what the signals pass grades with
    accuracy: [math, code]                                            # which of these rewards mean "correct"
    rules:
      - {name: wrong, signal: correct, keep: ">= 1", missing: ungraded, tasks: [math, code]}
      - {name: loop, signal: loop_words, keep: "<= 40"}

The rules are tried in order and the first that a row breaks is its fate. `missing` names the fate of a row
whose signal is null; without it such a row passes. The shipped sets are the files in `rules/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from r1data.ledger import DROPPED, KEPT
from r1rewards.core.errors import UserError
from r1rewards.core.rows import CHECKED_TASKS
from r1rewards.core.settings import check_settings, read_yaml, suggest

if TYPE_CHECKING:
    import polars as pl

_FOLDER = Path(__file__).parent / "rules"
#: The signals that say in words what a number of theirs means; `why` tells them.
_WORDS = {"correct": "reason", "well_formed": "faults", "truncated": "faults"}
_KEEP = re.compile(r"(<=|>=|==|!=|<|>)\s*(-?\d+(?:\.\d+)?)")


class Rule(BaseModel):
    """One condition. `keep` is a comparison with a number: the rows for which it holds go on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    signal: str
    keep: str
    missing: str | None = None
    tasks: list[str] | None = None
    domains: list[str] | None = None

    @field_validator("keep")
    @classmethod
    def _comparison(cls, keep: str) -> str:
        if not _KEEP.fullmatch(keep.strip()):
            raise ValueError(f'{keep!r} is no comparison with a number, such as ">= 0.9"')
        return keep.strip()

    @property
    def threshold(self) -> float:
        return float(_KEEP.fullmatch(self.keep)[2])  # type: ignore[index]

    def holds(self) -> pl.Expr:
        """Whether a row may stay, as far as this rule goes; null where the signal is."""
        import polars as pl

        sign = _KEEP.fullmatch(self.keep)[1]  # type: ignore[index]
        signal, threshold = pl.col(self.signal).cast(pl.Float64), self.threshold
        return {
            "<=": signal <= threshold,
            ">=": signal >= threshold,
            "==": signal == threshold,
            "!=": signal != threshold,
            "<": signal < threshold,
            ">": signal > threshold,
        }[sign]

    def applies(self) -> pl.Expr:
        """Whether the rule is for this row."""
        import polars as pl

        everywhere = pl.lit(True)
        tasks = pl.col("task").is_in(self.tasks) if self.tasks is not None else everywhere
        domains = pl.col("domain").is_in(self.domains) if self.domains is not None else everywhere
        return tasks & domains


class RuleSet(BaseModel):
    """A whole rule set; see this module's text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    spec: dict[str, Any]
    accuracy: list[str] = list(CHECKED_TASKS)
    rules: list[Rule] = Field(min_length=1)

    def decide(self, signals: pl.DataFrame) -> pl.DataFrame:
        """Fate, rule, value, threshold of every row, and as span the words that the signal has for it."""
        import polars as pl

        for rule in self.rules:
            if rule.signal not in signals.columns:
                hint = suggest(rule.signal, signals.columns)
                raise UserError(f"rule {rule.name!r} of {self.name} needs the signal {rule.signal!r}{hint}")
        broken = [rule.applies() & ~rule.holds().fill_null(rule.missing is None) for rule in self.rules]
        numbers = range(len(self.rules))
        first = pl.coalesce([pl.when(broken[i]).then(pl.lit(i, dtype=pl.UInt16)) for i in numbers])
        frame = signals.with_columns(first=first)
        at = pl.col("first")

        def per_rule(values: Sequence[pl.Expr], kind: Any) -> pl.Expr:
            return pl.coalesce([pl.when(at == i).then(values[i].cast(kind)) for i in numbers])

        def words(signal: str) -> pl.Expr:
            said = _WORDS.get(signal)
            return pl.col(said) if said in signals.columns else pl.lit(None)

        names = [
            pl.when(pl.col(rule.signal).is_null()).then(pl.lit(rule.missing)).otherwise(pl.lit(rule.name))
            for rule in self.rules
        ]
        return frame.select(
            fate=pl.when(at.is_null()).then(pl.lit(KEPT)).otherwise(pl.lit(DROPPED)),
            rule=per_rule(names, pl.String),
            value=per_rule([pl.col(rule.signal) for rule in self.rules], pl.Float64),
            threshold=per_rule([pl.lit(rule.threshold) for rule in self.rules], pl.Float64),
            span=per_rule([words(rule.signal) for rule in self.rules], pl.String),
        )


def load_rules(rules: str | Path | Mapping[str, Any]) -> RuleSet:
    """A shipped rule set by name, one from a YAML file, or one given as a mapping."""
    if isinstance(rules, Mapping):
        return check_settings(RuleSet, rules, "the rule set")
    path = Path(rules)
    if str(rules) in shipped():
        path = _FOLDER / f"{rules}.yaml"
    elif path.suffix not in (".yaml", ".yml"):
        raise UserError(f"there is no rule set {str(rules)!r}{suggest(str(rules), shipped())}")
    return check_settings(RuleSet, read_yaml(path), str(path))


def shipped() -> list[str]:
    """The names of the rule sets that come with r1data."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))
