"""The value of a formula at a point.

Every computation is bounded before it is made: a power or factorial whose result would be too large is
refused, and a formula may take `BUDGET` steps. What has no value of its own (an unknown function, a
derivative, an integral, a word) gets one that depends on nothing but its name and the values of its
arguments, so that two formulas which agree everywhere else agree with it too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from r1rewards.math.exact import BeyondCapError, Undecidable, exact
from r1rewards.math.fields import FLOATS, Field, Value
from r1rewards.math.tree import Node

#: Steps (nodes visited, terms of sums included) of one evaluation.
BUDGET = 6_000


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
        # More digits make a step dearer.
        self.left = BUDGET * 60 // max(field.digits, 60)

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
