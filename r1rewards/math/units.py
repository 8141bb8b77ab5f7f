"""Units of measure: which words are units, and what two of them have to do with each other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Unit:
    """`factor` in base units, and the exponents of the base dimensions, sorted, zero ones left out."""

    factor: Fraction
    dimensions: tuple[tuple[str, int], ...]


def word_set(words: str) -> frozenset[str]:
    """The words of a line, as a set; a table of words reads better as one line."""
    return frozenset(words.split())


_LENGTH = {"m": "1", "meter": "1", "metre": "1", "inch": "0.0254", "in": "0.0254", "ft": "0.3048"}
_LENGTH |= {"foot": "0.3048", "feet": "0.3048", "yd": "0.9144", "yard": "0.9144", "mile": "1609.344"}
_LENGTH |= {"mi": "1609.344", "inche": "0.0254", "furlong": "201.168"}
_TIME = {"s": "1", "sec": "1", "second": "1", "min": "60", "minute": "60", "h": "3600", "hr": "3600"}
_TIME |= {"hour": "3600", "day": "86400", "week": "604800"}
_CALENDAR = {"month": "1", "year": "12", "yr": "12", "decade": "120", "century": "1200", "centurie": "1200"}
_MASS = {"g": "1", "gram": "1", "gm": "1", "tonne": "1000000", "ton": "1000000"}
_MASS |= {"lb": "453.59237", "pound": "453.59237", "oz": "28.349523125", "ounce": "28.349523125"}
_AREA = {"acre": "4046.8564224", "hectare": "10000", "ha": "10000"}
_VOLUME = {"l": "0.001", "liter": "0.001", "litre": "0.001", "gallon": "0.003785411784"}
_VOLUME |= {"gal": "0.003785411784", "quart": "0.000946352946", "pint": "0.000473176473"}
_VOLUME |= {"cup": "0.0002365882365"}
_MONEY = {"dollar": "1", "usd": "1", "buck": "1", "cent": "0.01", "¢": "0.01", "$": "1"}
_OTHERS = {
    "euro": "euro",
    "eur": "euro",
    "€": "euro",
    "£": "sterling",
    "gbp": "sterling",
    "yuan": "yuan",
    "rmb": "yuan",
    "rupee": "rupee",
    "₹": "rupee",
    "yen": "yen",
    "¥": "yen",
    "peso": "peso",
    "newton": "newton",
    "joule": "joule",
    "watt": "watt",
    "volt": "volt",
    "amp": "ampere",
    "ampere": "ampere",
    "ohm": "ohm",
    "hertz": "hertz",
    "hz": "hertz",
    "kelvin": "kelvin",
    "celsius": "celsius",
    "fahrenheit": "fahrenheit",
    "mole": "mole",
    "mol": "mole",
    "byte": "byte",
    "bit": "bit",
    "radian": "radian",
    "rad": "radian",
    "unit": "unit",
    "pascal": "pascal",
    "pa": "pascal",
}
_PREFIXES = {"k": 3, "kilo": 3, "c": -2, "centi": -2, "m": -3, "milli": -3, "d": -1, "deci": -1}
_PREFIXES |= {"mega": 6, "M": 6, "giga": 9, "micro": -6, "nano": -9}
_PREFIXED = word_set(
    "m meter metre g gram l liter litre s sec second byte watt joule volt newton hertz hz pa pascal mol"
)

#: Of every unit word: its factor in base units, its base dimension, and the power of it.
_TABLE: dict[str, tuple[Fraction, str, int]] = {}
for _dimension, _power, _names in (
    ("length", 1, _LENGTH),
    ("length", 2, _AREA),
    ("length", 3, _VOLUME),
    ("time", 1, _TIME),
    ("calendar", 1, _CALENDAR),
    ("mass", 1, _MASS),
    ("dollar", 1, _MONEY),
):
    for _name, _factor in _names.items():
        _TABLE[_name] = (Fraction(_factor), _dimension, _power)
for _name, _dimension in _OTHERS.items():
    _TABLE[_name] = (Fraction(1), _dimension, 1)
for _prefix, _exponent in _PREFIXES.items():
    for _name in _PREFIXED:
        if (len(_prefix) > 1) == (len(_name) > 2):
            _factor_, _dimension, _power = _TABLE[_name]
            _TABLE.setdefault(_prefix + _name, (_factor_ * Fraction(10) ** _exponent, _dimension, _power))

_COMPOUND = {"mph": "mile/hour", "kmh": "km/hour", "kph": "km/hour", "rpm": "unit/minute", "mps": "m/s"}
_COMPOUND |= {"cc": "cm^3", "sqft": "ft^2"}
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3, "squared": 2, "cubed": 3}
#: Words that are units only inside \text{} or after a number; "in" and "l" are too common otherwise.
_AMBIGUOUS = word_set("in l min day pa ha mol bit cup ton")


def _singular(word: str) -> str:
    if word in _TABLE:
        return word
    lower = word.lower()
    for form in (lower, lower.removesuffix("s"), lower.removesuffix("es")):
        if form in _TABLE:
            return form
    return ""


@lru_cache(maxsize=4096)
def is_unit_word(word: str) -> bool:
    """Whether a word standing in a formula without \\text is a unit: km and inches, not m, s or in."""
    if len(word) < 2 or word.lower() in _AMBIGUOUS:
        return False
    return bool(_singular(word)) or word.lower() in _COMPOUND or word.lower() in _POWERS


_PIECE = re.compile(r"[A-Za-z]+|\^?-?[0-9]+|[/*^]|[^\s]")


@lru_cache(maxsize=4096)
def parse_unit(text: str) -> Unit | None:
    """The unit that the words after a number name ("cm^2", "miles per hour"); None when a word is unknown."""
    factor = Fraction(1)
    dimensions: dict[str, int] = {}

    def take(one: Fraction, dimension: str, own: int, power: int) -> None:
        nonlocal factor
        factor *= one**power
        dimensions[dimension] = dimensions.get(dimension, 0) + own * power

    sign, ahead = 1, 1
    last: tuple[Fraction, str, int] | None = None
    for piece in _PIECE.findall(text):
        lower = piece.lower()
        digits = piece.lstrip("^")
        if piece == "/" or lower == "per":
            sign, last = -1, None
        elif piece in ("*", "^", "."):
            continue
        elif digits.lstrip("-").isdigit() or lower in ("squared", "cubed"):
            power = _POWERS.get(lower) or int(digits[:3])
            if last is None or not -99 < power < 99:
                return None
            take(*last, sign * (power - 1))  # it was taken once already
        elif lower in _POWERS:
            ahead = _POWERS[lower]
        elif lower in _COMPOUND:
            inner = parse_unit(_COMPOUND[lower])
            assert inner is not None
            factor *= inner.factor**sign
            for dimension, power in inner.dimensions:
                take(Fraction(1), dimension, 1, sign * power)
        elif name := _singular(piece):
            last = _TABLE[name]
            take(*last, sign * ahead)
            ahead = 1
        else:
            return None
    if not dimensions:
        return None
    return Unit(factor, tuple(sorted((name, power) for name, power in dimensions.items() if power)))
