"""Rewards for reasoning models: is this response right, well formed, readable, in the right language?

    import r1rewards
    r1rewards.math.check("<think>..</think> so \\boxed{0.5}", r"\\frac{1}{2}").value     # 1.0

Modules are loaded when they are first used, so importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from r1rewards import choice, code, format, instructions, judge, language, math, puzzle, readability
    from r1rewards.adapters.openrlhf import openrlhf
    from r1rewards.adapters.trl import trl
    from r1rewards.core.verdict import Verdict
    from r1rewards.spec import load_spec

_MODULES = frozenset(
    {"choice", "code", "format", "instructions", "judge", "language", "math", "puzzle", "readability"}
)
_NAMES = {
    "Verdict": "r1rewards.core.verdict",
    "load_spec": "r1rewards.spec",
    "openrlhf": "r1rewards.adapters.openrlhf",
    "trl": "r1rewards.adapters.trl",
}

__all__ = [
    "Verdict",
    "choice",
    "code",
    "format",
    "instructions",
    "judge",
    "language",
    "load_spec",
    "math",
    "openrlhf",
    "puzzle",
    "readability",
    "trl",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"r1rewards.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'r1rewards' has no attribute {name!r}")
