"""Rows in Parquet, in bounded memory and in order.

A column has one of a few kinds. Text, numbers, booleans, lists of text and conversations are stored as
themselves; everything else (objects, or columns whose values differ in kind) is JSON text, and the schema
marks such a column with the field metadata `r1kit: json`, so that it is read back as what it was. A file made
elsewhere carries no mark and is read as it stands.

One column is text and object at once: `reference`. There the row's task decides (`OBJECT_TASKS`): an object
is stored as plain JSON text, and text stays text also where it looks like JSON.

A key that a row lacks is read back as None; NaN and infinity survive in number columns only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from r1rewards.core.errors import UserError
from r1rewards.core.formats import dump_json, load_json
from r1rewards.core.rows import OBJECT_TASKS

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Kind = Literal["null", "bool", "int", "float", "text", "texts", "messages", "json"]

#: The kinds of r1kit's own columns, so that every shard of a file has the same schema whatever it holds.
KINDS: dict[str, Kind] = {
    "id": "text",
    "uid": "text",
    "problem_id": "text",
    "task": "text",
    "domain": "text",
    "prompt": "messages",
    "reference": "text",
    "language": "text",
    "source": "text",
    "thinking": "text",
    "meta": "json",
    "sample": "int",
    "text": "text",
    "finish_reason": "text",
    "tokens": "int",
    "model": "text",
    "sampling": "json",
    "reward": "float",
    "rewards": "json",
    "status": "text",
    "verdicts": "json",
}
CHUNK_ROWS = 2048
#: Rows of one row group where files are joined.
JOINED_ROWS = 16_384
_MARK = {b"r1kit": b"json"}
_SCALARS: dict[type, Kind] = {bool: "bool", float: "float", str: "text"}


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, in order."""
    import pyarrow as pa

    try:
        with stream(path) as file:
            for batch in sound(file.iter_batches(CHUNK_ROWS), path):
                yield from decode(batch)
    except (pa.ArrowException, OSError) as error:  # the second for pages that cannot be decoded
        raise UserError(
            f"{path}: not a complete Parquet file ({str(error).splitlines()[0]}); make it again"
        ) from None


def stream(path: Path) -> pq.ParquetFile:
    """A Parquet file to read in pieces: else Arrow holds whole row groups, and all that was read before."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)


def sound(batches: Iterable[pa.RecordBatch], path: Path) -> Iterator[pa.RecordBatch]:
    """The batches of a file; a `UserError` where the text in one is not UTF-8."""
    import pyarrow as pa

    first = 1
    for batch in batches:
        try:
            batch.validate(full=True)
        except pa.ArrowInvalid as error:
            where = f"{path}, rows {first} to {first + len(batch) - 1}"
            raise UserError(f"{where}: {error}; mend the text or leave the row out") from None
        first += len(batch)
        yield batch


def decode(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """The rows of a batch of such a file."""
    names = batch.schema.names
    marked = {field.name for field in batch.schema if (field.metadata or {}).get(b"r1kit") == b"json"}
    columns = [
        [None if text is None else load_json(text) for text in column.to_pylist()]
        if name in marked
        else column.to_pylist()
        for name, column in zip(names, batch.columns, strict=True)
    ]
    objects = "reference" in names and "task" in names and "reference" not in marked
    for values in zip(*columns, strict=True):
        row = dict(zip(names, values, strict=True))
        if objects and row["task"] in OBJECT_TASKS and isinstance(row["reference"], str):
            with contextlib.suppress(ValueError):  # text that is no object is the reader's to judge
                row["reference"] = load_json(row["reference"])
        yield row


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write the rows and return their number; a late row may widen a column, which rewrites what stands."""
    with ParquetRows(path) as file:
        iterator = iter(rows)
        while chunk := list(islice(iterator, CHUNK_ROWS)):
            file.write(chunk)
    return file.count


class ParquetRows:
    """A Parquet file being written, a list of rows at a time; each list becomes one row group."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._kinds: dict[str, Kind] = {}
        self._writer: Any = None
        self._opened = 0

    def __enter__(self) -> ParquetRows:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None and self._writer is None:
            self._open({name: KINDS[name] for name in ("id", "uid")})  # a file without rows is still a file
        if self._writer is not None:
            self._writer.close()

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        import pyarrow as pa

        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: [row.get(name) for row in rows] for name in [*self._kinds, *names]}
        kinds = {
            name: _widened(name, self._kinds.get(name) or KINDS.get(name, "null"), values)
            for name, values in columns.items()
        }
        if self._writer is None or kinds != self._kinds:
            self._open(kinds)
        arrays = []
        for name, values in columns.items():
            try:
                arrays.append(pa.array(_encoded(kinds[name], values), _arrow_type(kinds[name])))
            except (UnicodeEncodeError, TypeError) as error:
                first = rows[0].get("uid") or rows[0].get("id") or self.count + 1
                raise UserError(
                    f"{self.path}: column {name!r} cannot be stored in the rows from {first} on ({error}); "
                    "leave the value out or make it valid text"
                ) from None
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=_schema(kinds)))
        self.count += len(rows)

    def _open(self, kinds: dict[str, Kind]) -> None:
        import pyarrow.parquet as pq

        standing = self._writer is not None
        if standing:
            self._writer.close()
            narrow = self.path.with_name(f"{self.path.name}.narrow{self._opened}")
            self.path.replace(narrow)
        self._opened += 1
        self._kinds = kinds
        self._writer = pq.ParquetWriter(self.path, _schema(kinds), compression="zstd")
        if standing:
            self.count = 0
            rows = read_parquet(narrow)
            while chunk := list(islice(rows, CHUNK_ROWS)):
                self.write(chunk)
            narrow.unlink()


def join_parquet(path: Path, files: Sequence[Path]) -> int:
    """Write the rows of several files that `write_parquet` made, one file after the other."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if len({pq.read_schema(file).serialize().to_pybytes() for file in files}) != 1:
        return write_parquet(path, (row for file in files for row in read_parquet(file)))
    count = 0
    waiting: list[pa.Table] = []
    with pq.ParquetWriter(path, pq.read_schema(files[0]), compression="zstd") as writer:
        for i, file in enumerate(files, 1):
            waiting.append(pq.read_table(file))
            if sum(map(len, waiting)) >= JOINED_ROWS or i == len(files):
                table = pa.concat_tables(waiting)
                writer.write_table(table, row_group_size=len(table))
                count, waiting = count + len(table), []
    return count


def _widened(name: str, kind: Kind, values: Sequence[Any]) -> Kind:
    """The narrowest kind that holds what the column held so far and these values."""
    types = set(map(type, values)) - {type(None)}
    if not types or (kind == "text" and types == {str}) or kind == "json":
        return kind
    if name == "reference" and kind == "text" and types <= {str, dict}:
        return kind
    found: set[Kind] = {_kind_of(value) for value in values if value is not None and value != []}
    found |= {kind} - {"null"}
    if [] in values and not found <= {"texts", "messages"}:
        return "json"  # an empty list fits any list and nothing else
    if found == {"int", "float"} and all(abs(value) <= 2**53 for value in values if type(value) is int):
        return "float"
    return found.pop() if len(found) == 1 else "json"


def _kind_of(value: Any) -> Kind:
    if type(value) is int:
        return "int" if -(2**63) <= value < 2**63 else "json"
    if type(value) is list:
        if all(type(item) is str for item in value):
            return "texts"
        if all(_is_message(item) for item in value):
            return "messages"
    return _SCALARS.get(type(value), "json")


def _is_message(item: Any) -> bool:
    return (
        type(item) is dict
        and len(item) == 2
        and type(item.get("role")) is str
        and type(item.get("content")) is str
    )


def _encoded(kind: Kind, values: Sequence[Any]) -> Sequence[Any]:
    if kind == "json":
        return [None if value is None else dump_json(value).decode() for value in values]
    if kind == "text":
        return [dump_json(value).decode() if type(value) is dict else value for value in values]
    return values


def _arrow_type(kind: Kind) -> pa.DataType:
    import pyarrow as pa

    if kind == "messages":
        return pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    if kind == "texts":
        return pa.list_(pa.string())
    return {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}.get(kind, pa.string())


def _schema(kinds: Mapping[str, Kind]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(name, _arrow_type(kind), metadata=_MARK if kind in ("json", "null") else None)
            for name, kind in kinds.items()
        ]
    )
