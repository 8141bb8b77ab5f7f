"""Texts as hashed words, many texts at once: what deduplication and decontamination compare.

A word is a run of letters and digits, without regard to case; a Chinese or Japanese character is a word by
itself, because those scripts put no spaces. Everything else separates. Whole batches are cut up in numpy,
so that a 2.4 KB text costs some 20 microseconds.

The hash of a word reads its first eight and last eight bytes and its length, so words of more than sixteen
bytes that differ in the middle only are taken for equal: whoever drops a row on a match compares the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

_A, _B, _C = (np.uint64(x) for x in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))
_MASKS = np.array([(1 << (8 * n)) - 1 for n in range(9)], np.uint64)
_SEPARATOR, _LETTER, _SINGLE = 0, 1, 2
_CODE_POINTS = 0x30000
#: Texts of 2.4 KB to cut at once: their arrays then stay in a core's own cache, twice as fast as larger ones.
BATCH = 64
_ASCII_WORDS = bytes(byte < 128 and chr(byte).isalnum() for byte in range(256))
#: Scripts written without spaces: kana, Han with its extensions, compatibility ideographs.
_UNSPACED = ((0x3040, 0x3100), (0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00), (0x20000, 0x30000))


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a batch of texts, one after the other.

    hashes   64 bits per word
    text     the number of the text that each word belongs to
    begin    where in the batch each text's words begin, one entry more than there are texts
    start    first byte of each word in `buffer`, `end` the byte behind it
    buffer   the normalized texts in UTF-8
    """

    hashes: U64
    text: NDArray[np.int32]
    begin: I64
    start: I64
    end: I64
    buffer: NDArray[np.uint8]

    def count(self) -> I64:
        """How many words each text has."""
        return np.diff(self.begin)

    def word(self, index: int) -> str:
        """One word, normalized."""
        return bytes(self.buffer[self.start[index] : self.end[index]]).decode("utf-8", "replace")

    def span(self, first: int, last: int) -> str:
        """The normalized text from one word to another, both included."""
        return bytes(self.buffer[self.start[first] : self.end[last]]).decode("utf-8", "replace")


def cut(texts: Sequence[str]) -> Words:
    """The words of the texts."""
    encoded = [_encoded(text) for text in texts]
    joined = b"\n".join([*encoded, b"\0" * 8]).lower()
    buffer = np.frombuffer(joined, np.uint8)
    start, end = _boundaries(joined, buffer)
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    first = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum(lengths + 1, out=first[1:])
    begin = np.searchsorted(start, first)
    text = np.repeat(np.arange(len(encoded), dtype=np.int32), np.diff(begin))
    return Words(_hashes(buffer, start, end), text, begin, start, end, buffer)


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in batches of the size that `cut` likes."""
    for start in range(0, len(texts), BATCH):
        yield texts[start : start + BATCH]


def ngrams(words: Words, n: int) -> tuple[U64, I64]:
    """The hash of every run of n words within one text, and the index of its first word."""
    size = len(words.hashes) - n + 1
    if size <= 0:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    rolled = words.hashes[:size].copy()
    for shift in range(1, n):
        rolled *= _A
        rolled += words.hashes[shift : shift + size]
    whole = np.flatnonzero(words.text[:size] == words.text[n - 1 :])
    return mix(rolled[whole]), whole


def mix(values: U64) -> U64:
    """Spread 64-bit values evenly over their range (the finalizer of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def question_key(text: str) -> str:
    """A question without what does not make it another one: case, spacing, width, dollar signs, final stop.

    Operators and numbers stay, so `x + 3 = 0` and `x - 3 = 0` are two questions.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\s$,]+", "", folded).rstrip(".?!。:")


def _encoded(text: str) -> bytes:
    if text.isascii():
        return text.encode()
    return unicodedata.normalize("NFKC", text).casefold().encode("utf-8", "replace")


def _boundaries(joined: bytes, buffer: NDArray[np.uint8]) -> tuple[I64, I64]:
    """Where words start and end."""
    inside = np.frombuffer(bytearray(joined.translate(_ASCII_WORDS)), np.bool_)
    apart = np.zeros(len(buffer), np.bool_)
    leads = np.flatnonzero(buffer >= 0xC0)
    if leads.size:
        length, kind = _decoded(buffer, leads)
        letters = kind != _SEPARATOR
        for offset in range(4):
            inside[leads[letters & (length > offset)] + offset] = True
        singles = kind == _SINGLE
        apart[leads[singles]] = True
        apart[leads[singles] + length[singles]] = True
    before = np.empty_like(inside)
    before[0], before[1:] = False, inside[:-1]
    start = np.flatnonzero(inside & (~before | apart))
    end = np.flatnonzero(before & (~inside | apart))
    return start, end


def _decoded(buffer: NDArray[np.uint8], leads: I64) -> tuple[I64, NDArray[np.uint8]]:
    """The length in bytes and the kind of the characters that begin at `leads`."""
    lead = buffer[leads].astype(np.int64)
    length = 2 + (lead >= 0xE0) + (lead >= 0xF0)
    code = lead & (0xFF >> (length + 1))
    for offset in range(1, 4):
        more = length > offset
        code[more] = (code[more] << 6) | (buffer[leads[more] + offset] & 0x3F)
    return length, _kinds()[np.minimum(code, _CODE_POINTS)]


def _hashes(buffer: NDArray[np.uint8], start: I64, end: I64) -> U64:
    eights = np.ndarray((len(buffer) - 7,), np.dtype("<u8"), buffer, strides=(1,))
    length = end - start
    mask = _MASKS[np.minimum(length, 8)]
    head = eights[start] & mask
    tail = eights[np.maximum(end - 8, start)] & mask
    return mix(head * _A + tail * _B + length.astype(np.uint64) * _C)


@cache
def _kinds() -> NDArray[np.uint8]:
    """The kind of every code point; those beyond the table separate."""
    table = np.zeros(_CODE_POINTS + 1, np.uint8)
    letters = [code for code in range(_CODE_POINTS) if chr(code).isalnum()]
    table[letters] = _LETTER
    for first, behind in _UNSPACED:
        block = table[first:behind]
        block[block == _LETTER] = _SINGLE
    return table
