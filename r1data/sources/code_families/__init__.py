"""Families of small Python functions: how each is asked for, its solution, and the same again as a check.

`body` is what a model should write; `result` computes the expected outputs without running any text, so
that the two are independent and the sandbox can hold one against the other.
"""

from __future__ import annotations

from r1data.sources.code_families import lists, numbers, texts
from r1data.sources.code_families.family import ARGUMENTS, EMPTY, PARAMS, Family

__all__ = ["ARGUMENTS", "EMPTY", "FAMILIES", "PARAMS", "Family"]

FAMILIES: dict[str, Family] = {**numbers.FAMILIES, **lists.FAMILIES, **texts.FAMILIES}
