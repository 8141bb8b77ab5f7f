"""What a step measures of its rows, in shards that stay beside its result.

    for shard in measured(table, "signals", table.batches(), measure, settings):
        ...                                            # a pyarrow table, one line per row of the batch

A shard is a Parquet file, whole or absent, and its footer says what it was made from: a hash of the rows, a
hash of the settings, the version of r1kit. One that still fits is not measured again: neither after a kill,
nor when thresholds change, nor for the rows that stood there before others were added. What is decided by
a threshold is therefore not among the settings.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.table import Table, undamaged
from r1rewards.core.formats import dump_json, load_json
from r1rewards.core.processes import outcome
from r1rewards.core.store import replacing

if TYPE_CHECKING:
    import pyarrow as pa

_MARK = b"r1kit"


def measured(
    table: Table,
    name: str,
    batches: Iterable[pa.RecordBatch],
    measure: Callable[[pa.RecordBatch], pa.Table],
    settings: Any,
    *,
    pool: Executor | None = None,
    workers: int = 1,
) -> Iterator[pa.Table]:
    """What `measure` says of each batch, in order, taken from an earlier try or result where that fits.

    name      the folder of the shards, in the work folder and then in the result; `run_step` must know it
    batches   what is measured of the rows, and nothing else: the hash of a batch names its shard
    settings  what the measure depends on besides (JSON-able)
    pool      processes to measure in, so many `workers`
    """
    given = {"config": _hash(dump_json(settings)), "version": metadata.version("r1kit")}
    waiting: deque[tuple[Path, int, Future[None] | None]] = deque()
    done = 0

    def first() -> pa.Table:
        nonlocal done
        path, rows, future = waiting.popleft()
        if future is not None:
            outcome(future)
        done += rows
        table.progress(done, table.keys.height)
        return _read(path)

    number = -1
    for number, batch in enumerate(batches):
        made_from = {"input": _rows_hash(batch), **given}
        path, standing = (_path(folder / name, number) for folder in (table.work, table.standing))
        future = None
        if _made_from(path) != made_from:
            if _made_from(standing) == made_from:
                with replacing(path) as part:
                    shutil.copyfile(standing, part)
            elif pool is None:
                _store(measure, batch, made_from, path)
            else:
                future = pool.submit(_store, measure, batch, made_from, path)
        waiting.append((path, batch.num_rows, future))
        if pool is None or len(waiting) > workers + 1:
            yield first()
    while waiting:
        yield first()
    for stale in _shards(table.work / name):
        if int(stale.stem.removeprefix("shard-")) > number:
            stale.unlink()


def shards_of(folder: Path) -> dict[str, dict[str, Any]]:
    """What each shard below a folder was made from, and how many rows it has, for the step's manifest."""
    return {
        str(path.relative_to(folder)): {"rows": _rows(path), **_made_from(path)}
        for name in sorted(folder.iterdir())
        if name.is_dir()
        for path in _shards(name)
    }


def _path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:07}.parquet"


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("shard-*.parquet"))


def _store(
    measure: Callable[[pa.RecordBatch], pa.Table],
    batch: pa.RecordBatch,
    made_from: Mapping[str, str],
    path: Path,
) -> None:
    import pyarrow.parquet as pq

    marked = measure(batch).replace_schema_metadata({_MARK: dump_json(made_from)})
    with replacing(path) as part:
        pq.write_table(marked, part, compression="zstd")


def _read(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    with undamaged(path):
        return pq.read_table(path)


def _rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _made_from(path: Path) -> dict[str, Any]:
    """What a shard was made from; nothing where there is none, or one whose end is torn off."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        said: dict[str, Any] = load_json((pq.read_metadata(path).metadata or {})[_MARK])
    except (FileNotFoundError, NotADirectoryError, KeyError, pa.ArrowException):
        return {}
    return said


def _rows_hash(batch: pa.RecordBatch) -> str:
    """The hash of some rows. Parquet leaves out what Arrow has in memory below a null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    whole = pa.Table.from_batches([batch])
    pq.write_table(whole, sink, compression="none", use_dictionary=False, write_statistics=False)
    return _hash(sink.getvalue())


def _hash(content: Any) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
