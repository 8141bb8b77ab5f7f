"""What runs in the slow tier's worker processes: LaTeX to sympy by a grammar, then algebra.

Only the ANTLR grammar of latex2sympy2_extended reads the text: nothing is passed to `sympify`,
`parse_expr` or `eval`. The parent gives this process a memory limit and kills it at the deadline.
"""

from __future__ import annotations

import re
from typing import Any

import sympy
from latex2sympy2_extended import latex2sympy


def same(gold: str, answer: str) -> bool | None:
    """True or False where algebra shows it, else None; never raises for what the texts hold."""
    if _leftover(gold) or _leftover(answer):
        return None
    try:
        left, right = latex2sympy(gold), latex2sympy(answer)
        return _same(left, right)
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception:  # noqa: BLE001 - a converter for research code raises anything; it means "cannot say"
        return None


def _leftover(text: str) -> bool:
    """Whether there is something that the converter drops (words, base subscripts): a yes would ignore it."""
    if re.search(r"\\(?:text|mathrm|mbox|operatorname)|(?<=[0-9])_", text):
        return True
    return re.search(r"[A-Za-z]{4,}", re.sub(r"\\[A-Za-z]+", " ", text)) is not None


def _same(left: Any, right: Any) -> bool | None:
    if isinstance(left, sympy.MatrixBase) or isinstance(right, sympy.MatrixBase):
        if not (isinstance(left, sympy.MatrixBase) and isinstance(right, sympy.MatrixBase)):
            return None
        if left.shape != right.shape:
            return False
        return _all(_same(a, b) for a, b in zip(left, right, strict=True))
    if not (isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr)):
        return None
    difference = left.doit() - right.doit()
    if sympy.simplify(difference) == 0:
        return True
    equal = difference.equals(0)
    return None if equal is None else bool(equal)


def _all(outcomes: Any) -> bool | None:
    collected = list(outcomes)
    if False in collected:
        return False
    return None if None in collected else True
