"""Whether two formulas have the same value: units, percent, degrees, precision, seeded points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

from r1rewards.math.evaluate import evaluate, pseudo
from r1rewards.math.exact import BeyondCapError, Undecidable, exact, half_step
from r1rewards.math.fields import FLOATS, Field, precise
from r1rewards.math.tree import Node, has, number, symbols
from r1rewards.math.units import Unit, parse_unit, word_set

#: A decimal gold is met by rounding only if its half step is relatively small: 0.33 is by 1/3, 0.3 is not.
#: A longer decimal must show that it was computed, not guessed, so it needs a gold of about three digits.
_MAX_STEP, _MAX_STEP_OF_DECIMAL = Fraction(1, 50), Fraction(1, 200)
#: Digits beyond which equality is left undecided.
_MAX_DIGITS = 6000
_NEAR, _FAR, _TINY = 1e-9, 1e-4, 1e-30
_RADIAN = (("radian", 1),)
_TRIGONOMETRY = word_set("sin cos tan cot sec csc")
_INTEGER_NAMES = frozenset("nkmjl")
#: Ranges of the seeded points: inside (0, 1), moderate, large, negative; then one of alternating signs.
_RANGES = ((0.1, 0.9), (0.1, 0.9), (1.0, 4.0), (1.0, 4.0), (5.0, 60.0), (5.0, 60.0), (-4.0, -0.5), (0.5, 4.0))


class GoldBeyondCapError(Exception):
    """The gold itself is too large to compute with, so no answer can be checked against it."""


class AnswerBeyondCapError(Exception):
    """The answer is too large to compute with."""


def equal(gold: Node, answer: Node) -> bool | None:
    """Whether a scalar answer is the scalar gold; None where it cannot be told.

    Raises GoldBeyondCapError and AnswerBeyondCapError.
    """
    if gold == answer:
        return True
    if gold.op == answer.op == "neg":
        return equal(gold.args[0], answer.args[0])
    if gold.op == "quantity" or answer.op == "quantity":
        return _equal_quantities(gold, answer)
    if gold.op == "percent" or answer.op == "percent":
        return _equal_percents(gold, answer)
    if gold.op == "base" or answer.op == "base":
        return _equal_digits(gold, answer)
    outcome = _equal_values(gold, answer)
    # A wrong-looking integral may still be the right one; only algebra can tell.
    return None if outcome is False and (has(gold, "big", "int") or has(answer, "big", "int")) else outcome


def _equal_values(gold: Node, answer: Node, *, angles: bool = False) -> bool | None:
    """`angles`: a degree sign counts, as the other side is in radians."""
    if not angles and (has(gold, "degree") or has(answer, "degree")):
        bare_gold, bare_answer = without_degrees(gold), without_degrees(answer)
        if (bare_gold, bare_answer) != (gold, answer) and equal(bare_gold, bare_answer):
            return True
    left, right = exact(gold), exact(answer)
    if left is not None and right is not None:
        return left == right or _rounds_to(answer, right, gold, left)
    names = symbols(gold) | symbols(answer)
    if names:
        return equal_everywhere(gold, answer, names)
    return _equal_constants(gold, answer)


# -- units, percent, bases, degrees


def _equal_quantities(gold: Node, answer: Node) -> bool | None:
    moduli = [node.name if node.name.startswith("mod ") else "" for node in (gold, answer)]
    if moduli[0]:
        return moduli[0] == moduli[1] and _congruent(gold.args[0], answer.args[0], moduli[0][4:])
    gold_value, gold_unit = _split(gold)
    answer_value, answer_unit = _split(answer)
    if gold_unit is not None and answer_unit is not None:
        if gold_unit.dimensions != answer_unit.dimensions:
            return False
        ratio = answer_unit.factor / gold_unit.factor
        if ratio != 1:
            answer_value = Node("mul", (number(ratio), answer_value))
    if answer_unit is not None and answer_unit.dimensions == _RADIAN and gold.op != "quantity":
        return _equal_values(gold, answer_value, angles=True)
    return equal(gold_value, answer_value)


def _congruent(gold: Node, answer: Node, modulus: str) -> bool | None:
    one, other = exact(gold), exact(answer)
    if modulus.isdigit() and int(modulus[:18]) and one is not None and other is not None:
        return (one - other) % int(modulus) == 0
    return equal(gold, answer)


def _split(node: Node) -> tuple[Node, Unit | None]:
    if node.op != "quantity":
        return node, None
    unit = parse_unit(node.name)
    if unit is not None and all(name == "unit" for name, _ in unit.dimensions):
        unit = None
    return node.args[0], unit


def _equal_percents(gold: Node, answer: Node) -> bool | None:
    """28 % is met by 28 %, 28 and 0.28; a gold without the sign also by the bare number."""
    if gold.op == answer.op:
        return equal(gold.args[0], answer.args[0])
    if gold.op == "percent":
        return equal(gold.args[0], answer) or _scaled_equal(gold.args[0], answer)
    bare = answer.args[0]
    return equal(gold, bare) or equal(gold, Node("div", (bare, number(100))))


def _scaled_equal(percents: Node, share: Node) -> bool | None:
    return equal(percents, Node("mul", (share, number(100))))


def _equal_digits(gold: Node, answer: Node) -> bool | None:
    if gold.op == "base" and answer.op == "num":
        return answer.digits < 0 and gold.args[0].value == answer.value
    if gold.op == answer.op:
        return all(exact(a) == exact(b) is not None for a, b in zip(gold.args, answer.args, strict=True))
    left, right = exact(gold), exact(answer)
    return left == right if gold.op != "base" and left is not None and right is not None else False


def without_degrees(node: Node) -> Node:
    """The formula with degree signs dropped, except under a trigonometric function."""
    if node.op == "degree":
        return node.args[0]
    if node.op == "fn" and node.name in _TRIGONOMETRY:
        return node
    return node._replace(args=tuple(map(without_degrees, node.args))) if node.args else node


# -- numbers


def _rounds_to(answer: Node, given: Fraction, gold: Node, value: Fraction) -> bool:
    step = half_step(gold)
    limit = _MAX_STEP if half_step(answer) is None else _MAX_STEP_OF_DECIMAL
    if step is None or value == 0 or step > abs(value) * limit:
        return False
    return abs(given - value) <= step


def _equal_constants(gold: Node, answer: Node) -> bool | None:
    try:
        left, right = _values(gold, answer, {}, FLOATS)
        difference, size = abs(left - right), max(abs(left), abs(right))
        step = half_step(gold)
        if step is not None and size and float(step) <= size * float(_MAX_STEP):
            return bool(difference <= float(step) * (1 + 1e-9))
        if difference > _FAR * size:
            return False
    except Undecidable:
        pass  # too large or too small for floating point
    return _precisely_equal(gold, answer, {})


def _precisely_equal(gold: Node, answer: Node, point: dict[str, Fraction]) -> bool | None:
    field = precise()
    start = field.digits
    while True:
        try:
            left, right = _values(gold, answer, point, field)
        except Undecidable:
            return None
        except (GoldBeyondCapError, AnswerBeyondCapError):
            if field.digits == start:
                raise
            return None  # only the additional digits are too dear
        size, ten = max(abs(left), abs(right)), field.mp.mpf(10)
        if abs(left - right) > size * ten ** (15 - field.digits) and size >= ten ** (10 - field.digits):
            return False
        # Numbers so large hide a difference such as that of sqrt(4^2012 + 1) and sqrt(4^2012 + 2).
        needed = round(0.7 * field.largest) + 60
        if field.digits >= needed:
            return True
        if needed > _MAX_DIGITS:
            return None
        field = precise(needed)


def _values(gold: Node, answer: Node, point: Mapping[str, Fraction], field: Field) -> tuple[Any, Any]:
    """The two values at a point. Raises Undecidable, or says whose computation is beyond the caps."""
    try:
        left = evaluate(gold, point, field)
    except BeyondCapError as error:
        raise GoldBeyondCapError(str(error)) from None
    try:
        return left, evaluate(answer, point, field)
    except BeyondCapError as error:
        raise AnswerBeyondCapError(str(error)) from None


# -- formulas with symbols


def points(names: frozenset[str]) -> Iterator[dict[str, Fraction]]:
    """The seeded points at which formulas in these symbols are compared."""
    for place, (low, high) in enumerate(_RANGES):
        point = {
            name: Fraction(low) + Fraction(high - low) * (pseudo(f"{name} {place}") - Fraction(1, 2))
            for name in names
        }
        if place == len(_RANGES) - 1:
            for name in sorted(names)[1::2]:
                point[name] = -point[name]
        yield point


def equal_everywhere(gold: Node, answer: Node, names: frozenset[str]) -> bool | None:
    """Equality at the seeded points where both are real; in the complex plane where they never are."""
    imaginary = has(gold, "sym", "i") or has(answer, "sym", "i")
    agreed: list[dict[str, Fraction]] = []
    complex_agreed = complex_disagreed = beyond = 0
    for point in points(names):
        try:
            left, right = _values(gold, answer, point, FLOATS)
        except Undecidable:
            beyond += 1
            continue
        size = max(abs(left), abs(right))
        if 0 < size < _TINY:
            continue
        near = abs(left - right) <= _NEAR * size or (
            abs(left - right) <= _FAR * size and _precisely_equal(gold, answer, point) is True
        )
        if imaginary or max(abs(left.imag), abs(right.imag)) <= _NEAR * size:
            if not near:
                return _equal_at_integers(gold, answer, names)
            agreed.append(point)
        elif near:
            complex_agreed += 1
        else:
            complex_disagreed += 1
    if len(agreed) >= 2:
        return all(_precisely_equal(gold, answer, point) is not False for point in agreed[:2])
    if complex_agreed >= 3 and not complex_disagreed:
        return True
    if complex_disagreed and not agreed and not complex_agreed:
        return _equal_at_integers(gold, answer, names)
    if beyond == len(_RANGES):
        outcomes = {
            _precisely_equal(gold, answer, point) for point, _ in zip(points(names), "ab", strict=False)
        }
        return None if None in outcomes else outcomes == {True}
    return None


def _equal_at_integers(gold: Node, answer: Node, names: frozenset[str]) -> bool:
    """Formulas in n, k, m alone may agree only where they are asked for: (-1)^n and cos(n pi)."""
    if not names <= _INTEGER_NAMES:
        return False
    checked = 0
    for start in range(1, 9):
        # Even and odd ones, in every order.
        point = {
            name: Fraction((7 * start + 5 * place + 3 * start * place) % 11 + 1)
            for place, name in enumerate(sorted(names))
        }
        try:
            left, right = _values(gold, answer, point, FLOATS)
        except Undecidable:
            continue
        if abs(left - right) > _NEAR * max(abs(left), abs(right), 1e-6):
            return False
        checked += 1
    return checked >= 4


def proportional(gold: Node, answer: Node) -> Fraction | None:
    """The sign (1 or -1) of the constant ratio of two formulas; None when the ratio is not constant."""
    ratios = [ratio for _, ratio in _ratios(gold, answer)]
    if len(ratios) < 4 or any(abs(ratio - ratios[0]) > 1e-8 * abs(ratios[0]) for ratio in ratios):
        return None
    if abs(ratios[0].imag) > 1e-9 * abs(ratios[0]):
        return None
    return Fraction(1 if ratios[0].real > 0 else -1)


def _ratios(gold: Node, answer: Node) -> list[tuple[dict[str, Fraction], complex]]:
    """The ratio of two formulas in the same symbols at the seeded points where both have a value but 0."""
    names = symbols(gold)
    ratios: list[tuple[dict[str, Fraction], complex]] = []
    if not names or names != symbols(answer):
        return ratios
    for point in points(names):
        try:
            left, right = _values(gold, answer, point, FLOATS)
        except Undecidable:
            continue
        if abs(right) >= 1e-12 and abs(left) >= 1e-12:
            ratios.append((point, left / right))
    return ratios


def same_up_to_powers(gold: Node, answer: Node) -> bool:
    """Whether xy - 6 and y - 6/x vanish together: their ratio is a product of powers of the symbols, none
    of which may be 0 where either formula is."""
    ratios = _ratios(gold, answer)
    names = sorted(symbols(gold))
    if not 1 < len(names) <= 3 or len(ratios) < 6:
        return False
    for powers in product((-2, -1, 0, 1, 2), repeat=len(names)):
        rests = [
            ratio / math.prod(float(point[name]) ** power for name, power in zip(names, powers, strict=True))
            for point, ratio in ratios
        ]
        if all(abs(rest - rests[0]) <= 1e-8 * abs(rests[0]) for rest in rests):
            used = [name for name, power in zip(names, powers, strict=True) if power]
            return all(_never_zero(side, name, names) for name in used for side in (gold, answer))
    return False


def _never_zero(formula: Node, name: str, names: Sequence[str]) -> bool:
    """Whether a formula has no zero that is in sight where this symbol is 0."""
    for point in points(frozenset(names)):
        try:
            if abs(evaluate(formula, {**point, name: Fraction(0)}, FLOATS)) < 1e-9:
                return False
        except Undecidable:
            continue
    return True


def solved_by(equation: Node, name: str, value: Node) -> bool:
    """Whether `equation` = 0 is linear in a symbol and holds everywhere with this value for it."""
    checked = 0
    for point in points(symbols(value)):
        try:
            solution = evaluate(value, point, FLOATS)
            if abs(solution.imag) > 1e-12 * (1 + abs(solution)):
                continue
            at = Fraction(solution.real)
            here, ahead, behind = (
                evaluate(equation, {**point, name: at + step}, FLOATS)
                for step in (Fraction(0), Fraction(1), Fraction(-1))
            )
        except Undecidable:
            continue
        slope = abs(ahead - behind)
        if slope < 1e-9 or abs(here) > _NEAR * slope or abs(ahead + behind) > 1e-6 * slope:
            return False
        checked += 1
    return checked >= 3
