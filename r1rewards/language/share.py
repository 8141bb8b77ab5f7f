"""How much of a text is in one language, counted in words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import compress, pairwise

import numpy as np
from numpy.typing import NDArray

from r1rewards.core.errors import UserError
from r1rewards.language.clean import normalize, prose
from r1rewards.language.detect import (
    LATIN_LANGUAGES,
    Detector,
    detector_named,
    foreign_function_words,
    latin_code,
)
from r1rewards.language.inserted import inserted
from r1rewards.language.scripts import CLASS, DECIDED, HAN, KANA, LATIN, SCRIPT, language_code
from r1rewards.language.words import Words, monotony, repetition, resolve_han, single_letters, words_of

#: A sentence of fewer Latin words takes the language of its neighbour.
SENTENCE_WORDS = 5
_SPACE = np.uint32(ord(" "))
#: Spans of other languages that a verdict shows.
_SPANS = 8

#: Names of functions and units, which are the same in every language.
_FUNCTIONS = frozenset((
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh",
    "log", "ln", "lg", "exp", "max", "min", "sup", "inf", "lim", "gcd", "lcm", "mod", "det", "dim",
    "ker", "deg", "arg", "sgn", "sqrt", "abs", "floor", "ceil", "round", "sum", "prod", "len", "range",
    "print", "int", "str", "list", "dict", "def", "return", "mm", "cm", "km", "mg", "kg", "ml", "mph",
    "kmh", "hr", "hrs", "lb", "lbs", "oz", "ft", "sq",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Share:
    """The words of a text by language.

    target    words of the language asked for
    other     words of any other, by writing system or language
    neutral   words that belong to none: variables, function names, names copied from the prompt
    repeated  the share of the text that only repeats the rest, or that its few different words fall short;
              0 where that was not asked for
    spans     the first words or sentences of other languages
    """

    target: float
    other: dict[str, float]
    neutral: int
    repeated: float
    spans: tuple[str, ...]

    @property
    def words(self) -> float:
        return self.target + sum(self.other.values())

    @property
    def value(self) -> float:
        """Target words over all words, less what is repetition; 0 where there are no words."""
        return self.target / self.words * (1.0 - self.repeated) if self.words else 0.0


def share(
    text: str,
    target: str,
    *,
    prompt: str | None = None,
    detector: str | Detector = "profiles",
    repeated: bool = True,
) -> Share:
    """Count the words of a text that are in the target language.

    prompt    what was asked: names in it may be copied whatever their language.
    detector  what tells the languages of the Latin alphabet apart: a name of `detect.DETECTORS`, or one.
    repeated  whether to look for repetition, which takes a fifth of the time.

    Raises UserError for a target that neither a writing system nor a detector can tell.
    """
    code = language_code(target)
    if code not in DECIDED and latin_code(code) not in LATIN_LANGUAGES:
        raise UserError(f"the language {target!r} is not known; use one of {', '.join(known_languages())}")
    detector = _resolved(detector)
    words = words_of(prose(normalize(text)))
    copied = _copied(prompt, code, detector) if prompt else frozenset[str]()
    return _count(words, code, copied, detector, repeated)


def _resolved(detector: str | Detector) -> Detector:
    return detector_named(detector) if isinstance(detector, str) else detector


def known_languages() -> list[str]:
    """The codes of all languages that can be a target."""
    return sorted({*DECIDED, *LATIN_LANGUAGES})


def _count(
    words: Words, code: str, copied: frozenset[str], detector: Detector, repeated: bool = False
) -> Share:
    script = resolve_han(words)
    neutral = single_letters(words)
    scripts = DECIDED.get(code)
    other: dict[str, float] = {}
    if scripts is None:
        ours, names = _latin_sentences(words, script, neutral, latin_code(code), detector)
        for name, count in names.items():
            other[name] = float(count)
        foreign = ~ours & ~neutral
        neutral |= _named(words, foreign & (script != CLASS[LATIN]), copied)
    else:
        classes = [CLASS[KANA]] if code == "ja" else [CLASS[name] for name in scripts]
        ours = _among(script, classes) & ~neutral
        if code == "ja" and not (script == CLASS[KANA]).any():
            ours |= (script == CLASS[HAN]) & (_han_length(words, script) < 6)
        foreign = ~ours & ~neutral
        neutral |= _named(words, foreign, copied | _FUNCTIONS)
    foreign &= ~neutral
    ours &= ~neutral
    weight = words.weight
    by_class = np.bincount(script[foreign], weight[foreign], 256)
    for at in by_class.nonzero()[0]:
        name = SCRIPT[int(at)]
        if scripts is not None or name != LATIN:
            other[name] = other.get(name, 0.0) + float(by_class[at])
    return Share(
        float(weight[ours].sum()),
        {name: round(count, 2) for name, count in sorted(other.items()) if count},
        int(neutral.sum()),
        max(repetition(words), monotony(words)) if repeated else 0.0,
        _spans(words, foreign),
    )


def _among(script: NDArray[np.uint8], classes: list[int]) -> NDArray[np.bool_]:
    wanted = np.zeros(256, bool)
    wanted[classes] = True
    return wanted[script]


def _han_length(words: Words, script: NDArray[np.uint8]) -> int:
    han = script == CLASS[HAN]
    return int((words.end - words.begin)[han].sum())


def _named(words: Words, candidates: NDArray[np.bool_], names: frozenset[str]) -> NDArray[np.bool_]:
    """Which of the candidates are one of the names."""
    found = np.zeros(len(words), bool)
    if names:
        found[[i for i in candidates.nonzero()[0].tolist() if words.at(i).casefold() in names]] = True
    return found


def _latin_sentences(
    words: Words, script: NDArray[np.uint8], neutral: NDArray[np.bool_], target: str, detector: Detector
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Which words stand in a Latin sentence of the target language, and how many in any other.

    A detector sees the distinct words of a sentence: "not prime, not prime, not prime" is little evidence.
    """
    at = ((script == CLASS[LATIN]) & ~neutral).nonzero()[0]
    ours = np.zeros(len(words), bool)
    if not len(at):
        return ours, {}
    letters = np.where(words.classes == CLASS[LATIN], words.points, _SPACE)
    letters[words.begin[neutral]] = _SPACE
    spaced = letters.tobytes().decode("utf-32-le")
    written, said = spaced.split(), spaced.lower().split()
    sentence = words.sentence[at]
    bounds = [0, *((sentence[1:] != sentence[:-1]).nonzero()[0] + 1).tolist(), len(at)]
    sentences = [dict.fromkeys(said[begin:end]) for begin, end in pairwise(bounds)]
    if max(map(len, sentences)) < SENTENCE_WORDS:
        # No sentence is long enough to tell: all of them together are the best there is.
        bounds, sentences = [0, len(at)], [dict.fromkeys(said)]
    asked = [len(sentence) >= SENTENCE_WORDS or len(sentences) == 1 for sentence in sentences]
    found = iter(detector.languages(list(compress(sentences, asked)), target))
    languages = [next(found) if yes else None for yes in asked]
    _from_neighbours(languages)
    names = [latin_code(name or target) for name in languages]
    codes = list(dict.fromkeys([target, *names]))
    spoken = np.zeros(len(at), np.intp)
    for name, (begin, end) in zip(names, pairwise(bounds), strict=True):
        if name != target:
            spoken[begin:end] = codes.index(name)
    for name in dict.fromkeys(names):
        # Words of the target count also inside a sentence that is mostly in another language.
        here = (spoken == codes.index(name)).nonzero()[0]
        some = written if len(here) == len(written) else [written[index] for index in here.tolist()]
        inside = inserted(some, name, None if name == target else target)
        if inside is not None:
            spoken[here[inside[1]]] = _index(codes, inside[0])
    # With a capital it is a name: Los Angeles, triangle DE.
    strays = foreign_function_words(target)
    if not strays.keys().isdisjoint(written):
        for index, word in enumerate(written):
            if word in strays and spoken[index] == 0:
                spoken[index] = _index(codes, strays[word])
    ours[at] = spoken == 0
    counts = np.bincount(spoken, minlength=len(codes)).tolist()
    return ours, {code: count for code, count in zip(codes[1:], counts[1:], strict=True) if count}


def _index(codes: list[str], code: str) -> int:
    """The place of a code in the list, at its end if it is new."""
    if code not in codes:
        codes.append(code)
    return codes.index(code)


def _from_neighbours(languages: list[str | None]) -> None:
    """Give each undecided sentence the language before it; the first ones that after them."""
    known = next((language for language in languages if language is not None), None)
    for at, language in enumerate(languages):
        known = language or known
        languages[at] = known


def _spans(words: Words, foreign: NDArray[np.bool_]) -> tuple[str, ...]:
    """The first stretches of neighbouring foreign words."""
    at = foreign.nonzero()[0][:1000]
    if not len(at):
        return ()
    breaks = (np.diff(at) > 1).nonzero()[0] + 1
    groups = np.split(at, breaks[:_SPANS])[:_SPANS]
    return tuple(words.text[words.begin[g[0]] : words.end[g[-1]]][:80] for g in groups)


@lru_cache(maxsize=4096)
def _copied(prompt: str, code: str, detector: Detector) -> frozenset[str]:
    """The words that a response may copy: those of other languages in a prompt of this one."""
    words = words_of(prose(normalize(prompt)))
    counted = _count(words, code, frozenset(), detector)
    if 2 * counted.target < counted.words:
        return frozenset()
    script = resolve_han(words)
    scripts = DECIDED.get(code, (LATIN,))
    foreign = ~_among(script, [CLASS[name] for name in scripts])
    return frozenset(words.at(i).casefold() for i in foreign.nonzero()[0].tolist())


def language_of(text: str, detector: str | Detector = "profiles") -> str | None:
    """The language of a text: that of its commonest writing system, and of its words where that is Latin."""
    words = words_of(prose(normalize(text)))
    counted = ~single_letters(words)
    if not counted.any():
        return None
    script = resolve_han(words)
    by_class = np.bincount(script[counted], words.weight[counted], 256)
    name = SCRIPT[int(by_class.argmax())]
    if name == LATIN:
        latin = [words.at(i).lower() for i in (script == CLASS[LATIN]).nonzero()[0].tolist()]
        return _resolved(detector).languages([latin], "")[0]
    if name == KANA:
        return "ja"
    return next((code for code, scripts in DECIDED.items() if scripts == (name,)), None)
