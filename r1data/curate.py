"""Curation in two passes: measure every row once (`r1data.signals`), then decide by rules, again and again.

    curate("responses.parquet", "cold-start", "sft")

makes `sft/` with `kept.parquet`, `ledger.parquet` and the folder `signals/`.

Changing a threshold and running it again reads the signals that are there and takes seconds; with another
reward spec, rows are measured anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.ledger import fates, run_step
from r1data.ruleset import load_rules
from r1data.signals import SIGNALS, compute_signals
from r1data.table import Rows, Table

if TYPE_CHECKING:
    import polars as pl

    from r1rewards.spec import Spec


def curate(
    rows: Rows,
    rules: str | Path | Mapping[str, Any],
    out: str | Path,
    *,
    spec: Spec | str | Path | Mapping[str, Any] | None = None,
    workers: int | None = None,
    **reading: Any,
) -> dict[str, Any]:
    """Filter rows by a rule set into the folder `out` and return the counts.

    rules    a shipped rule set by name, a YAML file, or a mapping (`r1data.ruleset`)
    spec     a reward spec to grade with instead of the rule set's own; a loaded one stays open
    workers  processes that measure; by default one for each core, or one where a reward holds a model or
             the spec is loaded already
    reading  `columns`, `defaults` and `progress`, as `run_step` takes them

    The kept rows get the columns `reward` and `correct`.
    """
    from r1rewards.spec import Spec, load_spec

    rule_set = load_rules(rules)
    source: str | Path | Mapping[str, Any] | None = None
    if isinstance(spec, Spec):
        loaded = spec
    else:
        source = spec if spec is not None else rule_set.spec
        loaded = load_spec(source)
    grading = {"spec": _describe(loaded), "accuracy": rule_set.accuracy}

    def decide(table: Table) -> pl.DataFrame:
        signals = compute_signals(table, loaded, rule_set.accuracy, grading, source=source, workers=workers)
        fate = rule_set.decide(signals)
        frame = fates(table, **{name: fate[name] for name in fate.columns})
        return frame.with_columns(signals["reward"], signals["correct"])

    config = {"rules": rule_set.model_dump(exclude={"spec"}), "grading": grading}
    try:
        return run_step("curate", rows, out, decide, config=config, measures=SIGNALS, **reading)
    finally:
        if loaded is not spec:
            loaded.close()


def _describe(spec: Spec) -> dict[str, Any]:
    """What the verdicts of a spec depend on, as data."""
    return {
        "template": spec.template.name,
        "prefilled": spec.prefilled,
        "rewards": {
            component.name: {
                "reward": type(component.reward).__qualname__,
                "scope": component.reward.scope,
                "tasks": sorted(component.tasks) if component.tasks is not None else None,
                "domains": sorted(component.domains) if component.domains is not None else None,
                "weight": component.weight,
                "required": component.required,
                "gate": component.gate,
                "options": dict(component.options),
            }
            for component in spec.components
        },
    }
