"""From the many ways to type an answer to one: plain ASCII with LaTeX commands.

Nothing here changes what an answer means; units, percent signs and words are left for the parser.
"""

from __future__ import annotations

import re
import unicodedata

_CHARACTERS: dict[str, str] = {
    **dict.fromkeys("−‐‑‒–—―﹣－", "-"),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u2061\u2062\u2063\u2064", ""),
    **dict.fromkeys("′’‘", "'"),
    "×": r"\times ",
    "⋅": r"\cdot ",
    "·": r"\cdot ",
    "∙": r"\cdot ",
    "•": r"\cdot ",
    "∗": "*",
    "÷": r"\div ",
    "∶": ":",
    "⁄": "/",
    "∕": "/",
    "π": r"\pi ",
    "∞": r"\infty ",
    "∪": r"\cup ",
    "⋃": r"\cup ",
    "∩": r"\cap ",
    "∖": r"\setminus ",
    "∈": r"\in ",
    "∉": r"\notin ",
    "∅": r"\emptyset ",
    "≤": r"\le ",
    "⩽": r"\le ",
    "≦": r"\le ",
    "≥": r"\ge ",
    "⩾": r"\ge ",
    "≧": r"\ge ",
    "≠": r"\ne ",
    "≈": r"\approx ",
    "≡": r"\equiv ",
    "±": r"\pm ",
    "∓": r"\mp ",
    "√": r"\sqrt ",
    "∛": r"\sqrt[3]",
    "°": r"^\circ ",
    "º": r"^\circ ",
    "∘": r"\circ ",
    "…": r"\ldots ",
    "⋯": r"\cdots ",
    "∑": r"\sum ",
    "∏": r"\prod ",
    "∫": r"\int ",
    "⌊": r"\lfloor ",
    "⌋": r"\rfloor ",
    "⌈": r"\lceil ",
    "⌉": r"\rceil ",
    "⟨": r"\langle ",
    "⟩": r"\rangle ",
    "⊂": r"\subset ",
    "⊊": r"\subset ",
    "⊆": r"\subseteq ",
    "⊃": r"\supset ",
    "⊇": r"\supseteq ",
    "⊥": r"\perp ",
    "∥": r"\parallel ",
    "→": r"\to ",
    "⇒": r"\Rightarrow ",
    "∀": r"\forall ",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    "ℕ": r"\mathbb{N}",
    "ℚ": r"\mathbb{Q}",
    "ℂ": r"\mathbb{C}",
    "％": "%",
    "、": ",",
    "。": ".",
    "¬": r"\neg ",
    "∠": "",
    "△": "",
}
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ", "0123456789+-()n", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎", "0123456789+-()", strict=True))
_RUN = re.compile(
    rf"(?P<up>[{''.join(_SUPERSCRIPTS)}]+)|(?P<down>[{''.join(_SUBSCRIPTS)}]+)|(?P<circled>[①-⑳]+)"
    r"|(?P<vulgar>[¼½¾⅐-⅞↉])|(?P<greek>[Α-Ωα-ω])"
)

_DELIMITERS = re.compile(r"\\[()\[\]](?!\s*[0-9.]+\s*(?:pt|em|ex|mm)\])|(?<!\\)\$")
_FRACTION_DIGITS = re.compile(r"(\\frac)\s*([0-9])(?![0-9]*\.[0-9])")
_FRACTION_SECOND = re.compile(r"(\\frac\{[^{}]*\})\s*([0-9])")
_WRAPPED_COMMA = re.compile(r"(?<=[0-9])(?:\{,\}|(?:\\!)?,(?:\\!)?|\\,)(?=[0-9]{3})")
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z{}])")
# "\f" and the like written without a raw string: the backslash and its letter became one character.
_SWALLOWED = re.compile(
    r"\x0c(?=rac|loor)|\x08(?=oxed|inom|eta|egin|ar\b)|\t(?=ext|imes|an\b|heta|frac|au\b)|\r(?=ight|ho\b)"
)
_SWALLOWED_LETTER = {"\x0c": "\\f", "\x08": "\\b", "\t": "\\t", "\r": "\\r"}
_CODE_POINT = re.compile(r"\\u([0-9A-Fa-f]{4})")
_MODULO = re.compile(
    r"\((?:\\[,;: ]|\\q?quad\b|\s)*\\?(?:text|mathrm|operatorname)?\{?\s*p?b?mod\b\s*\}?"
    r"(?:\\[,;: ]|[\s{~])*([0-9a-z]+)[\s}]*\)"
)
_ORDINAL = re.compile(
    r"(?<=[0-9])\s*\^\{\s*(?:\\(?:text|mathrm|textrm)\s*\{)?\s*(?:st|nd|rd|th|t h)\s*\}?\s*\}"
)
_UNIT = r"\\(?:text|textrm|mathrm|mbox)\s*\{([^{}]*)\}"
_UNIT_FRACTION = re.compile(rf"\\frac\s*\{{\s*{_UNIT}\s*\}}\s*\{{\s*{_UNIT}\s*\}}")
_TEMPERATURE = re.compile(
    r"\^\s*(?:\{\s*\\circ\s*\}|\\circ)(?:\s|~|\\[,;])*"
    r"(?:\\(?:text|textrm|mathrm|mbox|rm)\s*\{\s*([CF])\s*\}|([CF])(?![A-Za-z0-9_^(]))"
)
_TEMPERATURES = {"C": "celsius", "F": "fahrenheit"}
_UNION_LETTER = re.compile(r"(?<=[)\]}])\s*U\s*(?=[(\[{]|\\\{|\\left)")
_MISSING_SPACE = re.compile(r"\\(q?quad|,|;|!)(?=[A-Za-z0-9])")
_END = re.compile(r"(?:\\[,;:\s]|(?<!\\)[\s.,;:。])+$")


def clean(text: str) -> str:
    """An answer in ASCII and LaTeX commands, without math delimiters; linear in its length."""
    if "\\u" in text:
        text = _CODE_POINT.sub(lambda match: chr(int(match.group(1), 16)), text)
    if not text.isascii():
        text = _ascii(text)
    text = with_backslashes(text)
    if "{,}" in text:
        text = _WRAPPED_COMMA.sub(",", text)
    if "{:}" in text:
        text = text.replace("{:}", ":")
    if "U" in text:
        text = _UNION_LETTER.sub(r" \\cup ", text)
    if "\\\\" in text and "\\begin" not in text:
        text = _DOUBLED.sub(r"\\", text)  # a gold that was escaped twice
    if "$" in text or "\\" in text:
        text = _DELIMITERS.sub(" ", text).replace(r"\$", "$")
        if "\\" in text:
            text = _latex(text)
    if "^" in text:
        text = _ORDINAL.sub("", text)
    if "mod" in text:
        text = _MODULO.sub(r"\\pmod{\1}", text)
    text = text.strip()
    while (shorter := _END.sub("", text)) != text:
        if shorter.endswith(".") or text.endswith("..."):
            break
        text = shorter
    return text


def with_backslashes(text: str) -> str:
    """The text with the backslashes that a string without `r` swallowed: a form feed and "rac" are \\frac."""
    return (
        text if text.isprintable() else _SWALLOWED.sub(lambda match: _SWALLOWED_LETTER[match.group()], text)
    )


def _latex(text: str) -> str:
    text = text.replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac").replace(r"\cfrac", r"\frac")
    text = _WRAPPED_COMMA.sub(",", text)
    text = _MISSING_SPACE.sub(" ", text.replace(r"\!", ""))
    if "circ" in text:
        text = _TEMPERATURE.sub(lambda match: rf" \text{{{_TEMPERATURES[match[1] or match[2]]}}}", text)
    if r"\frac" in text:
        text = _UNIT_FRACTION.sub(r"\\text{\1/\2}", text)
        text = _FRACTION_SECOND.sub(r"\1{\2}", _FRACTION_DIGITS.sub(r"\1{\2}", text))
    return text


def _ascii(text: str) -> str:
    text = _RUN.sub(_replace_run, text)
    text = "".join(_CHARACTERS.get(character, character) for character in text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        # The compatibility forms may themselves be characters that have a name in LaTeX.
        text = "".join(_CHARACTERS.get(character, character) for character in text)
    return text


def _replace_run(match: re.Match[str]) -> str:
    run = match.group()
    kind = match.lastgroup
    if kind == "up":
        return "^{" + "".join(map(_SUPERSCRIPTS.__getitem__, run)) + "}"
    if kind == "down":
        return "_{" + "".join(map(_SUBSCRIPTS.__getitem__, run)) + "}"
    if kind == "circled":
        return ", ".join(str(ord(character) - ord("①") + 1) for character in run)
    if kind == "vulgar":
        over, _, under = unicodedata.normalize("NFKC", run).partition("⁄")
        return rf"\frac{{{over}}}{{{under}}}"
    letter = unicodedata.name(run, "").split()
    capital = "CAPITAL" in letter
    name = letter[-1].lower()
    return f"\\{name.title() if capital else name} "
