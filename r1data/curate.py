"""Curation in two passes: measure every row once (`r1data.signals`), then decide by rules, again and again.

    curate("responses.parquet", "cold-start", "sft")

makes `sft/` with `kept.parquet`, `ledger.parquet` and `signals.parquet`.

Changing a threshold and running it again reads the signals that are there and takes seconds; another reward
spec or other rows are measured anew.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.ledger import Rows, Table, fates, run_step, write_frame
from r1data.ruleset import load_rules
from r1data.signals import SHARDS, compute_signals
from r1rewards.core.formats import dump_json
from r1rewards.core.store import file_hash, replacing

if TYPE_CHECKING:
    import polars as pl

    from r1rewards.spec import Spec


def curate(
    rows: Rows,
    rules: str | Path | Mapping[str, Any],
    out: str | Path,
    *,
    spec: Spec | str | Path | Mapping[str, Any] | None = None,
    **reading: Any,
) -> dict[str, Any]:
    """Filter rows by a rule set into the folder `out` and return the counts.

    rules    a shipped rule set by name, a YAML file, or a mapping (`r1data.ruleset`)
    spec     a reward spec to grade with instead of the rule set's own; a loaded one stays open
    reading  `columns` and `defaults`, as `run_step` takes them

    The kept rows get the columns `reward` and `correct`.
    """
    from r1rewards.spec import Spec, load_spec

    rule_set = load_rules(rules)
    loaded = spec if isinstance(spec, Spec) else load_spec(spec if spec is not None else rule_set.spec)
    grading = {"spec": _describe(loaded), "accuracy": rule_set.accuracy}

    def decide(table: Table) -> pl.DataFrame:
        signals = _signals(table, loaded, rule_set.accuracy, grading, Path(out))
        fate = rule_set.decide(signals)
        frame = fates(table, **{name: fate[name] for name in fate.columns})
        return frame.with_columns(signals["reward"], signals["correct"])

    config = {"rules": rule_set.model_dump(exclude={"spec"}), "grading": grading}
    try:
        return run_step("curate", rows, out, decide, config=config, **reading)
    finally:
        if loaded is not spec:
            loaded.close()


def _signals(
    table: Table, spec: Spec, accuracy: list[str], grading: Mapping[str, Any], out: Path
) -> pl.DataFrame:
    """The signals: those that an earlier run left in `out`, if they are of these rows and this spec."""
    import polars as pl

    key = hashlib.blake2b(dump_json([file_hash(table.path), grading]), digest_size=16).hexdigest()
    path = table.work / "signals.parquet"
    if not path.exists():
        (table.work / "signals.key").write_text(key)
        standing = out / "signals.key"
        if standing.is_file() and standing.read_text() == key and (out / "signals.parquet").is_file():
            signals = pl.read_parquet(out / "signals.parquet")
        else:
            signals = compute_signals(table, spec, accuracy)
        with replacing(path) as part:
            write_frame(part, signals)
    shutil.rmtree(table.work / SHARDS, ignore_errors=True)
    return pl.read_parquet(path)


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
