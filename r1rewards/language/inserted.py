"""Words of another language inside the sentences of one: few letters each, told by what they add up to.

A detector names a sentence by what most of its words are. Here each word is weighed by langdetect's profiles
in the language of its sentence against one other; how often the other is expected is fitted to the text, so
that a word that looks foreign counts where more of its kind stand, and a name or a rare term alone does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from r1rewards.language.detect import LATIN_LANGUAGES, Profiles, detector_named, function_words

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


def inserted(
    said: Sequence[str], language: str, wanted: str | None = None
) -> tuple[str, NDArray[np.bool_]] | None:
    """The language of words that do not belong among these, and which they are; None where there are none.

    said      the words of sentences that a detector finds to be in `language`, as they are written.
    wanted    look for words of this language only, instead of for those of any.

    None too where a language has no list of function words: nothing here was tried with it.
    """
    lists = function_words()
    others = [
        code
        for code in lists
        if wanted in (None, code) and code != language and frozenset((code, language)) not in _CLOSE
    ]
    if not said or not others or language not in lists or language in _BORROWING:
        return None
    lowered = [word.lower() for word in said]
    at = {word: index for index, word in enumerate(dict.fromkeys(lowered))}
    profiles = detector_named("profiles")
    assert isinstance(profiles, Profiles)
    scores = profiles.scores(list(at))
    columns = [LATIN_LANGUAGES.index(code) for code in others]
    says = scores[:, columns] - scores[:, [LATIN_LANGUAGES.index(language)]]
    for column, code in enumerate(others):
        sure = [at[word] for word in lists[code] if word in at]
        says[sure, column] = np.maximum(says[sure, column], _SURE)
    says[[at[word] for word in lists[language] if word in at]] = _OWN
    capital = np.array([word[0].isupper() for word in said])
    spoken = np.clip(says, -_MOST, _MOST)[[at[word] for word in lowered]] - _CAPITAL * capital[:, None]
    foreign, gain = _fit(spoken / _OVERCOUNT)
    best = int(gain.argmax())
    marked = foreign[:, best] > 0.5
    if gain[best] < _GAIN + _GAIN_OF_WORD * len(said) or marked.mean() < _LEAST:
        return None
    return others[best], marked


def _fit(says: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each word (row) and other language (column) the chance that it is in it, and the gain of each.

    The share of the other language is fitted by expectation maximization, from a small one upwards.
    """
    share = np.full(says.shape[1], 0.03)
    for _ in range(8):
        chance = 1.0 / (1.0 + np.exp(-(says + np.log(share / (1.0 - share)))))
        share = np.clip(chance.mean(axis=0), 1e-4, 0.5)
    return chance, np.log1p(share * np.expm1(says)).sum(axis=0)
