"""Rows as text: JSON lines, one JSON list, CSV; plain or compressed with gzip or zstandard.

Readers yield the number of the line with each row and name file and line when a line is no row.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from r1rewards.core.errors import UserError

_COMPRESSION = {".gz": "gzip", ".zst": "zstd"}
_BUFFER_BYTES = 1 << 20


def dump_json(value: Any) -> bytes:
    """The value as JSON in UTF-8. Raises TypeError for what JSON cannot hold."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # an integer beyond 64 bits: slower, but exact
        return json.dumps(value, ensure_ascii=False).encode()


def load_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError."""
    value = orjson.loads(text)
    return json.loads(text) if _rounded(value) else value


def _rounded(value: Any) -> bool:
    """Whether orjson may have rounded an integer beyond 64 bits in here."""
    if isinstance(value, dict):
        return any(map(_rounded, value.values()))
    if isinstance(value, list):
        return any(map(_rounded, value))
    return isinstance(value, float) and abs(value) >= 2**63


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed as its suffix says."""
    if path.suffix not in _COMPRESSION:
        with path.open("rb", buffering=_BUFFER_BYTES) as file:
            yield file
        return
    import pyarrow as pa

    stream = pa.input_stream(str(path), compression=_COMPRESSION[path.suffix])
    with io.BufferedReader(cast(io.RawIOBase, stream), _BUFFER_BYTES) as buffered:
        try:
            yield buffered
        except OSError as error:  # what pyarrow says of a torn or foreign stream
            raise UserError(
                f"{path}: cannot be decompressed ({error}); the file is cut off or damaged"
            ) from None


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with _reading(path) as file:
        for number, line in enumerate(file, 1):
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not text.strip():
                continue
            try:
                row = load_json(text)
            except ValueError as error:
                raise UserError(
                    f"{path}, line {number}: not JSON ({error}); mend or remove the line"
                ) from None
            if not isinstance(row, dict):
                raise UserError(f"{path}, line {number}: a row is a JSON object; mend or remove the line")
            yield number, row


def read_json(path: Path) -> list[dict[str, Any]]:
    try:
        rows = load_json(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); mend the file") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path}: a .json file of rows is one list of objects; use .jsonl for one row a line")
    return rows


def read_csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(sys.maxsize)  # a response may be longer than csv's default of 128 KB
    with _reading(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        reader = csv.DictReader(text, strict=True)
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise UserError(
                        f"{path}, line {reader.line_num}: not as many values as the header has names"
                    )
                yield reader.line_num, row
        except csv.Error as error:
            raise UserError(f"{path}, line {reader.line_num + 1}: not CSV ({error})") from None
        except UnicodeDecodeError as error:  # which was raised for a whole block of lines
            raise UserError(f"{path}, line {_foreign_line(path)}: not UTF-8 ({error.reason})") from None


def _foreign_line(path: Path) -> int:
    """The first line of a file that is not UTF-8."""
    with _reading(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    raise ValueError(f"{path} is UTF-8")


def write_jsonl(path: Path, suffix: str, rows: Iterable[Mapping[str, Any]]) -> int:
    import pyarrow as pa

    count = 0
    compression = _COMPRESSION.get(Path(suffix).suffix)
    with pa.output_stream(str(path), compression=compression, buffer_size=_BUFFER_BYTES) as file:
        for count, row in enumerate(rows, 1):
            try:
                file.write(dump_json(row) + b"\n")
            except (TypeError, UnicodeEncodeError) as error:
                raise UserError(f"row {count} cannot be written as JSON ({error})") from None
    return count
