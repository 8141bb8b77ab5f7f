"""A cleaned answer as tokens: one linear scan, every unknown thing named and refused."""

from __future__ import annotations

import re
from typing import NamedTuple

from r1rewards.math.units import is_unit_word
from r1rewards.math.vocabulary import (
    ALGEBRA,
    ALIASES,
    BRACKETS,
    CURRENCY,
    DEGREE,
    FUNCTION_NAMES,
    FUNCTIONS,
    GREEK,
    LOOKS,
    OPERATORS,
    ORDINALS,
    PERCENT,
    SAME_LETTER,
    STOPS,
    STRUCTURES,
    WORDS,
)

#: Caps of one answer; beyond them it is `Unreadable`, never slow.
MAX_CHARACTERS = 2048
MAX_TOKENS = 700
MAX_DIGITS = 1000


class Unreadable(Exception):
    """The text is no answer that this grammar knows; the message says what stood in the way."""


class NeedsAlgebra(Unreadable):
    """A command whose meaning takes algebra, such as a limit."""


class Token(NamedTuple):
    kind: str
    value: str
    spaced: bool = False


END = Token("eof", "")

_SCAN = re.compile(
    r"(?P<space>\s+|~)"
    r"|(?P<num>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+(?![0-9A-Za-z.]))?)"
    r"|(?P<run>[A-Za-z]+)"
    r"|\\(?P<command>[A-Za-z]+)\*?"
    r"|(?P<escaped>\\[{}%#&_,;:!|$ \\])"
    r"|(?P<two>\*\*|<=|>=|!=|\|\|)"
    r"|(?P<one>.)",
    re.DOTALL,
)
_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9]|,[0-9])")
_SPACED_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?: [0-9]{3})+(?![0-9])")
_GLUED_WORD = re.compile(r"(?<=[0-9)}\]])(and|or)(?=[A-Z0-9(\\\s])")
_REPEATING = re.compile(r"([0-9]*\.[0-9]*?)([0-9]{1,12}?)\2+")
_AFTER_UNIT = re.compile(r"\s*(?:[.,;)}/^]|\\(?:[},;]|cdot|text|mathrm)|$)|\s+[A-Za-z]")
_PLAIN = {"*": "*", "/": "/", "+": "+", "-": "-", "=": "=", "<": "<", ">": ">", ":": ":", "!": "!"}


def tokenize(text: str, *, thousands: bool = True) -> list[Token]:
    """The tokens of a cleaned answer. `thousands` reads 1,234 at the top level as one number."""
    if len(text) > MAX_CHARACTERS:
        raise Unreadable(f"longer than {MAX_CHARACTERS} characters")
    text = _GLUED_WORD.sub(r" \1 ", text)
    if thousands:
        text = _join_thousands(text)
    return _Scanner(text).tokens()


def _join_thousands(text: str) -> str:
    if "," in text:
        # Inside brackets a comma separates: (1,234) is a pair.
        joined, start = [], 0
        for match in _THOUSANDS.finditer(text):
            before = text[: match.start()]
            if before.count("(") + before.count("[") + before.count("\\{") <= (
                before.count(")") + before.count("]") + before.count("\\}")
            ):
                joined += [text[start : match.start()], match.group().replace(",", "")]
                start = match.end()
        text = "".join([*joined, text[start:]])
    return _SPACED_THOUSANDS.sub(lambda match: match.group().replace(" ", ""), text)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.out: list[Token] = []
        self.position = 0
        self.spaced = False

    def tokens(self) -> list[Token]:
        while self.position < len(self.text):
            match = _SCAN.match(self.text, self.position)
            assert match is not None
            self.position = match.end()
            kind, value = match.lastgroup or "", match.group(match.lastgroup or 0)
            if kind == "space":
                self.spaced = True
                continue
            getattr(self, "_" + kind)(value)
            if len(self.out) > MAX_TOKENS:
                raise Unreadable(f"more than {MAX_TOKENS} tokens")
        return self.out

    def add(self, kind: str, value: str) -> None:
        self.out.append(Token(kind, value, self.spaced))
        self.spaced = False

    def _num(self, value: str) -> None:
        if len(value) > MAX_DIGITS:
            raise Unreadable(f"a number of more than {MAX_DIGITS} digits")
        self.add("num", value)

    def _run(self, run: str) -> None:
        if (run in FUNCTIONS and run not in ("deg", "inf", "arg", "dim", "sup")) or run in FUNCTION_NAMES:
            self.add("fn", FUNCTION_NAMES.get(run, run))
        elif len(run) == 1 or run in ("pi", "theta", "alpha", "beta"):
            self.add("sym", run)
        elif run in ("infty", "infinity", "Infinity", "oo", "inf"):
            self.add("infty", run)
        elif run in ("sqrt", "binom", "frac"):
            self.add(run, run)
        elif not self.word(run) and (len(run) > 3 or (len(run) == 3 and set(run) & set("eiouEIOU"))):
            self.add("text", run)

    def word(self, run: str, *, upright: bool = False) -> bool:
        """Take a word that means something; say whether it was one."""
        lower = run.lower()
        if lower in ("and", "or"):
            self.add("sep", lower)
        elif lower in STOPS:
            self.add("stop", lower)
        elif lower == "mod":
            self.add("text", "mod")
        elif lower == "infinity":
            self.add("infty", run)
        elif lower in PERCENT:
            self.add("%", "%")
        elif lower in DEGREE:
            self.add("degree", "degree")
        elif upright or self._is_unit(run) or (self.out and self.out[-1].kind == "num" and lower in ORDINALS):
            self.add("text", run)
        elif len(run) <= 3 and not (len(run) == 3 and set(lower) & set("eiou")):
            for letter in run:
                self.add("sym", letter)
        else:
            return False
        return True

    def _is_unit(self, run: str) -> bool:
        """Whether letters in a formula are a unit: 5 cm is one, the mg of mg sin(x) are two symbols."""
        if not is_unit_word(run):
            return False
        return len(run) > 2 or (
            self._after_value() and _AFTER_UNIT.match(self.text, self.position) is not None
        )

    def _command(self, name: str) -> None:
        if name in LOOKS:
            return
        if name in OPERATORS:
            value = OPERATORS[name]
            self.add("sep" if value in ("and", "or") else value, value)
        elif name in BRACKETS:
            self.add(BRACKETS[name], name)
        elif name in FUNCTIONS or name in FUNCTION_NAMES:
            self.add("fn", FUNCTION_NAMES.get(name, name))
        elif name in GREEK or name in SAME_LETTER:
            self.add("sym", SAME_LETTER.get(name, name))
        elif name in WORDS:
            self._words(self._argument())
        elif name in STRUCTURES:
            self._structure(ALIASES.get(name, name))
        elif name in ("over", "choose"):
            self.add(name, name)
        elif name in ("pmod", "bmod", "mod"):
            self.add("text", "mod " + " ".join(self._argument().split()))
        elif name == "hline":
            return
        elif name == "forall":
            self.add("stop", name)
        elif name in ("hspace", "phantom", "color", "textcolor", "vspace", "label", "tag"):
            self._argument()
        elif name in ALGEBRA:
            raise NeedsAlgebra(f"the command \\{name}")
        else:
            # Whatever it means, it equals itself and nothing else.
            self.add("sym", "\\" + name[:40])

    def _dots(self) -> None:
        """`...`: after a decimal whose last digits repeat, that repeating decimal."""
        last = self.out[-1] if self.out else END
        if last.kind == "num" and (match := _REPEATING.fullmatch(last.value)):
            self.out[-1] = Token("repeat", f"{match[1]}|{match[2]}", last.spaced)
        else:
            self.add("ldots", "...")

    def _structure(self, name: str) -> None:
        if name in ("overline", "dot"):
            digits = self._argument()
            last = self.out[-1] if self.out else END
            if digits.isdigit() and last.kind == "num" and "." in last.value and not self.spaced:
                # A repeating decimal: 0.8\overline{4}.
                self.out[-1] = Token("repeat", f"{last.value}|{digits}", last.spaced)
                return
            self.position -= len(digits) + (2 if self.text[self.position - 1 : self.position] == "}" else 0)
            return
        if name in ("begin", "end"):
            self.add(name, self._argument())
            if name == "begin" and self.out[-1].value == "array":
                self._argument()
            return
        if name == "ldots":
            self._dots()
            return
        if name == "mathbb":
            self.add("numbers", self._argument().strip())
            return
        self.add(name, name)

    def _argument(self) -> str:
        """The text of the {...} that follows, braces inside it balanced; of nothing else, one character."""
        text, start = self.text, self.position
        while start < len(text) and text[start] == " ":
            start += 1
        if text[start : start + 1] != "{":
            self.position = min(start + 1, len(text))
            return text[start : start + 1]
        depth = 0
        for position in range(start, len(text)):
            depth += (text[position] == "{") - (text[position] == "}")
            if depth == 0:
                self.position = position + 1
                return text[start + 1 : position]
        raise Unreadable("an unclosed brace")

    def _words(self, content: str) -> None:
        stripped = content.strip()
        if len(stripped) == 1 and stripped.isalpha() and (stripped in "eid" or not self._after_value()):
            self.add("sym", stripped)
            return
        if stripped in FUNCTIONS and not (stripped == "min" and self._after_value()):
            self.add("fn", stripped)
            return
        for match in re.finditer(r"[A-Za-z]+\.?|[0-9]+(?:\.[0-9]+)?|\S", content):
            piece = match.group()
            if piece[0].isdigit():
                self._num(piece)
            elif piece[0].isalpha():
                name = piece.rstrip(".")
                if name.lower() not in ("a", "an", "the"):
                    self.word(name, upright=True)
            elif piece in ",;":
                self.add("sep", piece)
            elif piece in "()+-*/=<>^:%{}" or piece in CURRENCY:
                self._one(piece)
            elif ord(piece) > 127:
                self.add("text", piece)

    def _after_value(self) -> bool:
        return bool(self.out) and self.out[-1].kind in ("num", "}", ")", "%", "sym", "text")

    def _escaped(self, value: str) -> None:
        if value in ("\\{", "\\}"):
            self.add(value, value)
        elif value == "\\%":
            self.add("%", "%")
        elif value == "\\|":
            self.add("|", "|")
        elif value == "\\\\":
            self.add("row", value)
        elif value == "\\$":
            self.add("currency", "$")
        else:
            self.spaced = True

    def _two(self, value: str) -> None:
        self.add({"**": "^", "||": "|"}.get(value, value), value)

    def _one(self, value: str) -> None:
        if value in _PLAIN:
            self.add(_PLAIN[value], value)
        elif value in "(){}[]^_|'&%":
            self.add(value, value)
        elif value in ",;":
            self.add("sep", value)
        elif value in CURRENCY:
            self.add("currency", value)
        elif value == "." and self.out and self.out[-1].kind in ("num", "ldots", "text"):
            if self.text[self.position : self.position + 2] == "..":
                self.position += 2
                self._dots()
        elif value == "." and self.text[self.position : self.position + 2] == "..":
            self.position += 2
            self._dots()
        elif value in '`"?@#.':
            if value in "@#?":
                raise Unreadable(f"the character {value!r}")
        elif value.isalpha():
            self.add("text", value)
        else:
            raise Unreadable(f"the character {value!r}")
