"""Exact values: formulas without symbols as fractions, every number capped before it is made."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from r1rewards.math.tree import Node, number

#: Bits of the largest exact number.
MAX_BITS = 1 << 16


class Undecidable(Exception):
    """The formula has no value here that can be computed; the message says why."""


class BeyondCapError(Undecidable):
    """Its value, or the way to it, is larger than this module computes at any point."""


def exact(node: Node) -> Fraction | None:
    """The rational value of a formula without symbols; None where it is not rational or not computable so."""
    try:
        return _exact(node)
    except (Undecidable, ZeroDivisionError, RecursionError):
        return None


def half_step(gold: Node) -> Fraction | None:
    """Half of the last place of a gold that is a decimal (3.14, -0.5, 6.02e23, 1.5 * 10^6), else None."""
    if gold.op == "num":
        return Fraction(1, 2) / Fraction(10) ** gold.digits if gold.digits != -1 else None
    if gold.op == "neg":
        return half_step(gold.args[0])
    if (
        gold.op == "mul"
        and len(gold.args) == 2
        and gold.args[1].op == "pow"
        and gold.args[1].args[0] == number(10)
    ):
        step, power = half_step(gold.args[0]), exact(gold.args[1])
        return None if step is None or power is None else step * power
    return None


def _exact(node: Node) -> Fraction | None:
    op = node.op
    if op == "num":
        return node.value
    if op not in _EXACT:
        return None
    values = []
    bits = 0
    for arg in node.args:
        value = _exact(arg)
        if value is None:
            return None
        values.append(value)
        bits += value.numerator.bit_length() + value.denominator.bit_length()
        if bits > 8 * MAX_BITS:
            raise BeyondCapError("numbers beyond the cap")
    result = _EXACT[op](*values) if op != "fn" else _exact_function(node.name, values)
    if result is not None and result.numerator.bit_length() + result.denominator.bit_length() > MAX_BITS:
        raise BeyondCapError("a number beyond the cap")
    return result


def _integer(value: Fraction) -> int:
    if value.denominator != 1:
        raise Undecidable("an integer was expected")
    return value.numerator


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator != 1:
        power = _exact_power(base, Fraction(exponent.numerator))
        return None if power is None or base <= 0 else _exact_root(Fraction(exponent.denominator), power)
    n = exponent.numerator
    size = base.numerator.bit_length() + base.denominator.bit_length()
    if abs(n) > MAX_BITS and base not in (0, 1, -1):
        raise BeyondCapError("a power beyond the cap")
    if base in (1, -1):
        return base if n % 2 else Fraction(1)
    if size * abs(n) > 4 * MAX_BITS:
        raise BeyondCapError("a power beyond the cap")
    if base == 0 and n <= 0:
        raise Undecidable("a power of zero")
    return base**n


def _exact_root(degree: Fraction, value: Fraction) -> Fraction | None:
    n = _integer(degree)
    if not 0 < n < 200 or (value < 0 and n % 2 == 0):
        return None
    sign = -1 if value < 0 else 1
    over, under = _int_root(abs(value.numerator), n), _int_root(value.denominator, n)
    return None if over is None or under is None else sign * Fraction(over, under)


def _int_root(value: int, n: int) -> int | None:
    if value < 2:
        return value
    if n == 2:
        root = math.isqrt(value)
    else:
        low, high = 1, 1 << (value.bit_length() // n + 1)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if middle**n <= value else (low, middle - 1)
        root = low
    return root if root**n == value else None


def _exact_factorial(value: Fraction) -> Fraction:
    n = _integer(value)
    if not 0 <= n <= 5000:
        raise BeyondCapError("a factorial beyond the cap")
    return Fraction(math.factorial(n))


def _exact_binomial(over: Fraction, under: Fraction) -> Fraction:
    n, k = _integer(over), _integer(under)
    if not 0 <= k <= n <= 5000:
        raise BeyondCapError("a binomial beyond the cap")
    return Fraction(math.comb(n, k))


def _exact_base(digits: Fraction, base: Fraction) -> Fraction | None:
    return from_digits(digits, base)


def from_digits(digits: Fraction, base: Fraction) -> Fraction | None:
    """The value of decimal-looking digits read in a base of 2 to 36."""
    if digits.denominator != 1 or base.denominator != 1 or not 2 <= base <= 36 or digits < 0:
        return None
    text = str(digits.numerator)
    if any(int(digit) >= base for digit in text):
        return None
    return Fraction(int(text, int(base)))


def _exact_function(name: str, values: list[Fraction]) -> Fraction | None:
    if name in ("max", "min") and values:
        return max(values) if name == "max" else min(values)
    if name in ("gcd", "lcm") and values:
        integers = [_integer(value) for value in values]
        return Fraction(math.gcd(*integers) if name == "gcd" else math.lcm(*integers))
    return None


_EXACT: dict[str, Callable[..., Fraction | None]] = {
    "add": lambda *values: sum(values, Fraction(0)),
    "neg": lambda value: -value,
    "mul": lambda *values: Fraction(math.prod(values)),
    "div": lambda over, under: over / under,
    "pow": _exact_power,
    "root": _exact_root,
    "fact": _exact_factorial,
    "binom": _exact_binomial,
    "percent": lambda value: value / 100,
    "abs": abs,
    "floor": lambda value: Fraction(math.floor(value)),
    "ceil": lambda value: Fraction(math.ceil(value)),
    "base": _exact_base,
    "fn": lambda *values: None,
}
