"""The value of a formula at a point: exactly as a fraction, in floating point, or to sixty digits.

Every computation is bounded before it is made: a power or factorial whose result would be too large is
refused, and a formula may take `BUDGET` steps. What has no value of its own (an unknown function, a
derivative, an integral, a word) gets one that depends on nothing but its name and the values of its
arguments, so that two formulas which agree everywhere else agree with it too.
"""

from __future__ import annotations

import cmath
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from r1rewards.math.expression import Node

#: Bits of the largest exact number.
MAX_BITS = 1 << 16
#: Steps (nodes visited, terms of sums included) of one evaluation.
BUDGET = 6_000
_DIGITS = 60
_MAX_LOG2 = 100_000


class Undecidable(Exception):
    """The formula has no value here that can be computed; the message says why."""


class BeyondCapError(Undecidable):
    """Its value, or the way to it, is larger than this module computes at any point."""


# -- exact


def exact(node: Node) -> Fraction | None:
    """The rational value of a formula without symbols; None where it is not rational or not computable so."""
    try:
        return _exact(node)
    except (Undecidable, ZeroDivisionError, RecursionError):
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


# -- at a point

Value = Any  # complex in floating point, an mpmath number in high precision


class _Floats:
    """Arithmetic in double precision."""

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
        return base**exponent

    def call(self, name: str, value: Value) -> Value:
        function = _FLOAT_FUNCTIONS.get(name)
        return None if function is None else complex(function(value))

    def factorial(self, value: Value) -> Value:
        if abs(value.imag) > 1e-12 or not 0 <= value.real < 170:
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
    """Arithmetic to sixty digits; only of values that are known not to explode."""

    def __init__(self) -> None:
        import mpmath

        self.mp = mpmath.mp.clone()
        self.mp.dps = _DIGITS
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
        if abs(self.mp.im(value)) > 1e-12 or self.mp.re(value) < 0:
            raise Undecidable("a factorial out of range")
        if self.mp.re(value) > 2000:
            raise BeyondCapError("a factorial beyond the cap")
        return self.mp.gamma(value + 1)

    def real(self, value: Value) -> Any:
        if abs(self.mp.im(value)) > self.mp.mpf(10) ** (-_DIGITS // 2) * (1 + abs(value)):
            raise Undecidable("a complex number where a real one was expected")
        return self.mp.re(value)

    def check(self, value: Value) -> Value:
        if not self.mp.isfinite(value):
            raise Undecidable("not finite")
        return value


Field = _Floats | _Precise
FLOATS = _Floats()
_precise: _Precise | None = None


def precise() -> _Precise:
    """The high-precision arithmetic; mpmath is imported when it is first needed."""
    global _precise
    if _precise is None:
        _precise = _Precise()
    return _precise


def evaluate(node: Node, point: Mapping[str, Fraction], field: Field = FLOATS) -> Value:
    """The value of a formula where its symbols have the values of `point`. Raises Undecidable."""
    try:
        return _Evaluation(point, field).value(node)
    except (ZeroDivisionError, OverflowError, ValueError, RecursionError) as error:
        raise Undecidable(f"{type(error).__name__}") from None


class _Evaluation:
    def __init__(self, point: Mapping[str, Fraction], field: Field) -> None:
        self.point = dict(point)
        self.field: Any = field
        self.left = BUDGET

    def value(self, node: Node) -> Value:
        self.left -= 1
        if self.left < 0:
            raise BeyondCapError("more steps than the budget")
        method = getattr(self, "_" + node.op, None)
        if method is None:
            raise Undecidable(f"a {node.op} has no single value")
        return self.field.check(method(node))

    def _num(self, node: Node) -> Value:
        return self.field.number(node.value)

    def _sym(self, node: Node) -> Value:
        name = node.name
        if name in self.point:
            return self.field.number(self.point[name])
        if name in ("pi", "e", "i"):
            return getattr(self.field, name)
        return self.field.number(pseudo(name))

    def _text(self, node: Node) -> Value:
        return self.field.number(pseudo("text " + node.name.lower()))

    def _quantity(self, node: Node) -> Value:
        return self.value(node.args[0])

    def _add(self, node: Node) -> Value:
        total = self.value(node.args[0])
        for arg in node.args[1:]:
            total = total + self.value(arg)
        return total

    def _neg(self, node: Node) -> Value:
        return -self.value(node.args[0])

    def _mul(self, node: Node) -> Value:
        product = self.value(node.args[0])
        for arg in node.args[1:]:
            product = product * self.value(arg)
        return product

    def _div(self, node: Node) -> Value:
        return self.value(node.args[0]) / self.value(node.args[1])

    def _pow(self, node: Node) -> Value:
        return self.field.power(self.value(node.args[0]), self.value(node.args[1]))

    def _root(self, node: Node) -> Value:
        degree, inner = self.value(node.args[0]), self.value(node.args[1])
        if inner == 0:
            return inner
        return self.field.power(inner, 1 / degree)

    def _percent(self, node: Node) -> Value:
        return self.value(node.args[0]) / 100

    def _degree(self, node: Node) -> Value:
        return self.value(node.args[0]) * self.field.pi / 180

    def _fact(self, node: Node) -> Value:
        if (value := exact(node)) is not None:
            return self.field.number(value)
        return self.field.factorial(self.value(node.args[0]))

    def _binom(self, node: Node) -> Value:
        if (value := exact(node)) is not None:
            return self.field.number(value)
        n, k = (self.value(arg) for arg in node.args)
        factorial = self.field.factorial
        return factorial(n) / (factorial(k) * factorial(n - k))

    def _abs(self, node: Node) -> Value:
        return abs(self.value(node.args[0])) + 0 * self.field.i

    def _floor(self, node: Node) -> Value:
        value = self.field.real(self.value(node.args[0]))
        return self.field.number(Fraction(math.floor(value)))

    def _ceil(self, node: Node) -> Value:
        value = self.field.real(self.value(node.args[0]))
        return self.field.number(Fraction(math.ceil(value)))

    def _base(self, node: Node) -> Value:
        value = exact(node)
        if value is None:
            raise Undecidable("digits that their base does not have")
        return self.field.number(value)

    def _fn(self, node: Node) -> Value:
        args = [self.value(arg) for arg in node.args]
        if node.name == "log_" and len(args) == 2:
            return self.field.call("ln", args[0]) / self.field.call("ln", args[1])
        if node.name in ("max", "min") and args:
            reals = [self.field.real(arg) for arg in args]
            return (max if node.name == "max" else min)(reals) + 0 * self.field.i
        if len(args) == 1:
            value = self.field.call(node.name, args[0])
            if value is not None:
                return value
        return self._opaque("fn " + node.name, args)

    def _app(self, node: Node) -> Value:
        return self._opaque(node.name, [self.value(arg) for arg in node.args])

    def _prime(self, node: Node) -> Value:
        return self._opaque("prime", [self.value(node.args[0])])

    def _ratio(self, node: Node) -> Value:
        value = self.value(node.args[0])
        for arg in node.args[1:]:
            value = value / self.value(arg)
        return value

    def _tuple(self, node: Node) -> Value:
        return self._projected([node.args])

    def _matrix(self, node: Node) -> Value:
        if node.name == "cases":
            raise Undecidable("a case distinction has no single value")
        if node.name == "vmatrix":
            return self._determinant([[self.value(cell) for cell in row.args] for row in node.args])
        return self._projected([row.args for row in node.args])

    def _projected(self, rows: Sequence[Sequence[Node]]) -> Value:
        """A vector or matrix as a fixed linear form of its cells, so that sums and multiples stay such."""
        total = self.field.number(Fraction(0))
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                place = i * len(row) + j if 1 in (len(rows), len(row)) else f"{i} {j}"
                total = total + self.field.number(pseudo(f"cell {place}")) * self.value(cell)
        return total

    def _determinant(self, rows: list[list[Value]]) -> Value:
        if not rows or len(rows) > 4 or any(len(row) != len(rows) for row in rows):
            raise Undecidable("a determinant of another shape")
        if len(rows) == 1:
            return rows[0][0]
        minors = ([row[:j] + row[j + 1 :] for row in rows[1:]] for j in range(len(rows)))
        total = self.field.number(Fraction(0))
        for j, minor in enumerate(minors):
            total = total + (-1) ** j * rows[0][j] * self._determinant(minor)
        return total

    def _seq(self, node: Node) -> Value:
        return self._opaque(node.name, [self.value(arg) for arg in node.args])

    def _rel(self, node: Node) -> Value:
        return self._opaque(node.name, [self.value(arg) for arg in node.args])

    def _empty(self, node: Node) -> Value:
        return self.field.number(pseudo("empty"))

    def _infinity(self, node: Node) -> Value:
        raise Undecidable("infinity")

    def _big(self, node: Node) -> Value:
        low, high, body = node.args
        index = low.args[0].name if low.op == "rel" and low.name == "=" and low.args[0].op == "sym" else ""
        if node.name == "int" or not index:
            return self._opaque(node.name, [self._bound(low), self._bound(high), self.value(body)])
        first, last = self._integer(low.args[1]), self._integer(high)
        if first is None or last is None:
            with self._bind(index, Fraction(7, 5)):
                return self._opaque(node.name, [self.value(low.args[1]), self._bound(high), self.value(body)])
        total = self.field.number(Fraction(1 if node.name == "prod" else 0))
        for step in range(first, last + 1):
            with self._bind(index, Fraction(step)):
                term = self.value(body)
            total = total * term if node.name == "prod" else total + term
        return total

    def _integer(self, node: Node) -> int | None:
        """The bound of a sum where it is an integer, else None."""
        if node.op == "infinity":
            return None
        value = self.field.real(self.value(node))
        return int(value) if abs(value) < 10**12 and value == int(value) else None

    def _bound(self, node: Node) -> Value:
        return self.field.number(pseudo("infinity")) if node.op == "infinity" else self.value(node)

    @contextmanager
    def _bind(self, name: str, value: Fraction) -> Iterator[None]:
        before = self.point.get(name)
        self.point[name] = value
        try:
            yield
        finally:
            if before is None:
                del self.point[name]
            else:
                self.point[name] = before

    def _opaque(self, name: str, args: list[Value]) -> Value:
        """A value for what has none: a fixed smooth function of the arguments, picked by the name."""
        total = self.field.number(pseudo(name))
        for place, arg in enumerate(args):
            weight = self.field.number(pseudo(f"{name} {place}"))
            shifted = arg + weight
            total = total + weight * shifted * shifted / (3 + shifted * shifted)
        return total


def pseudo(name: str) -> Fraction:
    """A fixed number between 1/2 and 3/2 for a name."""
    digest = hashlib.blake2b(name.encode(), digest_size=4).digest()
    return Fraction(1, 2) + Fraction(int.from_bytes(digest, "big"), 1 << 32)


def symbols(node: Node) -> frozenset[str]:
    """The free symbols of a tree; the constants pi, e and i are none."""
    if node.op == "sym":
        return frozenset() if node.name in ("pi", "e", "i") else frozenset((node.name,))
    if not node.args:
        return frozenset()
    names = frozenset[str]().union(*(symbols(arg) for arg in node.args))
    if node.op == "big" and node.args[0].op == "rel" and node.args[0].args[0].op == "sym":
        names -= {node.args[0].args[0].name}
    return names
