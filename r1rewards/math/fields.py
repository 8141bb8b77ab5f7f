"""Arithmetic for the evaluator, in double precision and to sixty digits, with the same methods.

Both refuse what would be too large before they compute it.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from r1rewards.math.exact import BeyondCapError, Undecidable

_DIGITS = 60
_MAX_LOG2 = 100_000
Value = Any  # complex in floating point, an mpmath number in high precision


class _Floats:
    """Arithmetic in double precision."""

    digits = 15
    pi, e, i = cmath.pi, cmath.e, 1j

    def number(self, value: Fraction) -> Value:
        return complex(value)

    def power(self, base: Value, exponent: Value) -> Value:
        if base == 0:
            if exponent.real <= 0:
                raise Undecidable("a power of zero")
            return 0j
        if base.imag == 0 and base.real < 0 and exponent.imag == 0:
            # The real root of a negative number, where there is one, is what people mean: (-8)^(1/3) = -2.
            real = _odd_root(exponent.real)
            if real is not None:
                return complex((-1 if real % 2 else 1) * (-base.real) ** exponent.real)
        return _above_the_cut(base) ** exponent

    def call(self, name: str, value: Value) -> Value:
        function = _FLOAT_FUNCTIONS.get(name)
        return None if function is None else complex(function(_above_the_cut(value)))

    def factorial(self, value: Value) -> Value:
        if abs(value.imag) > 1e-12 or not -170 < value.real < 170 or _is_negative_integer(value.real):
            raise Undecidable("a factorial out of range")
        return complex(math.gamma(value.real + 1))

    def real(self, value: Value) -> float:
        if abs(value.imag) > 1e-12 * (1 + abs(value)):
            raise Undecidable("a complex number where a real one was expected")
        return float(value.real)

    def check(self, value: Value) -> Value:
        if not cmath.isfinite(value):
            raise Undecidable("not finite")
        return value


def _above_the_cut(value: complex) -> complex:
    """The number without a negative zero as its imaginary part, which would turn sqrt(-4) into -2i."""
    return complex(value.real, 0.0) if value.imag == 0 else value


def _is_negative_integer(value: Any) -> bool:
    """Whether the factorial of a number does not exist; of others below 0 the gamma function gives one."""
    return bool(value < 0 and abs(value - round(value)) < 1e-9)


def _odd_root(exponent: float) -> int | None:
    """p of an exponent p/q with small odd q, else None."""
    for q in (3, 5, 7):
        p = exponent * q
        if abs(p - round(p)) < 1e-12 and abs(exponent - round(exponent)) > 1e-9:
            return round(p)
    return None


_FLOAT_FUNCTIONS: dict[str, Callable[[complex], complex]] = {
    "sin": cmath.sin,
    "cos": cmath.cos,
    "tan": cmath.tan,
    "cot": lambda z: 1 / cmath.tan(z),
    "sec": lambda z: 1 / cmath.cos(z),
    "csc": lambda z: 1 / cmath.sin(z),
    "arcsin": cmath.asin,
    "arccos": cmath.acos,
    "arctan": cmath.atan,
    "arccot": lambda z: cmath.pi / 2 - cmath.atan(z),
    "arcsec": lambda z: cmath.acos(1 / z),
    "arccsc": lambda z: cmath.asin(1 / z),
    "sinh": cmath.sinh,
    "cosh": cmath.cosh,
    "tanh": cmath.tanh,
    "coth": lambda z: 1 / cmath.tanh(z),
    "exp": cmath.exp,
    "ln": cmath.log,
    "log": cmath.log,
    "lg": cmath.log10,
}


class _Precise:
    """Arithmetic to sixty digits, or more; only of values that are known not to explode."""

    def __init__(self, digits: int) -> None:
        self.mp, self.digits = _context(digits), digits
        #: Binary logarithm of the largest value seen.
        self.largest = 0.0
        self.pi, self.e, self.i = +self.mp.pi, +self.mp.e, self.mp.mpc(0, 1)

    def number(self, value: Fraction) -> Value:
        return self.mp.mpf(value.numerator) / value.denominator

    def _log2(self, value: Value) -> float:
        size = abs(value)
        return 0.0 if size == 0 else float(self.mp.mag(size))

    def power(self, base: Value, exponent: Value) -> Value:
        if base == 0:
            if self.mp.re(exponent) <= 0:
                raise Undecidable("a power of zero")
            return self.mp.mpf(0)
        if (
            self._log2(exponent) > 64
            or abs(float(self.mp.re(exponent))) * (abs(self._log2(base)) + 1) > _MAX_LOG2
        ):
            raise BeyondCapError("a power beyond the cap")
        if self.mp.im(base) == 0 and self.mp.re(base) < 0 and self.mp.im(exponent) == 0:
            real = _odd_root(float(self.mp.re(exponent)))
            if real is not None:
                return (-1 if real % 2 else 1) * self.mp.power(-self.mp.re(base), exponent)
        return self.mp.power(base, exponent)

    def call(self, name: str, value: Value) -> Value:
        mp = self.mp
        limit = 16 if name in ("exp", "sinh", "cosh", "tanh", "coth") else 4096
        if self._log2(value) > limit:
            raise BeyondCapError("an argument beyond the cap")
        functions = {"arcsin": mp.asin, "arccos": mp.acos, "arctan": mp.atan, "ln": mp.log, "lg": mp.log10}
        if name == "arccot":
            return mp.pi / 2 - mp.atan(value)
        function = functions.get(name) or getattr(mp, name.replace("arc", "a"), None)
        return None if name not in _FLOAT_FUNCTIONS or function is None else function(value)

    def factorial(self, value: Value) -> Value:
        if abs(self.mp.im(value)) > 1e-12 or _is_negative_integer(self.mp.re(value)):
            raise Undecidable("a factorial out of range")
        if abs(self.mp.re(value)) > 2000:
            raise BeyondCapError("a factorial beyond the cap")
        return self.mp.gamma(value + 1)

    def real(self, value: Value) -> Any:
        if abs(self.mp.im(value)) > self.mp.mpf(10) ** (-self.digits // 2) * (1 + abs(value)):
            raise Undecidable("a complex number where a real one was expected")
        return self.mp.re(value)

    def check(self, value: Value) -> Value:
        if not self.mp.isfinite(value):
            raise Undecidable("not finite")
        self.largest = max(self.largest, self._log2(value))
        return value


Field = _Floats | _Precise
FLOATS = _Floats()


@lru_cache(maxsize=8)
def _context(digits: int) -> Any:
    """An mpmath context of that many decimal digits, which nothing changes after it is made."""
    import mpmath

    context = mpmath.mp.clone()
    context.dps = digits
    return context


def precise(digits: int = _DIGITS) -> _Precise:
    """High-precision arithmetic; mpmath is imported when it is first needed."""
    return _Precise(digits)
