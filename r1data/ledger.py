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

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.flat import flat_row
from r1rewards.core.errors import UserError
from r1rewards.core.parquet import CHUNK_ROWS
from r1rewards.core.rows import derived_name
from r1rewards.core.store import Step, disk_errors, numbered_rows, write_rows

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

#: What a row is called in a ledger; `uid` is the id where the row has no response.
KEYS = ("index", "uid", "id", "source", "task", "domain")
FATE = ("fate", "rule", "value", "threshold", "match", "span")
KEPT, DROPPED = "kept", "dropped"

Rows = str | Path | Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Table:
    """The checked input of a step: a Parquet file of flat rows, and the names of its rows.

    keys      one line per row: `KEYS`, and `repeated` where an earlier row has the same uid
    work      the folder of the running step, where intermediate results survive a kill
    """

    path: Path
    keys: pl.DataFrame
    work: Path

    def batches(self, *columns: str) -> Iterator[pa.RecordBatch]:
        """The rows in order, only these columns (those that exist)."""
        import pyarrow.parquet as pq

        with undamaged(self.path), pq.ParquetFile(self.path) as file:
            names = [name for name in columns if name in file.schema_arrow.names]
            yield from file.iter_batches(CHUNK_ROWS, columns=names or None)

    @property
    def columns(self) -> list[str]:
        import pyarrow.parquet as pq

        return list(pq.read_schema(self.path).names)


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

    The folder then holds `<fate>.parquet` for every fate but "dropped", `ledger.parquet` and `step.json`.
    """
    out = Path(out)
    columns, defaults = columns or {}, defaults or {}
    files, loose = _files(rows), out.with_name(f".{out.name}.rows.parquet")
    if not files:
        _given(rows, loose, columns, defaults)
    config = {"columns": columns, "defaults": defaults, **config}
    with Step(out, name, config=config, inputs=[*(files or [loose]), *inputs]) as step:
        if not step.done:
            source = _intake(files, step.path / "rows.parquet", columns, defaults) if files else loose
            table = Table(source, _keys(source), step.path)
            frame = decide(table)
            if frame.height != table.keys.height:
                raise ValueError(f"{name} gave {frame.height} fates for {table.keys.height} rows")
            ledger = _ledger(name, table, frame)
            write_frame(step.path / "ledger.parquet", ledger)
            _write_kept(table, ledger, frame.drop(FATE), step.path)
            if finish is not None:
                finish(table, ledger, step.path)
            (step.path / "rows.parquet").unlink(missing_ok=True)
            step.finish({**count(ledger), **report()})
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


def _files(rows: Rows | Sequence[str | Path]) -> list[Path]:
    """The files that a step is to read; none where it was given the rows themselves."""
    if isinstance(rows, str | Path):
        return [Path(rows)]
    if isinstance(rows, Sequence) and rows and all(isinstance(item, str | Path) for item in rows):
        return [Path(str(item)) for item in rows]
    return []


def _intake(files: list[Path], path: Path, columns: Mapping[str, str], defaults: Mapping[str, Any]) -> Path:
    """A Parquet file of checked flat rows: the one given where it is that, else `path`, made from them."""
    if len(files) == 1 and not columns and not defaults and _is_flat(files[0]):
        return files[0]
    if not path.exists() and write_rows(path, rows_of(files, columns, defaults)) == 0:
        path.unlink()
        raise UserError(f"{', '.join(map(str, files))}: there are no rows here to work on")
    return path


def _given(rows: Any, path: Path, columns: Mapping[str, str], defaults: Mapping[str, Any]) -> None:
    """Write the rows that a caller handed over to a file, so that they have a hash like any input."""
    if columns:
        raise ValueError("columns rename those of a file; rows in memory already have names")
    if write_rows(path, _checked(((f"row {n}", row) for n, row in enumerate(rows, 1)), defaults)) == 0:
        path.unlink()
        raise UserError(f"{path.parent}: there are no rows to work on; check what comes before this step")


def rows_of(
    files: Iterable[Path], columns: Mapping[str, str], defaults: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The flat rows of some files; a row that names no source comes from its file."""
    numbered = (
        (where, row if row.get("source") else {**row, "source": file.name.split(".")[0]})
        for file in files
        for where, row in numbered_rows(file, columns=columns)
    )
    return _checked(numbered, defaults)


def _checked(
    numbered: Iterable[tuple[str, Mapping[str, Any]]], defaults: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The rows, checked; equal responses without uid or sample number are samples of their own, by number."""
    seen: Counter[str] = Counter()
    for where, row in numbered:
        missing = {name: value for name, value in defaults.items() if row.get(name) is None}
        flat = flat_row({**row, **missing}, where)
        if "uid" in flat and row.get("uid") is None and row.get("sample") is None:
            earlier = seen[flat["uid"]]
            seen[flat["uid"]] += 1
            if earlier:
                flat["uid"] = derived_name(flat["uid"], str(earlier))
        yield flat


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Turn what is said of a Parquet file whose pages cannot be read into one sentence."""
    import polars as pl
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: a damaged Parquet file ({reason}); make it again") from None


def _is_flat(path: Path) -> bool:
    """Whether a file is one that an earlier step wrote: the columns there, and no null where none may be."""
    if path.suffix != ".parquet" or not path.is_file():
        return False
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        return False
    schema = metadata.schema.to_arrow_schema()
    needed = {"id", "task", "domain", "prompt", "source"} | ({"uid", "text"} & set(schema.names))
    if not needed <= set(schema.names) or "problem_id" in schema.names or "response" in schema.names:
        return False
    if len({"uid", "text"} & needed) == 1 or not pa.types.is_list(schema.field("prompt").type):
        return False
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            if column.path_in_schema.split(".")[0] in needed:
                known = column.statistics is not None and column.statistics.has_null_count
                if not known or column.statistics.null_count:
                    return False
    return bool(metadata.num_rows)


def _keys(path: Path) -> pl.DataFrame:
    import polars as pl

    with undamaged(path):
        lazy = pl.scan_parquet(path)
        names = lazy.collect_schema().names()
        uid = pl.col("uid") if "uid" in names else pl.col("id").alias("uid")
        frame = lazy.select(uid, "id", "source", "task", "domain").collect().with_row_index("index")
    return frame.with_columns(repeated=~pl.col("uid").is_first_distinct())


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


def write_frame(path: Path, frame: pl.DataFrame) -> None:
    import pyarrow.parquet as pq

    with disk_errors(path):
        pq.write_table(frame.to_arrow(), path, compression="zstd")


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
