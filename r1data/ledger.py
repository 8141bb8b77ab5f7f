"""Every input row has exactly one fate, and every step writes it down in the same way.

A step is a function from rows to *fates*; `run_step` does the rest: it checks the rows on the way in, gives
rows with a name that stood before the fate `repeated_uid`, writes `ledger.parquet` (one line per input row)
and the kept rows, counts, and finishes the folder all at once.

The columns of a ledger: index (place in the input), uid, id, source, task, domain, step, fate ("kept",
"dropped", or the part that a split put it in), rule, value and threshold (what was measured against what),
match (the benchmark item, or the uid of the row kept in its place), span (the text that matched, or what the
grader said).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.measured import shards_of
from r1data.table import KEYS, Rows, Table, files_of, given, intake, keys_of, write_frame
from r1rewards.core.console import Bar
from r1rewards.core.parquet import CHUNK_ROWS
from r1rewards.core.store import Step, disk_errors

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

FATE = ("fate", "rule", "value", "threshold", "match", "span")
KEPT, DROPPED = "kept", "dropped"


def fates(table: Table, **columns: Any) -> pl.DataFrame:
    """A frame of fates for all rows of the table: "kept" and nothing else where `columns` do not say."""
    import polars as pl

    size = table.keys.height
    texts = {"fate", "rule", "match", "span"}
    types = {name: pl.String if name in texts else pl.Float64 for name in FATE}
    frame = {
        name: columns.get(name, pl.repeat(KEPT if name == "fate" else None, size, dtype=kind, eager=True))
        for name, kind in types.items()
    }
    return pl.DataFrame(frame, schema=types)


def run_step(
    name: str,
    rows: Rows | Sequence[str | Path],
    out: str | Path,
    decide: Callable[[Table], pl.DataFrame],
    *,
    config: Mapping[str, Any],
    inputs: Sequence[str | Path] = (),
    columns: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
    finish: Callable[[Table, pl.DataFrame, Path], None] | None = None,
    report: Callable[[], Mapping[str, Any]] = dict,
    measures: str | None = None,
    progress: Bar = lambda done, total, note="": None,
) -> dict[str, Any]:
    """Run one step of curation into the folder `out` and return its counts; done before, only the counts.

    rows      a file, several files, or the rows themselves
    decide    the fates of the rows of a table, in their order (see `fates`); further columns of the frame
              are added to the rows that stay
    config    every setting that the fates depend on; `inputs` further files that they depend on
    columns   how the columns of a foreign file are called (`read_rows`)
    defaults  values for columns that the rows lack, such as {"task": "math"}
    finish    writes what the step makes beside ledger and rows
    report    further counts, asked for when the fates are known
    measures  the folder of what `decide` measures (`r1data.measured`)
    progress  told how many rows are read, then how many are measured and of how many

    The folder then holds `<fate>.parquet` for every fate but "dropped", `ledger.parquet`, `step.json` and
    what was measured, shard by shard.
    """
    out = Path(out)
    columns, defaults = columns or {}, defaults or {}
    files, loose = files_of(rows), out.with_name(f".{out.name}.rows.parquet")
    if not files:
        given(rows, loose, columns, defaults)
    config = {"columns": columns, "defaults": defaults, **config}
    with Step(out, name, config=config, inputs=[*(files or [loose]), *inputs], keeps=measures) as step:
        if not step.done:
            inside = step.path / "rows.parquet"
            source = intake(files, inside, columns, defaults, progress) if files else loose
            table = Table(source, keys_of(source), step.path, out, progress)
            frame = decide(table)
            if frame.height != table.keys.height:
                raise ValueError(f"{name} gave {frame.height} fates for {table.keys.height} rows")
            ledger = _ledger(name, table, frame)
            write_frame(step.path / "ledger.parquet", ledger)
            _write_kept(table, ledger, frame.drop(FATE), step.path)
            if finish is not None:
                finish(table, ledger, step.path)
            inside.unlink(missing_ok=True)
            step.finish({**count(ledger), **report()}, shards=shards_of(step.path))
    if not files:
        loose.unlink()
    return step.counts


def count(ledger: pl.DataFrame) -> dict[str, Any]:
    """The counts of a ledger: in, by fate, dropped by rule, and both by source and by task."""
    import polars as pl

    def fates_of(frame: pl.DataFrame) -> dict[str, int]:
        return {"in": frame.height, **dict(sorted(frame["fate"].value_counts().iter_rows()))}

    def by(column: str) -> dict[str, dict[str, int]]:
        return {str(key[0]): fates_of(part) for key, part in sorted(ledger.group_by(column))}

    dropped = ledger.filter(pl.col("fate") == DROPPED)
    counts = fates_of(ledger)
    return {
        **counts,
        KEPT: counts.get(KEPT, 0),
        DROPPED: counts.get(DROPPED, 0),
        "rules": dict(sorted(dropped["rule"].value_counts().iter_rows())),
        "by_source": by("source"),
        "by_task": by("task"),
    }


def _ledger(name: str, table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    repeated = pl.col("repeated")
    whole = table.keys.hstack(frame).with_columns(
        fate=pl.when(repeated).then(pl.lit(DROPPED)).otherwise("fate"),
        rule=pl.when(repeated).then(pl.lit("repeated_uid")).otherwise("rule"),
        match=pl.when(repeated).then("uid").otherwise("match"),
        step=pl.lit(name),
    )
    return whole.select(*KEYS, "step", "fate", "rule", "value", "threshold", "match", "span")


def _write_kept(table: Table, ledger: pl.DataFrame, extra: pl.DataFrame, folder: Path) -> None:
    """One file per fate but "dropped"; rows keep their order, columns their types, `extra` are added."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    added = extra.to_arrow()
    schema = pq.read_schema(table.path)
    old = [name for name in schema.names if name not in added.schema.names]
    schema = pa.schema([*(schema.field(name) for name in old), *added.schema])
    for part in sorted({KEPT, *ledger["fate"].unique()} - {DROPPED}):
        mask = (ledger["fate"] == part).to_numpy()
        path = folder / f"{part}.parquet"
        with disk_errors(path), pq.ParquetWriter(path, schema, compression="zstd") as writer:
            waiting: list[pa.Table] = []
            start = 0
            for batch in table.batches():
                rows = slice(start, start := start + batch.num_rows)
                columns = [*(batch.column(name) for name in old), *added[rows].columns]
                whole = pa.table(columns, schema=schema)
                waiting.append(whole.filter(pa.array(mask[rows])))
                if sum(one.num_rows for one in waiting) >= CHUNK_ROWS:
                    writer.write_table(pa.concat_tables(waiting).combine_chunks())
                    waiting = []
            if waiting:
                writer.write_table(pa.concat_tables(waiting).combine_chunks())
