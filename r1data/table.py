"""The rows that a step works on: a Parquet file of checked flat rows, whatever the user's files were.

A file that an earlier step wrote is read where it lies; JSON lines, CSV, foreign columns and rows in memory
are checked, completed (`r1data.flat`) and written to one first, a bad row ending it with file and line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.flat import flat_row
from r1rewards.core.console import Bar
from r1rewards.core.errors import UserError
from r1rewards.core.parquet import CHUNK_ROWS, sound, stream
from r1rewards.core.rows import derived_name
from r1rewards.core.store import disk_errors, numbered_rows, write_rows

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

#: What a row is called in a ledger; `uid` is the id where the row has no response.
KEYS = ("index", "uid", "id", "source", "task", "domain")

Rows = str | Path | Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Table:
    """The checked input of a step: a Parquet file of flat rows, and the names of its rows.

    keys      one line per row: `KEYS`, and `repeated` where an earlier row has the same uid
    work      the folder of the running step, where what is measured survives a kill
    standing  where the step's result belongs, and an earlier one may stand
    progress  told how many rows are measured, and of how many
    """

    path: Path
    keys: pl.DataFrame
    work: Path
    standing: Path
    progress: Bar

    def batches(self, *columns: str) -> Iterator[pa.RecordBatch]:
        """The rows in order, only these columns (those that exist)."""
        with undamaged(self.path), stream(self.path) as file:
            names = [name for name in columns if name in file.schema_arrow.names]
            yield from sound(file.iter_batches(CHUNK_ROWS, columns=names or None), self.path)

    @property
    def columns(self) -> list[str]:
        import pyarrow.parquet as pq

        return list(pq.read_schema(self.path).names)


def files_of(rows: Rows | Sequence[str | Path]) -> list[Path]:
    """The files that a step is to read; none where it was given the rows themselves."""
    if isinstance(rows, str | Path):
        return [Path(rows)]
    if isinstance(rows, Sequence) and rows and all(isinstance(item, str | Path) for item in rows):
        return [Path(str(item)) for item in rows]
    return []


def intake(
    files: list[Path], path: Path, columns: Mapping[str, str], defaults: Mapping[str, Any], progress: Bar
) -> Path:
    """A Parquet file of checked flat rows: the one given where it is that, else `path`, made from them."""
    if len(files) == 1 and not columns and not defaults and _is_flat(files[0]):
        return files[0]

    def told() -> Iterator[dict[str, Any]]:
        for number, row in enumerate(rows_of(files, columns, defaults), 1):
            yield row
            progress(number, None, "rows read")

    if not path.exists() and write_rows(path, told()) == 0:
        path.unlink()
        raise UserError(f"{', '.join(map(str, files))}: there are no rows here to work on")
    return path


def given(rows: Any, path: Path, columns: Mapping[str, str], defaults: Mapping[str, Any]) -> None:
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


def keys_of(path: Path) -> pl.DataFrame:
    import polars as pl

    with undamaged(path):
        lazy = pl.scan_parquet(path)
        names = lazy.collect_schema().names()
        uid = pl.col("uid") if "uid" in names else pl.col("id").alias("uid")
        frame = lazy.select(uid, "id", "source", "task", "domain").collect().with_row_index("index")
    return frame.with_columns(repeated=~pl.col("uid").is_first_distinct())


def write_frame(path: Path, frame: pl.DataFrame) -> None:
    import pyarrow.parquet as pq

    with disk_errors(path):
        pq.write_table(frame.to_arrow(), path, compression="zstd")
