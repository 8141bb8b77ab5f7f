"""The table by stage: the same figures for the terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1train.report.run import Run, Stage, load_run

#: Domains in the order of the paper's table of SFT data; others follow by name.
DOMAINS = ("math", "code", "stem", "logic", "choice", "puzzle")
ABSENT = "–"
#: Columns in the unit of a reward; the others with an interval are shares.
AMOUNTS = ("reward", "general")


@dataclass(frozen=True)
class Cell:
    """One figure as text: the value, and its 95 % interval where it has one."""

    value: str
    interval: str = ""

    def lines(self) -> str:
        return f"{self.value}\n{self.interval}" if self.interval else self.value


def table(run: Path) -> list[dict[str, str]]:
    """The rows of the terminal's table: the base model, then every stage that makes a model.

    All rows have the same columns: model, accuracy, one for each domain that a rule can check, format,
    language, reward, tokens, truncated, and before the last two, where the run has graded them, general: the
    reward of answers to general prompts. A figure with an interval takes two lines in its cell. Shares are in
    percent.
    """
    loaded = load_run(run)
    return [
        {"model": _label(stage)} | {name: cell.lines() for name, cell in cells.items()}
        for stage, cells in headline(loaded)
    ]


def headline(run: Run) -> list[tuple[Stage, dict[str, Cell]]]:
    """For each model of the run its cells by column."""
    domains = checked_domains(run)
    return [(stage, _cells(stage, domains, run.graded)) for stage in run.models]


def checked_domains(run: Run) -> list[str]:
    """The domains for which some model of the run has an accuracy."""
    found = {
        name
        for stage in run.models
        for name, figures in ((stage.summary or {}).get("domains") or {}).items()
        if figures.get("accuracy")
    }
    return in_order(found)


def in_order(domains: set[str]) -> list[str]:
    return sorted(domains, key=lambda name: (DOMAINS.index(name) if name in DOMAINS else len(DOMAINS), name))


def _cells(stage: Stage, domains: list[str], graded: bool) -> dict[str, Cell]:
    summary = stage.summary or {}
    everything = summary.get("all") or {}
    by_domain = summary.get("domains") or {}
    cells = {"accuracy": share(everything.get("accuracy"))}
    cells |= {name: share((by_domain.get(name) or {}).get("accuracy")) for name in domains}
    return cells | {
        "format": share(everything.get("format")),
        "language": share(everything.get("language")),
        "reward": amount(everything.get("reward")),
        **({"general": amount((stage.general or {}).get("reward"))} if graded else {}),
        "tokens": Cell(plain(everything.get("tokens"), ",.0f")),
        "truncated": Cell(percent(everything.get("truncated"))),
    }


def share(interval: Mapping[str, Any] | None) -> Cell:
    """An interval between 0 and 1 as percent."""
    if not interval:
        return Cell(ABSENT)
    low, high = 100 * interval["low"], 100 * interval["high"]
    digits = 0 if high - low >= 2 else 1
    return Cell(percent(interval["mean"]), f"{low:.{digits}f}–{high:.{digits}f}")


def amount(interval: Mapping[str, Any] | None) -> Cell:
    """An interval in the unit of the reward."""
    if not interval:
        return Cell(ABSENT)
    return Cell(f"{interval['mean']:.2f}", f"{interval['low']:.2f}–{interval['high']:.2f}")


def percent(value: Any) -> str:
    return plain(None if number(value) is None else 100 * value, ".1f")


def signed(value: float, digits: int) -> str:
    """A difference with its sign; one that rounds to 0 has none."""
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text if text.strip("+−0.") else text[1:]


def plain(value: Any, layout: str) -> str:
    return ABSENT if number(value) is None else format(value, layout)


def _label(stage: Stage) -> str:
    return stage.name if stage.summary else f"{stage.name}\n({stage.status})"


def number(value: Any) -> float | None:
    """The value as a finite number, else None: what a plot or a cell can show."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
