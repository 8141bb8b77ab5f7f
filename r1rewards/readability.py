"""Can a person read the response? The measures behind R1's filters, as plain functions.

Cold start and rejection sampling drop traces with repetition, mixed languages, long paragraphs and code
blocks in the thinking, and unclosed ones (arXiv 2501.12948, sections 2.3.1 and 2.3.3). The thresholds are
not published; the defaults here are ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from r1rewards.core.reward import Reward, Sample
from r1rewards.core.template import Template, Trace, get_template
from r1rewards.core.verdict import Verdict

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)", re.MULTILINE)
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
#: Lines shorter than this repeat without harm: braces, bullets, "x = 2".
_LINE_CHARS = 12


#: Characters that are words by themselves: of scripts that set no words apart.
_ALONE = re.compile(r"[\u0e00-\u0eff\u3005-\u30ff\u3400-\u9fff\U00020000-\U000323af]+")
_LETTERS, _SIGNS = re.compile(r"[^\W_]+"), re.compile(r"[^\w\s]+")
_CODE_POINTS = 0x323B0  # of those beyond, none is a letter
_BASE = 0x9E3779B97F4A7C15
_BETWEEN, _LETTER, _WORD = 0, 1, 2


@cache
def _kinds() -> NDArray[np.uint8]:
    """For every code point whether it parts words, belongs to one or is one."""
    kinds = np.full(_CODE_POINTS + 1, _BETWEEN, np.uint8)
    kinds[-1] = _WORD
    every = "".join(map(chr, range(_CODE_POINTS)))
    for pattern, kind in ((_LETTERS, _LETTER), (_SIGNS, _WORD), (_ALONE, _WORD)):
        for run in pattern.finditer(every):
            kinds[run.start() : run.end()] = kind
    return kinds


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _kinds_of(codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
    return _kinds().take(codes, mode="clip")


def _word_starts(kinds: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which characters begin a word, given their kinds."""
    starts: NDArray[np.bool_] = kinds == _WORD
    letters = kinds == _LETTER
    starts |= letters
    starts[1:] &= ~(letters[1:] & letters[:-1])
    return starts


@lru_cache(maxsize=2)  # the measures of one text are asked for one after the other
def _word_hashes(text: str) -> NDArray[np.uint64]:
    """A number of 64 bits for each word, equal for equal words: a polynomial in its characters.

    All at once: the sums over prefixes of the text, of which a word's is the difference of two.
    """
    codes = _code_points(text)
    kinds = _kinds_of(codes)
    start = _word_starts(kinds).nonzero()[0]
    inside = kinds != _BETWEEN
    begins = np.zeros(len(codes) + 1, np.bool_)
    begins[start] = True
    begins[-1] = True
    ends = begins[1:].copy()
    ends[:-1] |= ~inside[1:]
    end = (ends & inside).nonzero()[0] + 1
    powers, inverse = _powers(max(1024, 1 << len(codes).bit_length()))
    mixed = codes * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(29)
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(mixed * powers[: len(codes)], out=sums[1:])
    hashes: NDArray[np.uint64] = (sums[end] - sums[start]) * inverse[start]
    return hashes ^ (hashes >> np.uint64(32))


@lru_cache(maxsize=2)
def _powers(size: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The powers of an odd number from the 0th on, and those of its inverse, modulo 2^64."""
    factors = np.ones((2, size), np.uint64)
    factors[0, 1:], factors[1, 1:] = _BASE, pow(_BASE, -1, 1 << 64)
    powers, inverse = np.multiply.accumulate(factors, axis=1)
    return powers, inverse


def _grams(text: str, n: int) -> NDArray[np.uint64]:
    """A number for each run of n words, equal for equal runs; empty where there are fewer words."""
    hashes = _word_hashes(text)
    size = max(0, len(hashes) - n + 1)
    rolled = hashes[:size].copy()
    for shift in range(1, n):
        rolled = rolled * np.uint64(0xC2B2AE3D27D4EB4F) + hashes[shift : shift + size]
    return rolled


def ngram_repetition(text: str, n: int = 6) -> float:
    """The share, 0 to 1, of word n-grams that stood in the text before."""
    grams = _grams(text, n)
    grams.sort()
    return np.count_nonzero(grams[1:] == grams[:-1]) / len(grams) if len(grams) else 0.0


@dataclass(frozen=True, slots=True)
class Loop:
    """A stretch of a text that repeats itself at once: `words` long in all, the same `period` words again."""

    words: int
    period: int

    @property
    def repeats(self) -> float:
        return self.words / self.period if self.period else 0.0


def longest_loop(text: str) -> Loop:
    """The longest stretch in which the same words come again and again, at least twice; linear in the text.

    Where each word has, four words deep, the same distance to where it last stood, the text is periodic.
    """
    grams = _grams(text, 4)
    if not len(grams):
        return Loop(0, 0)
    # Each with its place in its low bits: sorted as plain numbers, equal ones are neighbours in their order.
    bits = np.uint64(len(grams).bit_length())
    placed = grams >> bits << bits
    placed |= np.arange(len(grams), dtype=np.uint64)
    placed.sort()
    again = (placed[1:] >> bits == placed[:-1] >> bits).nonzero()[0]
    if not len(again):
        return Loop(0, 0)
    distances = np.zeros(len(grams), np.int64)
    later, earlier = placed[again + 1], placed[again]
    distances[later & ((np.uint64(1) << bits) - np.uint64(1))] = later - earlier
    bounds = np.zeros(len(grams) + 1, np.bool_)
    bounds[[0, -1]] = True
    np.not_equal(distances[1:], distances[:-1], out=bounds[1:-1])
    ends = bounds.nonzero()[0]
    starts = ends[:-1]
    lengths = ends[1:] - starts + 3
    periods = distances[starts]
    words = np.where((periods > 0) & (lengths >= periods), lengths + periods, 0)
    best = int(words.argmax())
    return Loop(int(words[best]), int(periods[best])) if words[best] else Loop(0, 0)


def repeated_lines(text: str) -> float:
    """The share, 0 to 1, of the lines of some length that stood in the text before."""
    lines = [line for line in map(str.strip, text.splitlines()) if len(line) >= _LINE_CHARS]
    return 1.0 - len(set(lines)) / len(lines) if lines else 0.0


def longest_paragraph(text: str) -> int:
    """The words of the longest paragraph; empty lines set them apart, and fenced code is none."""
    prose = "".join(_outside_fences(text))
    starts = _word_starts(_kinds_of(_code_points(prose))).nonzero()[0]
    bounds = [0, *(gap.start() for gap in _PARAGRAPH.finditer(prose)), len(prose)]
    before = starts.searchsorted(bounds)
    return int((before[1:] - before[:-1]).max())


def code_blocks(text: str) -> int:
    """How many fenced code blocks are opened."""
    return (len(_fences(text)) + 1) // 2


def _fences(text: str) -> list[re.Match[str]]:
    # Most texts have none, which a search for plain characters tells much sooner.
    return list(_FENCE.finditer(text)) if "```" in text or "~~~" in text else []


def _outside_fences(text: str) -> list[str]:
    """The text outside fences; an unclosed fence takes the rest."""
    fences = _fences(text)
    starts = [0, *(fence.end() for fence in fences[1::2])]
    ends = [*(fence.start() for fence in fences[0::2]), len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=False)]


def truncated(trace: Trace, finish_reason: str | None = None) -> bool:
    """Whether the response broke off: at the token limit, or inside its thinking or its answer."""
    return finish_reason == "length" or bool({"unclosed_reasoning", "unclosed_answer"} & set(trace.faults))


def mixed_languages(text: str, target: str | None = None) -> float | None:
    """The share, 0 to 1, of words that are not in the target language, or in that of the text.

    None where there are too few words to tell.
    """
    from r1rewards import language

    wanted = target or language.language_of(text)
    if wanted is None:
        return None
    found = language.share(text, wanted, repeated=False)
    return 1.0 - found.target / found.words if found.words >= language.MIN_WORDS else None


@dataclass(frozen=True)
class Limits:
    """What a readable response may have; each is inclusive, and None means no limit.

    repetition       share of repeated word 6-grams, 0 to 1
    loop_words       words of the longest loop of three rounds or more
    repeated_lines   share of repeated lines, 0 to 1
    paragraph_words  words of the longest paragraph of the thinking
    code_blocks      fenced blocks in the thinking
    mixed            share of words of other languages in the thinking, 0 to 1
    """

    repetition: float | None = 0.4
    loop_words: int | None = 40
    repeated_lines: float | None = 0.4
    paragraph_words: int | None = 600
    code_blocks: int | None = 0
    mixed: float | None = 0.1


def check(
    response: str,
    *,
    template: str | Template = "think-answer",
    prefilled: bool = False,
    target: str | None = None,
    finish_reason: str | None = None,
    limits: Limits | None = None,
) -> Verdict:
    """1 where nothing stands in a reader's way, else 0; the faults by name, the measures in the details.

    target         the language wanted; None means the one that most of the thinking is in.
    finish_reason  "length" where the sampler cut the response off.
    """
    trace = get_template(template).parse(response, prefilled=prefilled)
    return _judge(response, trace, target, finish_reason, limits or Limits())


def _judge(text: str, trace: Trace, target: str | None, finish_reason: str | None, limits: Limits) -> Verdict:
    # A response without tags is read as one piece.
    thinking = trace.reasoning or text
    loop = longest_loop(text)
    measures: dict[str, float | None] = {
        "repetition": ngram_repetition(text),
        "loop_words": loop.words if loop.repeats >= 3 else 0,
        "repeated_lines": repeated_lines(text),
        "paragraph_words": longest_paragraph(thinking),
        "code_blocks": code_blocks(thinking),
        "mixed": mixed_languages(thinking, target) if limits.mixed is not None else None,
    }
    faults = ["truncated"] if truncated(trace, finish_reason) else []
    for name, value in measures.items():
        limit = getattr(limits, name)
        if limit is not None and value is not None and value > limit:
            faults.append(name)
    rounded = {name: value if value is None else round(value, 4) for name, value in measures.items()}
    if not faults:
        return Verdict.of(1.0, "readable", "readable", faults=[], **rounded)
    told = [name if name == "truncated" else f"{name} {measures[name]:.3g}" for name in faults]
    return Verdict.of(0.0, "; ".join(told), faults[0], faults=faults, **rounded)


class ReadabilityReward(Reward):
    """`check` on the parsed response, for every task. R1 filters by this; it does not train on it."""

    def __init__(
        self,
        repetition: float | None = Limits.repetition,
        loop_words: int | None = Limits.loop_words,
        repeated_lines: float | None = Limits.repeated_lines,
        paragraph_words: int | None = Limits.paragraph_words,
        code_blocks: int | None = Limits.code_blocks,
        mixed: float | None = Limits.mixed,
    ) -> None:
        self._limits = Limits(repetition, loop_words, repeated_lines, paragraph_words, code_blocks, mixed)

    def check(self, sample: Sample) -> Verdict:
        return _judge(sample.text, sample.trace, sample.language, sample.finish_reason, self._limits)
