"""`r1train plan`: what a recipe would do and cost, and what it lacks here. It needs no network, model or
trainer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from r1train.plan.checks import warnings
from r1train.plan.cost import Row, rows
from r1train.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a recipe in order, with what each costs, and what would keep it from running so."""

    recipe: Recipe
    rows: list[Row]
    warnings: list[str]

    @property
    def gpu_hours(self) -> float | None:
        """Of all steps; None where the size of a model is not known."""
        known = [row.gpu_hours for row in self.rows if row.gpu_hours is not None]
        return sum(known) if len(known) == len(self.rows) else None


def make_plan(recipe: Recipe) -> Plan:
    return Plan(recipe, list(rows(recipe)), warnings(recipe, Path("runs") / recipe.name))
