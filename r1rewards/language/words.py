"""The words of a text, counted by writing system: a few passes of numpy over its code points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from r1rewards.language.scripts import (
    CHARS_PER_WORD,
    CLASS,
    DOT,
    GREEK,
    HAN,
    KANA,
    LATIN,
    STOP,
    code_points,
    table,
)

#: A sentence is Japanese where at least this share of its Han and kana is kana, and its runs of Han are this
#: short on average: Japanese words in a Chinese sentence do not make it Japanese.
JAPANESE_KANA, JAPANESE_RUN = 0.3, 3.0
#: A sentence of at least so many Han characters without kana is Chinese also within Japanese text.
CHINESE_HAN = 6

_PER_CLASS = np.ones(256)
for _name, _chars in CHARS_PER_WORD.items():
    _PER_CLASS[CLASS[_name]] = _chars
_CONTINUOUS = _PER_CLASS != 1.0
_EAST_ASIAN = np.zeros(256, bool)
_EAST_ASIAN[[CLASS[HAN], CLASS[KANA]]] = True
_SPACES = np.zeros(0x110000, bool)
_SPACES[[9, 10, 11, 12, 13, 32, 0x85, 0xA0, 0x3000]] = True


@dataclass(frozen=True, slots=True)
class Words:
    """Runs of letters of one writing system, in order.

    points    the code points of the text, and their classes
    script    the class of each run (see `scripts.CLASS`)
    begin     where it begins in the text, and where it ends
    weight    how many words it is: 1, or its length over the mean length where no spaces set words apart
    sentence  the number of its sentence
    """

    text: str
    points: NDArray[np.uint32]
    classes: NDArray[np.uint8]
    script: NDArray[np.uint8]
    begin: NDArray[np.intp]
    end: NDArray[np.intp]
    weight: NDArray[np.float64]
    sentence: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.script)

    def at(self, index: int) -> str:
        return self.text[self.begin[index] : self.end[index]]


def words_of(text: str) -> Words:
    """Find the words of a text."""
    points = code_points(text)
    classes = table().take(points)
    change = np.ones(len(classes) + 1, bool)
    np.not_equal(classes[1:], classes[:-1], out=change[1:-1])
    bounds = change.nonzero()[0]
    kinds = classes[bounds[:-1]]
    letters = (kinds > STOP).nonzero()[0]
    begin, end = bounds[letters], bounds[letters + 1]
    script = kinds[letters]
    weight = np.ones(len(script))
    continuous = _CONTINUOUS[script].nonzero()[0]
    weight[continuous] = (end - begin)[continuous] / _PER_CLASS[script[continuous]]
    ends = kinds == STOP
    dots = (kinds[:-1] == DOT).nonzero()[0]
    ends[dots[_SPACES[points[bounds[dots + 1]]]]] = True
    return Words(text, points, classes, script, begin, end, weight, np.cumsum(ends)[letters])


def resolve_han(words: Words) -> NDArray[np.uint8]:
    """The scripts, with the Han of Japanese sentences given to kana, so that Han means Chinese.

    A short sentence without kana goes with the text: Japanese where the text is.
    """
    script = words.script
    han, kana = script == CLASS[HAN], script == CLASS[KANA]
    if not (han.any() and kana.any()):
        return script
    length = words.end - words.begin
    count = int(words.sentence[-1]) + 1
    n_han = np.bincount(words.sentence, np.where(han, length, 0), count)
    n_kana = np.bincount(words.sentence, np.where(kana, length, 0), count)
    runs = np.bincount(words.sentence[han], minlength=count)
    japanese = (n_kana >= JAPANESE_KANA * np.maximum(n_han + n_kana, 1)) & (n_han <= JAPANESE_RUN * runs)
    if n_kana.sum() >= JAPANESE_KANA * (n_han + n_kana).sum():
        japanese |= (n_kana == 0) & (n_han < CHINESE_HAN)
    return np.where(han & japanese[words.sentence], np.uint8(CLASS[KANA]), script)


def single_letters(words: Words) -> NDArray[np.bool_]:
    """The Latin and Greek runs of one letter: variables, labels, and what an apostrophe cuts off."""
    letters = (words.script == CLASS[LATIN]) | (words.script == CLASS[GREEK])
    single: NDArray[np.bool_] = letters & (words.end - words.begin == 1)
    return single


#: Letters of a window in the search for repetition: four or five words, of Han and kana eight characters.
_WINDOW, _WINDOW_EAST_ASIAN = 20, 8
#: How often a window may stand in a text before it counts as repetition.
_ALLOWED = 3
_MIX = np.uint64(0x9E3779B97F4A7C15)


def repetition(words: Words) -> float:
    """The share of the text, 0 to 1, that only repeats what stood there three times before.

    Windows of letters are hashed and counted, first in a table small enough to be fast, where different
    ones may meet, then those that seem to repeat by their whole hashes. Nothing is random.
    """
    kept = words.classes > STOP
    letters = words.points[kept].astype(np.uint64)
    east_asian = _EAST_ASIAN[words.classes[kept]]
    size = _WINDOW_EAST_ASIAN if 2 * np.count_nonzero(east_asian) > len(letters) else _WINDOW
    n = len(letters) - size + 1
    if n <= _ALLOWED:
        return 0.0
    shift = np.uint64(64 - max(10, (4 * n).bit_length()))
    hashes = _window_hashes(letters, size)
    cells = (hashes >> shift).astype(np.intp)
    suspects = hashes[np.bincount(cells)[cells] > _ALLOWED]
    if not len(suspects):
        return 0.0
    counts = np.unique(suspects, return_counts=True)[1]
    return float(np.maximum(counts - _ALLOWED, 0).sum() / n)


def _window_hashes(letters: NDArray[np.uint64], size: int) -> NDArray[np.uint64]:
    """A hash of each window of `size` letters: of the two halves' hashes, down to the letters."""
    if size == 1:
        return letters * _MIX
    half = size // 2
    halves = _window_hashes(letters, half)
    hashes = (halves[:-half] ^ (halves[:-half] >> np.uint64(29))) * _MIX + halves[half:]
    if size % 2:
        hashes = (hashes[:-1] ^ (hashes[:-1] >> np.uint64(29))) * _MIX + letters[size - 1 :]
    return hashes * _MIX


#: The fewest different words in a text of n of them, as a factor and a power of n: about half of what plain
#: texts have.
_FEWEST, _GROWTH = 1.8, 0.55


def monotony(words: Words) -> float:
    """The share, 0 to 1, of different words, or of different characters of Han and kana, that a text lacks.

    A few words drawn again and again in any order are no text, though no stretch of it need come twice.
    """
    east_asian = _EAST_ASIAN[words.script]
    spaced = ~(east_asian | _CONTINUOUS[words.script])
    length = words.end - words.begin
    if int(length[east_asian].sum()) > int(length[spaced].sum()):
        letters = words.points[(words.classes == CLASS[HAN]) | (words.classes == CLASS[KANA])]
        seen = np.zeros(0x30000, bool)
        seen[np.minimum(letters, len(seen) - 1)] = True
        total, different = len(letters), int(np.count_nonzero(seen))
    else:
        total = int(spaced.sum())
        different = len(np.unique(_word_hashes(words)[spaced])) if total else 0
    return max(0.0, 1.0 - different / (_FEWEST * total**_GROWTH)) if total > 20 else 0.0


def _word_hashes(words: Words) -> NDArray[np.uint64]:
    """A number for each word: of its letters and where in it they stand."""
    starts = np.zeros(len(words.points), np.intp)
    starts[words.begin] = words.begin
    place = (np.arange(len(words.points)) - np.maximum.accumulate(starts)).astype(np.uint64)
    letters = ((words.points.astype(np.uint64) | np.uint64(0x20)) + (place << np.uint64(24))) * _MIX
    letters = (letters ^ (letters >> np.uint64(29))) * _MIX
    letters[words.classes <= STOP] = 0
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(letters)))
    hashes: NDArray[np.uint64] = sums[words.end] - sums[words.begin]
    return hashes
