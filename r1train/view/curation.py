"""What curation did with each row: the ledgers of a run, and the rows behind their lines."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from r1data.ledger import DROPPED
from r1data.why import Chapter, find_ledgers, why
from r1rewards.core.errors import UserError
from r1rewards.core.rows import question_of
from r1rewards.core.store import read_manifest, read_rows

NO_RULE = "no rule"
#: What is shown of a row.
COLUMNS = ("uid", "id", "prompt", "text", "response")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of curation.

    name    its folder below the run
    rules   rows by the rule that dropped them, the most frequent first
    parts   rows by any other fate: kept, or the part that a split put them in
    inputs  the files that it read; lines of the ledger count their rows through
    """

    name: str
    folder: Path
    rows: int
    rules: dict[str, int]
    parts: dict[str, int]
    inputs: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """A line of a ledger with its row; the row is None where its file is gone."""

    line: dict[str, Any]
    sentence: str
    question: str
    text: str | None


def steps(folder: Path) -> list[Step]:
    """Every finished step of curation below a folder, in the order of their folders."""
    try:
        ledgers = find_ledgers([folder])
    except UserError:
        return []
    return [_step(folder, ledger) for ledger in ledgers if not _hidden(ledger.relative_to(folder))]


def told(step: Step, fate: str, text: str, start: int, count: int) -> tuple[int, list[Told]]:
    """How many lines of a step match, and some of them with their rows.

    fate  a rule that dropped rows, or another fate; "" for every dropped row
    text  in the id, the uid, or what the ledger says of the row
    """
    ledger = pl.scan_parquet(step.folder / "ledger.parquet")
    gone = pl.col("fate") == DROPPED
    if fate in step.parts:
        ledger = ledger.filter(pl.col("fate") == fate)
    elif fate:
        ledger = ledger.filter(gone & (pl.col("rule").fill_null(NO_RULE) == fate))
    else:
        ledger = ledger.filter(gone)
    if text:
        needle = f"(?i){pl.escape_regex(text)}"
        columns = [pl.col(name).str.contains(needle) for name in ("id", "uid", "span", "match")]
        ledger = ledger.filter(pl.any_horizontal(columns))
    lines = ledger.collect()
    chosen = lines.slice(start, count).to_dicts()
    rows = _rows(step.inputs, [line["index"] for line in chosen])
    return lines.height, [_told(step, line, rows.get(line["index"])) for line in chosen]


def story(folder: Path, uid: str) -> list[Chapter]:
    """What became of a row in every step below a folder (`r1data why`); nothing where no ledger knows it."""
    try:
        return why(uid, [folder])
    except UserError:
        return []


def _step(folder: Path, ledger: Path) -> Step:
    counts = pl.scan_parquet(ledger).group_by("fate", "rule").len().collect()
    gone = counts.filter(pl.col("fate") == DROPPED).with_columns(pl.col("rule").fill_null(NO_RULE))
    kept = counts.filter(pl.col("fate") != DROPPED).group_by("fate").agg(pl.col("len").sum()).sort("fate")
    inputs = tuple(_found(folder, path) for path in read_manifest(ledger.parent).get("inputs", {}))
    return Step(
        name=str(ledger.parent.relative_to(folder)),
        folder=ledger.parent,
        rows=int(counts["len"].sum()),
        rules=dict(gone.sort(["len", "rule"], descending=[True, False]).select("rule", "len").iter_rows()),
        parts=dict(kept.iter_rows()),
        inputs=inputs,
    )


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _found(folder: Path, path: str) -> Path:
    """The file that a manifest names, in this copy of the run: a manifest knows where the run was made."""
    parts = Path(path).parts
    inside = (
        folder.joinpath(*parts[start:]) for start in range(1 if Path(path).is_absolute() else 0, len(parts))
    )
    return next((file for file in inside if file.is_file()), Path(path))


def _rows(inputs: Sequence[Path], wanted: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """The rows with these numbers, counted through the inputs one after the other."""
    found: dict[int, Mapping[str, Any]] = {}
    first = 0
    for path in inputs:
        if len(found) == len(wanted) or not path.is_file():
            break
        numbered, size = _numbered(path, {number - first for number in wanted})
        found |= {number + first: row for number, row in numbered.items()}
        first += size
    return found


def _numbered(path: Path, wanted: Collection[int]) -> tuple[dict[int, Mapping[str, Any]], int]:
    """Some rows of a file by their number, and how many it has."""
    if path.suffix == ".parquet":
        lazy = pl.scan_parquet(path)
        columns = [name for name in COLUMNS if name in lazy.collect_schema().names()]
        some = (
            lazy.select(columns)
            .with_row_index("number")
            .filter(pl.col("number").is_in(list(wanted)))
            .collect()
        )
        return {row.pop("number"): row for row in some.to_dicts()}, int(
            lazy.select(pl.len()).collect().item()
        )
    rows = [row if number in wanted else None for number, row in enumerate(read_rows(path))]
    return {number: row for number, row in enumerate(rows) if row is not None}, len(rows)


def _told(step: Step, line: dict[str, Any], row: Mapping[str, Any] | None) -> Told:
    sentence = Chapter(step.folder, (), line).sentence()
    if row is None or str(row.get("uid") or row.get("id")) != line["uid"]:
        return Told(line, sentence, "", None)
    text = row.get("text", row.get("response"))
    return Told(line, sentence, question_of(row.get("prompt") or ""), "" if text is None else str(text))
