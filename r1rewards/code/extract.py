"""The program in an answer: its last fenced block, in the language that is asked for."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass

from r1rewards.code.languages import ALIASES

#: Why no program was found, by name.
FAULTS = {
    "empty": "the answer is empty",
    "no_block": "there is no fenced block in the answer",
    "unclosed_block": "the last fenced block is not closed",
    "other_language": "the fenced blocks are in another language",
    "empty_block": "the last fenced block is empty",
}
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^\n`]*$", re.MULTILINE)
_BARE_LIMIT = 50_000


@dataclass(frozen=True, slots=True)
class Program:
    """What was found: `source` and how (`route`: "block" or "bare"), or else a `fault` (see FAULTS)."""

    source: str = ""
    route: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Block:
    name: str
    source: str
    closed: bool


def extract(answer: str, lang: str = "python") -> Program:
    """The last fenced block of `answer` that says `lang`, or else the last one that says no language.

    A block that names another language is passed over. An answer without any fence that is Python as a
    whole, and more than a bare word, is taken too, with the route "bare".
    """
    answer = answer.replace("\r\n", "\n")
    if not answer.strip():
        return Program(fault="empty")
    blocks = _blocks(answer)
    if not blocks:
        if lang == "python" and _is_python(answer):
            return Program(answer.strip("\n") + "\n", "bare")
        return Program(fault="no_block")
    named = [block for block in blocks if ALIASES.get(block.name) == lang]
    unnamed = [block for block in blocks if not block.name]
    if not named and not unnamed:
        return Program(fault="other_language")
    chosen = (named or unnamed)[-1]
    if not chosen.closed:
        return Program(fault="unclosed_block")
    if not chosen.source.strip():
        return Program(fault="empty_block")
    return Program(chosen.source, "block")


def _blocks(text: str) -> list[_Block]:
    """The fenced blocks, by CommonMark's rule: a fence ends at a bare one of its kind, at least as long."""
    blocks: list[_Block] = []
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif fence[1][0] == opened[1][0] and len(fence[1]) >= len(opened[1]) and not fence[0].strip(" \t`~"):
            blocks.append(_Block(opened[2].lower(), text[opened.end() + 1 : fence.start()], True))
            opened = None
    if opened is not None:
        blocks.append(_Block(opened[2].lower(), text[opened.end() + 1 :], False))
    return blocks


def _is_python(text: str) -> bool:
    if len(text) > _BARE_LIMIT:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(
        not (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call)) for node in tree.body
    )
