"""Writing systems: which letters belong to which, and which languages each decides alone."""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

from r1rewards.core.errors import UserError

#: Classes of characters that are no letters. A dot ends a sentence only before white space.
OTHER, DOT, STOP = 0, 1, 2

LATIN, GREEK, HAN, KANA = "latin", "greek", "han", "kana"

#: Code points of each writing system; within them only letters and marks count. Order gives the class.
_RANGES: dict[str, tuple[tuple[int, int], ...]] = {
    LATIN: ((0x41, 0x5A), (0x61, 0x7A), (0xAA, 0x2AF), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF)),
    HAN: ((0x3005, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF)),
    KANA: ((0x3041, 0x309F), (0x30A1, 0x30FF), (0x31F0, 0x31FF)),
    "hangul": ((0x1100, 0x11FF), (0x3131, 0x318E), (0xA960, 0xA97F), (0xAC00, 0xD7FB)),
    GREEK: ((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "cyrillic": ((0x400, 0x52F), (0x1C80, 0x1C8F), (0x2DE0, 0x2DFF), (0xA640, 0xA69F)),
    "armenian": ((0x530, 0x58F),),
    "hebrew": ((0x590, 0x5FF),),
    "arabic": ((0x600, 0x6FF), (0x750, 0x77F), (0x8A0, 0x8FF)),
    "devanagari": ((0x900, 0x97F), (0xA8E0, 0xA8FF)),
    "bengali": ((0x980, 0x9FF),),
    "gurmukhi": ((0xA00, 0xA7F),),
    "gujarati": ((0xA80, 0xAFF),),
    "oriya": ((0xB00, 0xB7F),),
    "tamil": ((0xB80, 0xBFF),),
    "telugu": ((0xC00, 0xC7F),),
    "kannada": ((0xC80, 0xCFF),),
    "malayalam": ((0xD00, 0xD7F),),
    "sinhala": ((0xD80, 0xDFF),),
    "thai": ((0xE00, 0xE7F),),
    "lao": ((0xE80, 0xEFF),),
    "tibetan": ((0xF00, 0xFFF),),
    "myanmar": ((0x1000, 0x109F),),
    "georgian": ((0x10A0, 0x10FF), (0x1C90, 0x1CBF)),
    "ethiopic": ((0x1200, 0x139F),),
    "khmer": ((0x1780, 0x17FF),),
    "mongolian": ((0x1800, 0x18AF),),
}
_NAMES = [*_RANGES, "other"]

#: The class of each writing system in `table()`; "other" is every letter of any other one.
CLASS: dict[str, int] = {name: at for at, name in enumerate(_NAMES, start=STOP + 1)}
SCRIPT: dict[int, str] = {at: name for name, at in CLASS.items()}

#: Characters per word where words are not set apart by spaces. Han and kana: the mean over segmented
#: modern prose and word problems; the others are rounder.
CHARS_PER_WORD: dict[str, float] = {
    HAN: 1.7,
    KANA: 1.75,
    "thai": 4.0,
    "lao": 4.0,
    "khmer": 4.5,
    "myanmar": 4.5,
}

#: The writing systems that decide a language on their own. Languages that share one are not told apart.
DECIDED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("zh", "yue", "wuu"), (HAN,)),
    "ja": (KANA, HAN),
    "ko": ("hangul",),
    **dict.fromkeys(("ru", "uk", "be", "bg", "mk", "kk", "ky", "mn", "tg"), ("cyrillic",)),
    **dict.fromkeys(("ar", "fa", "ur", "ps", "ug", "ckb", "sd"), ("arabic",)),
    **dict.fromkeys(("hi", "mr", "ne", "sa"), ("devanagari",)),
    **dict.fromkeys(("bn", "as"), ("bengali",)),
    **dict.fromkeys(("he", "yi"), ("hebrew",)),
    **dict.fromkeys(("am", "ti"), ("ethiopic",)),
    "el": ("greek",),
    "hy": ("armenian",),
    "ka": ("georgian",),
    "pa": ("gurmukhi",),
    "gu": ("gujarati",),
    "or": ("oriya",),
    "ta": ("tamil",),
    "te": ("telugu",),
    "kn": ("kannada",),
    "ml": ("malayalam",),
    "si": ("sinhala",),
    "th": ("thai",),
    "lo": ("lao",),
    "bo": ("tibetan",),
    "my": ("myanmar",),
    "km": ("khmer",),
}


def language_code(tag: str) -> str:
    """The bare code of a language tag: "zh-CN" and "zh_hans" are "zh"."""
    code = tag.strip().lower().replace("_", "-").partition("-")[0]
    if not code.isascii() or not code.isalpha() or not 2 <= len(code) <= 3:
        raise UserError(f"{tag!r} is not a language code; write one like 'en', 'zh' or 'pt-BR'")
    return code


def code_points(text: str) -> NDArray[np.uint32]:
    """The code points of a text; half of a surrogate pair becomes a question mark."""
    return np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)


@cache
def table() -> NDArray[np.uint8]:
    """The class of every code point: one look-up classifies a whole text."""
    classes = np.zeros(0x110000, np.uint8)
    for point in range(0x80, 0x20000):
        if unicodedata.category(chr(point))[0] == "L":
            classes[point] = CLASS["other"]
    for name, ranges in _RANGES.items():
        for first, last in ranges:
            if name == HAN:
                classes[first : last + 1] = CLASS[name]
                continue
            for point in range(first, last + 1):
                if unicodedata.category(chr(point))[0] in "LM":
                    classes[point] = CLASS[name]
    classes[ord(".")] = DOT
    classes[[ord(mark) for mark in "\n!?;…。！？；।۔؟"]] = STOP
    # The middle dot and the half-width voicing marks join words; they are no words.
    classes[[0x30FB, 0x3006]] = OTHER
    return classes
