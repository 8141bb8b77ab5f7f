"""Pairs in which length tells nothing: as many chosen answers are longer than the other as are shorter.

How DeepSeek-R1 matched lengths is not published. Here pairs are put in bins by the ratio of the two lengths,
and of each bin as many stay as of the one with the ratio turned around; answers of about equal length always
stay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

#: Width of a bin of length ratios, in powers of two; within half of it lengths count as equal.
_BIN = 0.25


def length_bin(chosen: str, rejected: str) -> int:
    """The bin of the ratio of lengths, positive where the chosen answer is the longer one."""
    return round(math.log2(max(len(chosen) / max(1, len(rejected)), 1e-9)) / _BIN)


def matched(bins: Sequence[int]) -> list[bool]:
    """Which pairs stay, told by the bin of each; of a bin with too many the first ones do."""
    numbers: dict[int, list[int]] = {}
    for number, ratio in enumerate(bins):
        numbers.setdefault(ratio, []).append(number)
    gone = {n for ratio, members in numbers.items() if ratio for n in members[len(numbers.get(-ratio, ())) :]}
    return [number not in gone for number in range(len(bins))]
