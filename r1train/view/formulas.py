"""Formulas in model-written text as MathML, which browsers draw by themselves; all else stays text.

latex2mathml reads the LaTeX. Nothing of its output is taken on trust: its tree is written out anew from a
list of known elements and attributes, every text escaped, so that what the model wrote can become neither
markup nor a link. A formula that is long, deep, defines macros or cannot be read is shown as it was written.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from latex2mathml.converter import Converter
from markupsafe import Markup, escape

from r1train.report.text import HIDDEN, visible

LENGTH, DEPTH, STARTS = 800, 20, 20
#: Formulas drawn in one text; the rest of a text that has more stays as it was written.
FORMULAS = 400

_OPENERS = re.compile(r"\\\\|\\\$|\$\$|\$|\\\[|\\\(|\\boxed\{")
_CLOSERS = {"$$": "$$", "$": "$", "\\[": "\\]", "\\(": "\\)"}
#: Commands that define something, by which a short formula could grow without bound.
_DEFINES = re.compile(r"\\(?:re|provide)?new|\\[egx]?def|\\let|\\renew|\\provide|\\Declare")
_STARTS = re.compile(r"\\(?:left|begin)\b")

# fmt: off
ELEMENTS = frozenset(
    {
        "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msup",
        "msub", "msubsup", "mover", "munder", "munderover", "mtable", "mtr", "mtd", "mstyle",
        "mpadded", "mphantom", "menclose", "mmultiscripts", "mprescripts", "none",
    }
)
ATTRIBUTES = frozenset(
    {
        "display", "displaystyle", "scriptlevel", "stretchy", "fence", "separator", "form",
        "accent", "accentunder", "largeop", "movablelimits", "symmetric", "minsize", "maxsize",
        "lspace", "rspace", "linethickness", "columnalign", "rowalign", "columnlines", "rowlines",
        "notation", "mathvariant", "width", "height", "depth", "voffset", "rowspacing",
        "columnspacing",
    }
)
# fmt: on
_VALUE = re.compile(r"[\w .%+-]{1,40}")


def formulas(text: str) -> Markup:
    """The text as HTML, its formulas drawn; hidden characters are marked as in the report."""
    out = []
    for number, (piece, latex, display) in enumerate(_pieces(text)):
        drawn = mathml(latex, display) if latex and number < 2 * FORMULAS else None
        if drawn is None:
            out.append(visible(piece))
        else:
            out.append(Markup('<span class="formula" title="{}">{}</span>').format(piece, drawn))
    return Markup("").join(out)


@lru_cache(maxsize=20_000)
def mathml(latex: str, display: bool) -> Markup | None:
    """A formula as MathML; None where it is not to be drawn."""
    if HIDDEN.search(latex) or not _harmless(latex):
        return None
    try:
        tree = Converter(display="block" if display else "inline").convert_to_element(latex)
        return _written(tree)
    except Exception:  # noqa: BLE001 - LaTeX that the library cannot read is shown as the model wrote it
        return None


def _harmless(latex: str) -> bool:
    """Whether a formula is short and shallow enough to be read in a moment, and defines nothing."""
    depth = deepest = 0
    for character in latex:
        depth += (character == "{") - (character == "}")
        deepest = max(deepest, depth)
    return (
        len(latex) <= LENGTH
        and deepest <= DEPTH
        and len(_STARTS.findall(latex)) <= STARTS
        and not _DEFINES.search(latex)
    )


def _written(element: Any) -> Markup:
    """An element of the library's tree as HTML; its texts hold character references."""
    inner = Markup("").join(
        [
            escape(html.unescape(element.text or "")),
            *(
                part
                for child in element
                for part in (_written(child), escape(html.unescape(child.tail or "")))
            ),
        ]
    )
    if element.tag not in ELEMENTS:
        return inner
    attributes = Markup("").join(
        Markup(' {}="{}"').format(name, value)
        for name, value in element.attrib.items()
        if name in ATTRIBUTES and _VALUE.fullmatch(value)
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(element.tag), attributes, inner)


def _pieces(text: str) -> Iterator[tuple[str, str, bool]]:
    """The text cut into (piece, the LaTeX in it, whether it stands on its own); no LaTeX where it is text.

    Linear in the text: a formula ends within LENGTH characters, or it is none.
    """
    done = place = 0
    while (match := _OPENERS.search(text, place)) is not None:
        opener, begin = match.group(), match.end()
        place = begin
        if opener == "\\boxed{":
            end = _closing_brace(text, begin)
            latex, close = (text[match.start() : end + 1], end + 1) if end >= 0 else ("", -1)
        elif opener in _CLOSERS:
            end = text.find(_CLOSERS[opener], begin, begin + LENGTH)
            latex, close = (text[begin:end], end + len(_CLOSERS[opener])) if end >= 0 else ("", -1)
        else:
            continue  # an escaped backslash or dollar
        if not latex.strip() or (opener == "$" and not _is_formula(latex, text[close : close + 1])):
            continue
        yield text[done : match.start()], "", False
        yield text[match.start() : close], latex, opener in ("$$", "\\[")
        done = place = close
    yield text[done:], "", False


def _is_formula(latex: str, after: str) -> bool:
    """Whether what stands between two single dollars is a formula rather than prose between two prices."""
    return not (
        latex[0].isspace() or latex[-1].isspace() or latex[-1] == "\\" or after.isdigit() or "\n\n" in latex
    )


def _closing_brace(text: str, begin: int) -> int:
    depth = 1
    for place in range(begin, min(len(text), begin + LENGTH)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            return place
    return -1
