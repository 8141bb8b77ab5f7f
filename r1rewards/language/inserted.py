"""Words of another language inside the sentences of one: few letters each, told by what they add up to.

A detector names a sentence by what most of its words are. Here each word is weighed by langdetect's profiles
in the language of its sentence against one other; how often the other is expected is fitted to the text, so
that a word that looks foreign counts where more of its kind stand, and a name or a rare term alone does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from r1rewards.language.detect import (
    LATIN_LANGUAGES,
    Profiles,
    detector_named,
    function_words,
    languages_of_function_words,
)
from r1rewards.language.remembered import Remembered

#: Too near each other to tell single words apart.
_CLOSE = {frozenset(("es", "pt"))}
#: The letters of a word count about twice, in its pairs and triples.
_OVERCOUNT = 2.0
#: What a word can say at most, and what a capital takes off: names look like another language (natural log).
_MOST, _CAPITAL = 15.0, 5.0
#: What a function word of the other language says at least, and one of the sentence's own language at most.
_SURE, _OWN = 8.0, -10.0
#: How much likelier the text must get: by so much, and so much for each of its words (natural log).
_GAIN, _GAIN_OF_WORD = 18.0, 0.06
#: Languages whose own texts are full of words of others.
_BORROWING = frozenset({"sw"})
#: A share of words below this is noise.
_LEAST = 0.04
#: The least and the most that the fitted share may be, and where the tangent touches that bounds the gain.
_LOW, _HIGH, _TANGENT = 1e-4, 0.5, 0.1


def inserted(said: Sequence[str], language: str, wanted: str | None = None) -> tuple[str, list[int]] | None:
    """The language of words that do not belong among these, and their places; None where there are none.

    said      the words of sentences that a detector finds to be in `language`, as they are written.
    wanted    look for words of this language only, instead of for those of any.

    None too where a language has no list of function words: nothing here was tried with it.
    """
    others, _ = _others(language, wanted)
    if not said or not others:
        return None
    counts = Counter(said)
    weight = np.fromiter(counts.values(), np.float32, len(counts))
    enough = _GAIN + _GAIN_OF_WORD * len(said)
    if (
        _bound(_tangents(language, wanted).rows(counts), weight) < enough - 1.0
    ):  # more than rounding makes of it
        return None
    foreign, gain = _fit(_odds(list(counts), language, wanted), weight)
    best = int(gain.argmax())
    if gain[best] < enough:
        return None
    chosen = {word for word, chance in zip(counts, foreign[:, best].tolist(), strict=True) if chance > 0.5}
    marked = [place for place, word in enumerate(said) if word in chosen]
    return (others[best], marked) if len(marked) >= _LEAST * len(said) else None


@cache
def _others(language: str, wanted: str | None) -> tuple[list[str], NDArray[np.intp]]:
    """The languages whose words are looked for, and their columns; none for a language that was not tried."""
    lists = function_words()
    tried = language in lists and language not in _BORROWING
    others = [
        code
        for code in lists
        if tried and wanted in (None, code) and code != language and frozenset((code, language)) not in _CLOSE
    ]
    return others, np.array([LATIN_LANGUAGES.index(code) for code in others], np.intp)


def _odds(words: Sequence[str], language: str, wanted: str | None) -> NDArray[np.float32]:
    """How many times likelier each word (row) is in each other language (column) than in its sentence's."""
    others, columns = _others(language, wanted)
    lowered = [word.lower() for word in words]
    profiles = detector_named("profiles")
    assert isinstance(profiles, Profiles)
    scores = profiles.word_scores(lowered)
    own = LATIN_LANGUAGES.index(language)
    says = scores.take(columns, axis=1) - scores[:, own : own + 1]
    says = np.minimum(np.maximum(says, -_MOST), _MOST)
    known = languages_of_function_words()
    column = {code: at for at, code in enumerate(others)}
    found = [(row, codes) for row, codes in enumerate(map(known.get, lowered)) if codes]
    sure = [(row, column[code]) for row, codes in found for code in codes if code in column]
    if sure:
        cells = tuple(np.array(sure).T)
        says[cells] = np.maximum(says[cells], _SURE)
    says[[row for row, codes in found if language in codes]] = _OWN
    says[[row for row, word in enumerate(words) if word[0].isupper()]] -= _CAPITAL
    odds: NDArray[np.float32] = np.exp(says / np.float32(_OVERCOUNT))
    return odds


@lru_cache(maxsize=8)  # each holds up to 20 MB; texts in more languages than that are rare
def _tangents(language: str, wanted: str | None) -> Remembered:
    """Of each word what it adds to the gain where the tangent touches, then the slope there."""

    def work_out(words: Sequence[str]) -> NDArray[np.float32]:
        odds = _odds(words, language, wanted)
        grown = 1.0 + _TANGENT * (odds - 1.0)
        return np.concatenate((np.log(grown), (odds - 1.0) / grown), axis=1)

    return Remembered(work_out)


def _bound(tangents: NDArray[np.float32], weight: NDArray[np.float32]) -> float:
    """What no gain of `_fit` exceeds: it is concave in the share, so it lies below its tangents."""
    gain, slope = (weight @ tangents).reshape(2, -1)
    return float((gain + np.maximum((_LOW - _TANGENT) * slope, (_HIGH - _TANGENT) * slope)).max())


def _fit(
    odds: NDArray[np.float32], weight: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """For each word (row) and other language (column) the chance that it is in it, and the gain of each.

    The share of the other language is fitted by expectation maximization, from a small one upwards; `weight`
    is how often each word stands in the text.
    """
    share = np.full(odds.shape[1], 0.03, np.float32)
    part = weight / weight.sum()
    for _ in range(8):
        chance = share * odds
        chance /= chance + (1.0 - share)
        share = np.minimum(np.maximum(np.einsum("w,wc->c", part, chance), _LOW), _HIGH)
    return chance, np.einsum("w,wc->c", weight, np.log1p(share * (odds - 1.0)))
