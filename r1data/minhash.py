"""Groups of nearly equal texts, in memory that hardly grows with their length.

A text is the set of its runs of five words. One-permutation MinHash (one hash, 120 bins, empty bins filled
by optimal densification: Shrivastava, ICML 2017) and 24 bands of 5 bins find candidate pairs; every candidate
is verified by the true Jaccard similarity of the two sets, so that no pair is a matter of luck; union-find
makes groups. By the bands' arithmetic a pair of similarity 0.7 is a candidate with probability 0.99, one of
0.6 with 0.86, one of 0.3 with 0.06.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import xxhash
from numpy.typing import NDArray

from r1data import words
from r1rewards.core.store import disk_errors

BANDS, BAND_ROWS = 24, 5
BINS = BANDS * BAND_ROWS
MIN_THRESHOLD = 0.6
_SHINGLE = 5
_EMPTY = np.uint32(0xFFFFFFFF)

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]


class Batches(Protocol):
    """Texts that can be read more than once, in batches."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Sequence[str]]: ...


def near_groups(texts: Batches, keys: U64, threshold: float, spill: Path) -> tuple[I64, NDArray[np.float64]]:
    """For each text the first one of its group, and its highest similarity to another (0 without candidate).

    keys   the `band_keys` of all the texts
    spill  a file for the shingles of the candidates; it is removed
    """
    pairs = _candidates(keys)
    similarity = _similarities(texts, pairs, spill)
    close = similarity >= threshold
    highest = np.zeros(len(texts))
    for side in (0, 1):
        np.maximum.at(highest, pairs[:, side], similarity)
    return _components(len(texts), pairs[close]), highest


def band_keys(texts: Sequence[str]) -> U64:
    """The keys of each text's bands, as a matrix of texts by bands: nearly equal texts share some."""
    banded = minhash(*shingles(texts)).reshape(len(texts), BANDS, BAND_ROWS).astype(np.uint64)
    key = banded[:, :, 0].copy()
    for row in range(1, BAND_ROWS):
        key = words.mix(key) + banded[:, :, row]
    return words.mix(key)


def shingles(texts: Sequence[str]) -> tuple[U32, I64]:
    """The hashed runs of words of each text, and where each text's begin.

    A text of fewer words than a run is one shingle, itself, signs included: short questions differ by them.
    """
    cut = words.cut(texts)
    hashes, firsts = words.ngrams(cut, _SHINGLE)
    counts = np.maximum(cut.count() - _SHINGLE + 1, 0)
    short = np.flatnonzero(counts == 0)
    if short.size:
        whole = [
            xxhash.xxh3_64_intdigest(words.question_key(texts[i]).encode("utf-8", "replace")) for i in short
        ]
        hashes = np.insert(hashes, np.searchsorted(firsts, cut.begin[short]), np.array(whole, np.uint64))
        counts[short] = 1
    return (hashes >> np.uint64(32)).astype(np.uint32), np.concatenate(([0], np.cumsum(counts)))


def _distinct(hashed: U32, begin: I64) -> tuple[U32, I64]:
    """The different shingles of each text, sorted, one text after the other, and how many each has."""
    text = np.repeat(np.arange(len(begin) - 1, dtype=np.uint64), np.diff(begin))
    keys = np.sort((text << np.uint64(32)) | hashed)
    keys = keys[np.concatenate(([True], keys[1:] != keys[:-1]))]
    counts = np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=len(begin) - 1)
    return keys.astype(np.uint32), counts


def minhash(hashed: U32, begin: I64) -> U32:
    """The signature of each text: the lowest value in each of the bins, as a matrix of texts by bins."""
    size = len(begin) - 1
    text = np.repeat(np.arange(size, dtype=np.int64), np.diff(begin))
    bins = ((hashed.astype(np.uint64) * np.uint64(BINS)) >> np.uint64(32)).astype(np.int64)
    values = (hashed * np.uint32(0x9E3779B1)) & np.uint32(0xFFFFFFFE)  # never the mark of an empty bin
    flat = np.full(size * BINS, _EMPTY, np.uint32)
    np.minimum.at(flat, text * BINS + bins, values)
    own = flat.reshape(size, BINS)
    signature = own.copy()
    rows, empty = np.nonzero(own == _EMPTY)
    attempt = 0
    while rows.size:
        attempt += 1
        seeds = (empty.astype(np.uint64) << np.uint64(32)) | np.uint64(attempt)
        lent = own[rows, (words.mix(seeds) % np.uint64(BINS)).astype(np.int64)]
        filled = lent != _EMPTY
        signature[rows[filled], empty[filled]] = lent[filled]
        rows, empty = rows[~filled], empty[~filled]
    return signature


def _candidates(keys: U64) -> I64:
    """Pairs of texts that share a band: each with the first and with the previous one in its bucket."""
    found = [np.empty(0, np.int64)]
    size = len(keys)
    for band in range(BANDS):
        column = keys[:, band]
        order = np.argsort(column, kind="stable")
        equal = column[order[1:]] == column[order[:-1]]
        second = np.flatnonzero(equal) + 1
        head = np.maximum.accumulate(np.where(np.concatenate(([True], ~equal)), np.arange(size), 0))
        found += [order[head[second]] * size + order[second], order[second - 1] * size + order[second]]
        if len(found) > 16:
            found = [np.unique(np.concatenate(found))]
    merged = np.unique(np.concatenate(found))
    return np.stack([merged // size, merged % size], axis=1)


class ShingleSets:
    """The shingle sets of some of the texts, in a file instead of memory."""

    def __init__(self, texts: Batches, wanted: NDArray[np.bool_], path: Path) -> None:
        """`path` is written; `close` removes it."""
        self._path = path
        lengths = np.zeros(len(texts), np.int64)
        at = 0
        with disk_errors(path), path.open("wb") as file:
            for batch in texts:
                chosen = wanted[at : at + len(batch)]
                picked = [text for text, take in zip(batch, chosen, strict=True) if take]
                if picked:
                    values, counts = _distinct(*shingles(picked))
                    lengths[at + np.flatnonzero(chosen)] = counts
                    file.write(values.tobytes())
                at += len(batch)
        self._begin = np.concatenate(([0], np.cumsum(lengths)))
        self._stored = np.memmap(path, np.uint32, "r") if self._begin[-1] else np.empty(0, np.uint32)

    def similarity(self, one: int, other: int) -> float:
        """The Jaccard similarity of two texts, 0 to 1."""
        a = self._stored[self._begin[one] : self._begin[one + 1]]
        b = self._stored[self._begin[other] : self._begin[other + 1]]
        merged = np.sort(np.concatenate((a, b)))
        shared = int(np.count_nonzero(merged[1:] == merged[:-1]))
        return shared / (len(merged) - shared)

    def close(self) -> None:
        del self._stored
        self._path.unlink()


def _similarities(texts: Batches, pairs: I64, spill: Path) -> NDArray[np.float64]:
    """The true similarity of each pair."""
    wanted = np.zeros(len(texts), np.bool_)
    wanted[pairs.ravel()] = True
    sets = ShingleSets(texts, wanted, spill)
    similarity = np.array([sets.similarity(one, other) for one, other in pairs.tolist()], np.float64)
    sets.close()
    return similarity


def _components(size: int, pairs: Iterable[NDArray[np.int64]]) -> I64:
    """For each of `size` things the lowest one that pairs connect it to."""
    parent = list(range(size))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for one, other in pairs:
        low, high = sorted((root(int(one)), root(int(other))))
        parent[high] = low
    return np.array([root(node) for node in range(size)], np.int64)
