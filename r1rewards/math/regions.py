"""Sets of real numbers as lists of intervals: intervals, unions, inequalities, set-builder, exceptions."""

from __future__ import annotations

from typing import NamedTuple

from r1rewards.math.evaluate import evaluate
from r1rewards.math.exact import Undecidable
from r1rewards.math.scalars import equal, proportional
from r1rewards.math.tree import Node, symbols

MINUS_INFINITY = Node("neg", (Node("infinity"),))
INFINITY = Node("infinity")
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_VARIABLES = frozenset(("sym", "app", "mul"))


class Interval(NamedTuple):
    low: Node
    low_closed: bool
    high: Node
    high_closed: bool


Region = tuple[Interval, ...]
_ALL = Node("numbers", name="R")
_BOLD_REALS = Node("sym", name="R")
_LINE = Interval(MINUS_INFINITY, False, INFINITY, False)


def region(node: Node, *, pairs: bool = True) -> Region | None:
    """The intervals that a tree describes, in order; None when it describes none.

    pairs  whether (1,2) and [1,2], which may also be a point or a list, count.
    """
    intervals = _region(node, pairs=pairs)
    return None if intervals is None else _ordered(intervals)


def same_region(gold: Region, answer: Region) -> bool | None:
    if len(gold) != len(answer):
        return False
    unsure = False
    for one, other in zip(gold, answer, strict=True):
        for left, left_closed, right, right_closed in (
            (one.low, one.low_closed, other.low, other.low_closed),
            (one.high, one.high_closed, other.high, other.high_closed),
        ):
            infinite = is_infinite(left), is_infinite(right)
            if any(infinite):
                if infinite != (True, True) or (left.op == "neg") != (right.op == "neg"):
                    return False
                continue
            if left_closed != right_closed:
                return False
            same = equal(left, right)
            if same is False:
                return False
            unsure |= same is None
    return None if unsure else True


def is_infinite(node: Node) -> bool:
    return node.op == "infinity" or (node.op == "neg" and node.args[0].op == "infinity")


def is_region(node: Node) -> bool:
    """Whether a tree can only be read as a set of real numbers, not as a pair or a list."""
    if node.op in ("interval", "union", "meet", "minus", "numbers"):
        return True
    if node.op == "builder":
        return region(node) is not None
    if node.op == "tuple":
        return len(node.args) == 2 and any(map(is_infinite, node.args))
    if node.op == "rel":
        return not set(node.name.split()) <= {"=", "~"} and _region(node) is not None
    if node.op == "seq":
        return any(map(is_region, node.args)) and _region(node) is not None
    return False


def is_interval(node: Node) -> bool:
    """Whether the two members of a pair are numbers in ascending order, as the ends of an interval are."""
    if len(node.args) != 2:
        return False
    low, high = map(_place, node.args)
    return low is not None and high is not None and low < high


def _region(node: Node, *, pairs: bool = True) -> list[Interval] | None:
    if node.op == "interval" or (node.op == "tuple" and len(node.args) == 2 and pairs):
        low, high = node.args
        return [Interval(low, node.name[0] == "[", high, node.name[1] == "]")]
    if node == _BOLD_REALS:
        return [_LINE]
    if node.op == "numbers":
        return [_LINE] if node.name == "R" else None
    if node.op == "set":
        return [Interval(item, True, item, True) for item in node.args]
    if node.op == "quantity":
        return _region(node.args[0], pairs=pairs)
    if node.op == "builder":
        return _region(node.args[1])
    if node.op == "union":
        left, right = map(_region, node.args)
        return None if left is None or right is None else left + right
    if node.op == "meet":
        left, right = map(_region, node.args)
        return None if left is None or right is None else _meet(left, right)
    if node.op == "minus":
        return _without(node)
    if node.op == "rel":
        return _inequality(node)
    if node.op == "seq":
        return _several(node)
    return None


def _inequality(node: Node) -> list[Interval] | None:
    signs = node.name.split()
    first, last = node.args[0], node.args[-1]
    if signs == ["in"]:
        return _region(last)
    if len(signs) == 1:
        sign = signs[0]
        if not (_is_variable(first) or first.op == "abs") and (_is_variable(last) or last.op == "abs"):
            first, last, sign = last, first, _FLIPPED.get(sign, sign)
        if first.op == "abs":
            return _distance(first.args[0], sign, last)
        if not _is_variable(first) or symbols(first) & symbols(last):
            return None
        if sign in ("<", "<="):
            return [Interval(MINUS_INFINITY, False, last, sign == "<=")]
        if sign in (">", ">="):
            return [Interval(last, sign == ">=", INFINITY, False)]
        if sign == "!=" and last.op == "pm":
            return _without(Node("minus", (_ALL, Node("set", (last.args[0], Node("neg", last.args))))))
        if sign == "!=":
            return [Interval(MINUS_INFINITY, False, last, False), Interval(last, False, INFINITY, False)]
        return [Interval(last, True, last, True)] if sign == "=" else None
    if len(signs) == 2 and _is_variable(node.args[1]):
        if set(signs) <= {"<", "<="}:
            return [Interval(first, signs[0] == "<=", last, signs[1] == "<=")]
        if set(signs) <= {">", ">="}:
            return [Interval(last, signs[1] == ">=", first, signs[0] == ">=")]
    return None


def _distance(inner: Node, sign: str, bound: Node) -> list[Interval] | None:
    """|x - a| < b, and with the other signs; None where the inside is not a shifted variable."""
    center = Node("num")
    if inner.op == "add" and len(inner.args) == 2 and not symbols(inner.args[1]):
        center, inner = Node("neg", (inner.args[1],)), inner.args[0]
    if not _is_variable(inner) or symbols(bound):
        return None
    low, high = Node("add", (center, Node("neg", (bound,)))), Node("add", (center, bound))
    if (place := _place(bound)) is None or place <= 0:
        return None
    if sign in ("<", "<="):
        return [Interval(low, sign == "<=", high, sign == "<=")]
    if sign in (">", ">="):
        closed = sign == ">="
        return [Interval(MINUS_INFINITY, False, low, closed), Interval(high, closed, INFINITY, False)]
    return None


def flip(node: Node) -> Node:
    """A relation read from right to left: c > b > a as a < b < c."""
    signs = [_FLIPPED.get(sign, sign) for sign in reversed(node.name.split())]
    return Node("rel", node.args[::-1], " ".join(signs))


def variable(node: Node) -> Node | None:
    """What an inequality is about: the x of x < 5."""
    return next(filter(_is_variable, node.args), None) if node.op == "rel" else None


def _is_variable(node: Node) -> bool:
    if node.op == "mul":
        return node.name == "call"
    return node.op in ("sym", "app") and bool(symbols(node))


def _several(node: Node) -> list[Interval] | None:
    parts = []
    first = node.args[0]
    if first.op == "rel" and first.name == "!=" and not any(map(symbols, node.args[1:])):
        return _without(Node("minus", (_ALL, Node("set", (first.args[-1], *node.args[1:])))))  # x != 1, 4
    for arg in node.args:
        part = _region(arg)
        if part is None:
            return None
        parts.append(part)
    if len({variable(arg) for arg in node.args} - {None}) > 1:
        return None  # "x < 1, y > 2" is about two numbers
    if node.name == "or" or any(arg.op != "rel" for arg in node.args):
        return [interval for part in parts for interval in part]
    met = parts[0]
    for part in parts[1:]:
        both = _meet(met, part)
        if both is None:
            return None
        met = both
    # "x < -1, x > 3": nothing is both, so the comma means "or".
    return met or [interval for part in parts for interval in part]


def _without(node: Node) -> list[Interval] | None:
    whole, holes = map(_region, node.args)
    if whole is None or holes is None:
        return None
    for hole in holes:
        rest = []
        if not is_infinite(hole.low):
            rest.append(Interval(MINUS_INFINITY, False, hole.low, not hole.low_closed))
        if not is_infinite(hole.high):
            rest.append(Interval(hole.high, not hole.high_closed, INFINITY, False))
        met = _meet(whole, rest)
        if met is None:
            return None
        whole = met
    return whole


def _place(node: Node) -> float | None:
    if is_infinite(node):
        return float("-inf") if node.op == "neg" else float("inf")
    if symbols(node):
        return None
    try:
        value = evaluate(node, {})
    except Undecidable:
        return None
    return float(value.real) if abs(value.imag) < 1e-12 else None


def _meet(left: list[Interval], right: list[Interval]) -> list[Interval] | None:
    out = []
    for one in left:
        for other in right:
            places = [_place(end) for end in (one.low, other.low, one.high, other.high)]
            if None in places:
                return None
            low_a, low_b, high_a, high_b = (place or 0.0 for place in places)
            low, low_closed = (one.low, one.low_closed) if low_a > low_b else (other.low, other.low_closed)
            high, high_closed = (
                (one.high, one.high_closed) if high_a < high_b else (other.high, other.high_closed)
            )
            if low_a == low_b:
                low_closed = one.low_closed and other.low_closed
            if high_a == high_b:
                high_closed = one.high_closed and other.high_closed
            if max(low_a, low_b) < min(high_a, high_b) or (
                max(low_a, low_b) == min(high_a, high_b) and low_closed and high_closed
            ):
                out.append(Interval(low, low_closed, high, high_closed))
    return out


def _ordered(intervals: list[Interval]) -> Region:
    """Sorted and merged where they touch; as they stand where an end is not a number."""
    placed = []
    for interval in intervals:
        low, high = _place(interval.low), _place(interval.high)
        if low is None or high is None:
            return tuple(intervals)
        placed.append((low, not interval.low_closed, high, interval))
    placed.sort(key=lambda entry: entry[:3])
    merged: list[Interval] = []
    top = 0.0
    for low, _, high, interval in placed:
        if merged and (low < top or (low == top and (interval.low_closed or merged[-1].high_closed))):
            if high > top or (high == top and interval.high_closed):
                merged[-1] = merged[-1]._replace(high=interval.high, high_closed=interval.high_closed)
                top = high
            continue
        merged.append(interval)
        top = high
    return tuple(merged)


def same_inequality(gold: Node, answer: Node) -> bool | None:
    """One inequality in several symbols against another, up to a factor; None if neither is one."""
    signs = gold.name.split(), answer.name.split()
    single = [len(sign) == 1 and sign[0] in _FLIPPED for sign in signs]
    if not all(single):
        return False if any(single) and len(signs[0]) == len(signs[1]) else None
    difference = [Node("add", (node.args[0], Node("neg", (node.args[1],)))) for node in (gold, answer)]
    factor = proportional(difference[0], difference[1])
    if factor is None:
        return False
    sign = signs[1][0] if factor > 0 else _FLIPPED[signs[1][0]]
    return signs[0][0] == sign
