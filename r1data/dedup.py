"""Keep one of every group of equal or nearly equal rows.

Exact: 128-bit hashes of the text. Near: MinHash finds candidates and a pair counts only if the texts
themselves are as similar as `threshold` (see `r1data.minhash`). Of each group the best row stays: highest
`reward` where there is one, then the first. Its uid is the group's name in the ledger (`match`).

What is compared depends on where the step stands. `by="problem"` compares prompts and keeps or drops all
samples of a problem together; the samples of one problem are never compared, because rejection sampling still
needs them. `by="response"` compares prompt and response, every row by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from r1data import words
from r1data.ledger import DROPPED, KEPT, fates, run_step
from r1data.measured import measured
from r1data.minhash import BANDS, MIN_THRESHOLD, U64, band_keys, near_groups
from r1data.table import Rows, Table
from r1rewards.core.errors import UserError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

By = Literal["problem", "response"]
#: The folder of the hashes in the result of `dedup`.
HASHES = "hashes"
I64 = NDArray[np.int64]


def dedup(
    rows: Rows,
    out: str | Path,
    *,
    by: By = "problem",
    near: bool = True,
    threshold: float = 0.7,
    **reading: Any,
) -> dict[str, Any]:
    """Run the step into the folder `out` and return its counts. `reading`: what `run_step` takes.

    near       also drop rows whose Jaccard similarity to a kept one is at least `threshold`
    """
    if by not in ("problem", "response"):
        raise UserError(f"dedup compares by problem or by response, not by {by!r}")
    if not MIN_THRESHOLD <= threshold <= 1:
        raise UserError(f"the near-duplicate threshold is {threshold}; it must be from {MIN_THRESHOLD} to 1")
    config = {"by": by, "near": near, "threshold": threshold}

    def decide(table: Table) -> pl.DataFrame:
        return _decide(table, by, near, threshold)

    return run_step("dedup", rows, out, decide, config=config, measures=HASHES, **reading)


def _decide(table: Table, by: By, near: bool, threshold: float) -> pl.DataFrame:
    import polars as pl

    units = _units(table, by)
    rank = _rank(table, units)
    texts = _Texts(table, units, by)
    exact, bands = _hashes(table, texts, near)
    leaders = _best(exact_groups(exact), rank)
    size = len(leaders)
    duplicate = leaders != np.arange(size)
    near_duplicate = np.zeros(size, np.bool_)
    similarity = np.ones(size)
    if near:
        alone = np.flatnonzero(~duplicate)
        chosen, spill = _Chosen(texts, alone), table.work / "shingles.bin"
        groups, highest = near_groups(chosen, bands[alone], threshold, spill)
        best = _best(groups, rank[alone])
        near_duplicate[alone] = best != np.arange(len(alone))
        similarity[alone] = highest
        position = np.zeros(size, np.int64)
        position[alone] = np.arange(len(alone))
        leaders = alone[best[position[leaders]]]
    group_size = np.bincount(leaders, minlength=size)[leaders]
    frame = pl.DataFrame(
        {
            "duplicate": duplicate[units],
            "near": near_duplicate[units],
            "similarity": similarity[units],
            "leader": table.keys["uid"].gather(texts.first_row[leaders[units]]),
            "group": group_size[units] > 1,
        }
    )
    gone = pl.col("duplicate") | pl.col("near")
    frame = frame.select(
        fate=pl.when(gone).then(pl.lit(DROPPED)).otherwise(pl.lit(KEPT)),
        rule=pl.when("duplicate").then(pl.lit("duplicate")).when("near").then(pl.lit("near_duplicate")),
        value=pl.when(gone).then("similarity"),
        threshold=pl.when("duplicate").then(1.0).when("near").then(threshold),
        match=pl.when("group").then("leader"),
    )
    return fates(table, **{name: frame[name] for name in frame.columns})


def _hashes(table: Table, texts: _Texts, near: bool) -> tuple[NDArray[np.void], U64]:
    """The 128-bit hash of each text, and where near ones are wanted its `band_keys`."""
    exact = np.empty(texts.count, "V16")
    bands = np.empty((texts.count if near else 0, BANDS), np.uint64)
    at = 0
    for shard in measured(
        table, HASHES, texts.shards(), hash_texts if near else digest_texts, {"near": near}
    ):
        rows = slice(at, at := at + len(shard))
        exact[rows] = _from_arrow(shard, "digest", "V16")
        if near:
            bands[rows] = _from_arrow(shard, "bands", np.uint64).reshape(-1, BANDS)
    return exact, bands


def digest_texts(batch: pa.RecordBatch) -> pa.Table:
    """What exact deduplication compares of each text of the column `text`: its hash of 128 bits."""
    import pyarrow as pa

    return pa.table({"digest": _to_arrow(digests(batch.column("text").to_pylist()), 16)})


def hash_texts(batch: pa.RecordBatch) -> pa.Table:
    """`digest_texts`, and what near deduplication looks for pairs with."""
    texts = batch.column("text").to_pylist()
    bands = b"".join([band_keys(some).tobytes() for some in words.batches(texts)])
    return digest_texts(batch).append_column("bands", _to_arrow(bands, 8 * BANDS))


def _to_arrow(content: bytes, width: int) -> pa.Array:
    import pyarrow as pa

    return pa.Array.from_buffers(pa.binary(width), len(content) // width, [None, pa.py_buffer(content)])


def _from_arrow(shard: pa.Table, name: str, kind: Any) -> NDArray[Any]:
    pieces = [np.frombuffer(b"".join(piece.to_pylist()), kind) for piece in shard.column(name).chunks]
    return np.concatenate([np.empty(0, kind), *pieces])


def _units(table: Table, by: By) -> I64:
    """The number of the unit that each row belongs to: its problem, or itself."""
    if by == "response":
        return np.arange(table.keys.height)
    return table.keys.select(u=_dense_first("id"))["u"].to_numpy().astype(np.int64)


def _dense_first(column: str) -> pl.Expr:
    """0, 1, 2, ... in the order in which the values of a column first appear."""
    import polars as pl

    first = pl.col("index").min().over(column)
    return first.rank("dense") - 1


def _rank(table: Table, units: I64) -> I64:
    """The place of each unit in the order of preference: best reward first, then first come.

    A row whose uid stood before comes last: it is dropped for that, so it must not stand for others.
    """
    import polars as pl

    size = int(units.max()) + 1
    reward = np.full(size, -np.inf)
    if "reward" in table.columns:
        rewards = (
            pl.read_parquet(table.path, columns=["reward"])["reward"].cast(pl.Float64).fill_null(-np.inf)
        )
        np.maximum.at(reward, units, rewards.to_numpy())
    fresh = np.zeros(size, np.bool_)
    fresh[units[~table.keys["repeated"].to_numpy()]] = True
    rank = np.empty(size, np.int64)
    rank[np.lexsort((np.arange(size), -reward, ~fresh))] = np.arange(size)
    return rank


class _Texts:
    """What is compared, one text per unit, read from the file as often as it is asked for."""

    def __init__(self, table: Table, units: I64, by: By) -> None:
        self._table = table
        self._whole = by == "response" and "text" in table.columns
        _, self.first_row = np.unique(units, return_index=True)
        self.count = len(self.first_row)
        self._wanted = np.zeros(len(units), np.bool_)
        self._wanted[self.first_row] = True

    def shards(self) -> Iterator[pa.RecordBatch]:
        """The texts in the order of the units, in the batches that the rows come in."""
        import pyarrow as pa

        start = 0
        for batch in self._table.batches("prompt", *(["text"] if self._whole else [])):
            wanted = self._wanted[start : start + batch.num_rows]
            start += batch.num_rows
            chosen = batch if wanted.all() else batch.filter(pa.array(wanted))
            yield pa.record_batch({"text": pa.array(_joined(chosen, self._whole), pa.string())})

    def __iter__(self) -> Iterator[Sequence[str]]:
        """The same, a few at a time (`r1data.words.BATCH`)."""
        for shard in self.shards():
            yield from words.batches(shard.column("text").to_pylist())


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Some of the texts, as `near_groups` reads them."""

    texts: _Texts
    units: I64

    def __len__(self) -> int:
        return len(self.units)

    def __iter__(self) -> Iterator[Sequence[str]]:
        wanted = np.zeros(self.texts.count, np.bool_)
        wanted[self.units] = True
        unit = 0
        for batch in self.texts:
            yield [text for text, take in zip(batch, wanted[unit : unit + len(batch)], strict=True) if take]
            unit += len(batch)


def _joined(batch: Any, whole: bool) -> list[str]:
    column = batch.column("prompt")
    if len(column.values) == len(column):
        prompts: list[str] = column.flatten().field("content").to_pylist()
    else:
        prompts = ["\0".join(f"{m['role']}\0{m['content']}" for m in prompt) for prompt in column.to_pylist()]
    if not whole:
        return prompts
    return [
        f"{prompt}\0{text}" for prompt, text in zip(prompts, batch.column("text").to_pylist(), strict=True)
    ]


def digests(texts: Sequence[str]) -> bytes:
    """The hashes of the texts, of 16 bytes each."""
    import xxhash

    digest = xxhash.xxh3_128_digest
    return b"".join([digest(text.encode("utf-8", "replace")) for text in texts])


def exact_groups(digests: NDArray[np.void]) -> I64:
    """For each digest the first one that is equal to it."""
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    return first[inverse]


def _best(groups: I64, rank: I64) -> I64:
    """For each unit the best ranked one of its group."""
    order = np.argsort(rank)
    best = np.full(len(groups), -1, np.int64)
    best[groups[order[::-1]]] = order[::-1]
    return best[groups]
