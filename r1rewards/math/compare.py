"""Whether one answer tree is the other, driven by what the gold is."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Literal

from r1rewards.math.definition import definition, rename, value_of
from r1rewards.math.matrices import cells, lines
from r1rewards.math.phrases import words
from r1rewards.math.regions import (
    flip,
    is_infinite,
    is_interval,
    is_region,
    region,
    same_inequality,
    same_region,
    variable,
)
from r1rewards.math.scalars import equal, proportional, same_up_to_powers, solved_by
from r1rewards.math.tree import SCALARS, Node, has, substitute, symbols
from r1rewards.math.units import word_set

_MAX_ITEMS = 64
_MAX_SIGNS = 5
_SETS = word_set("interval set builder union meet minus numbers")
_COORDINATES = frozenset("xyz")
#: Labels that are formulas rather than names.
_FORMULAS = word_set("fn abs div ratio")
_PARAMETERS = frozenset("nkmtlC")


def kind(node: Node) -> str:
    """The name of what a gold is, for verdicts and reports."""
    if is_region(node):
        return "inequality" if node.op == "rel" else "interval" if node.op != "union" else "union"
    if node.op == "num":
        return "integer" if node.digits < 0 and node.value.denominator == 1 else "decimal"
    if node.op == "neg" and node.args[0].op == "num":
        return kind(node.args[0])
    if node.op == "div" and all(arg.op == "num" for arg in node.args):
        return "rational"
    if node.op == "rel":
        return "equation" if node.name == "=" else "relation"
    names = {
        "seq": "list",
        "builder": "set",
        "pm": "plus-minus",
        "base": "base-n",
        "sym": "symbol",
        "quantity": "quantity",
    }
    if node.op in ("tuple", "set", "matrix", "percent", "text", "ratio", *names):
        return names.get(node.op, node.op)
    return "plus-minus" if _signs(node) else "expression"


def same(gold: Node, answer: Node) -> bool | None:
    """True, False, or None where neither could be shown."""
    if gold == answer:
        return True
    if (moduli := _moduli(gold)) and moduli != _moduli(answer):
        return False
    signed = gold.op == "rel" and answer.op in ("rel", "seq") and (_signs(gold) or _signs(answer))
    if signed and _same_items(gold, answer):
        return True
    if gold.op == "rel" or answer.op == "rel":
        related = _same_relation(gold, answer)
        if related is False and answer.name.endswith("~") and answer.op == "rel" and definition(answer):
            return same(gold, answer.args[-1])  # 42.7, which is about 43
        if related != "values":
            return related
        gold, answer = value_of(gold), value_of(answer)
    if gold.op == "quantity" and gold.args[0].op not in SCALARS:
        gold = gold.args[0]
    if answer.op == "quantity" and answer.args[0].op not in SCALARS:
        answer = answer.args[0]
    if gold.op == "text" or answer.op == "text":
        return words(gold.name) == words(answer.name) if gold.op == answer.op else False
    if gold.op == "matrix" or answer.op == "matrix":
        return _same_matrix(gold, answer)
    if is_region(gold) or is_region(answer):
        mine, theirs = region(gold), region(answer)
        return False if mine is None or theirs is None else same_region(mine, theirs)
    if gold.op == "builder" or answer.op == "builder":
        return (
            _all(same(a, b) for a, b in zip(gold.args, answer.args, strict=True))
            if (gold.op == answer.op)
            else None
        )
    if gold.op == "tuple":
        return _same_tuple(gold, answer)
    if gold.op == "ratio" and answer.op == "ratio":
        return _same_ratio(gold, answer)
    if gold.op in ("set", "seq") or answer.op in ("set", "seq") or _signs(gold) or _signs(answer):
        return _same_items(gold, answer)
    if answer.op == "tuple":
        return same(gold, answer.args[0]) if len(answer.args) == 1 else False
    if is_infinite(gold) or is_infinite(answer):
        return gold == answer
    if _has_set(answer) and not _has_set(gold):
        return False
    return equal(gold, answer)


def _moduli(node: Node) -> frozenset[str]:
    """The moduli of the congruences in a tree."""
    if node.op == "quantity" and node.name.startswith("mod "):
        return frozenset((node.name,))
    return frozenset[str]().union(*map(_moduli, node.args)) if node.args else frozenset()


def _has_set(node: Node) -> bool:
    return node.op in _SETS or any(map(_has_set, node.args))


# -- relations


def _same_relation(gold: Node, answer: Node) -> bool | Literal["values"] | None:
    """The outcome of two relations; "values" when only the values they give are left to compare."""
    mine, theirs = definition(gold), definition(answer)
    if mine and theirs:
        return _same_definition(gold, answer, mine, theirs)
    if mine and answer.op == "rel":
        if is_region(answer):
            return same(mine[1], answer)
        return _same_equation(gold, answer)
    if gold.op == "rel" and not mine:
        if is_region(gold):
            ranges = region(gold), region(value_of(answer))
            if ranges[0] is not None and ranges[1] is not None:
                return same_region(ranges[0], ranges[1])
            return same_inequality(gold, answer) if answer.op == "rel" else False
        if answer.op != "rel":
            return _solves(gold, answer)
        return _same_equation(gold, answer)
    if answer.op == "rel" and not theirs and not is_region(answer):
        return same(gold, answer.args[-1]) if _is_question(answer) and not symbols(gold) else False
    return "values"


def _same_definition(
    gold: Node, answer: Node, mine: tuple[Node | None, Node], theirs: tuple[Node | None, Node]
) -> bool | None:
    (label, value), (other_label, other_value) = mine, theirs
    if label != other_label and label is not None and other_label is not None:
        if label.op in _FORMULAS and other_label.op in _FORMULAS:
            return _same_equation(gold, answer)
        if (
            label.op == other_label.op
            and label.name == other_label.name
            and _numbers(label) != _numbers(other_label)
        ):
            return False  # f(2) = 1 and f(3) = 1
    if label is not None and other_label is not None and label != other_label:
        if {label.op, other_label.op} == {"sym"} and {label.name, other_label.name} <= _COORDINATES:
            return _same_equation(gold, answer)
        renamed = rename(other_value, other_label, label)
        if renamed is not None:
            other_value = renamed
    outcome = same(value, other_value)
    return outcome or (_same_equation(gold, answer) or outcome)


def without_domains(node: Node) -> Node:
    """The tree without inequalities that only say where its formulas hold: the n > 0 of a_n = 2n, n > 0."""
    if node.op != "seq" or node.name == "or":
        return node
    kept = [item for item in node.args if not (item.op == "rel" and set(item.name) & set("<>"))]
    labels = {label.name for item in kept if (label := _label(item)) is not None}
    if not kept or any(item.op not in (*SCALARS, "rel") for item in kept):
        return node
    bound = frozenset[str]().union(*map(symbols, kept)) - labels
    domains = [variable(item) for item in node.args if item not in kept]
    if not domains or any(domain is None or not symbols(domain) <= bound for domain in domains):
        return node
    return kept[0] if len(kept) == 1 else node._replace(args=tuple(kept))


def _is_question(node: Node) -> bool:
    """Whether an equation gives the value of a formula that was asked for: x + y = 7, not 2x + 3 = 7."""
    if node.name != "=" or len(node.args) != 2 or symbols(node.args[1]):
        return False
    return len(symbols(node.args[0])) > 1 and not _numbers(node.args[0])


def _numbers(node: Node) -> list[Fraction]:
    """The numbers in a tree, in order."""
    return [node.value] if node.op == "num" else [value for arg in node.args for value in _numbers(arg)]


def _solves(gold: Node, answer: Node) -> bool:
    """Whether a formula is the equation solved for its one other symbol: 6/x of xy = 6."""
    if gold.name != "=" or len(gold.args) != 2 or answer.op not in SCALARS or not symbols(answer):
        return False
    others = symbols(gold) - symbols(answer)
    if len(others) != 1 or not symbols(answer) < symbols(gold):
        return False
    (name,) = others
    return solved_by(_difference(gold), name, answer)


def _same_equation(gold: Node, answer: Node) -> bool | None:
    """Equations are the same when their differences are, up to a constant factor."""
    if gold.name != "=" or answer.name != "=":
        if {*gold.name} <= {*"<>= "} >= {*answer.name} and (
            found := same_inequality(gold, answer)
        ) is not None:
            return found
        if gold.name != answer.name:
            flipped = flip(answer)
            return _same_equation(gold, flipped) if gold.name == flipped.name else False
        parts = _all(same(a, b) for a, b in zip(gold.args, answer.args, strict=True))
        return parts if len(gold.args) > 2 else parts or None
    if len(gold.args) != len(answer.args):
        return False
    if len(gold.args) > 2 or any(
        side.op not in SCALARS or has(side, "quantity") for node in (gold, answer) for side in node.args
    ):
        return _all(same(a, b) for a, b in zip(gold.args, answer.args, strict=True))
    mine, theirs = _difference(gold), _difference(answer)
    return proportional(mine, theirs) is not None or same_up_to_powers(mine, theirs)


def _difference(node: Node) -> Node:
    """Left minus right of an equation."""
    return Node("add", (node.args[0], Node("neg", (node.args[1],))))


# -- structures


def _all(outcomes: object) -> bool | None:
    unsure = False
    for outcome in outcomes:  # type: ignore[attr-defined]
        if outcome is False:
            return False
        unsure |= outcome is None
    return None if unsure else True


def _same_tuple(gold: Node, answer: Node) -> bool | None:
    answer = value_of(answer)
    if gold.name == "[]" and answer.op == "seq" and is_interval(gold):
        return False
    if answer.op in ("tuple", "seq"):
        mine, theirs = gold.args, answer.args
        if len(mine) == len(theirs):
            if len(mine) == 2 and answer.op == "tuple" and gold.name != answer.name:
                return False  # (1,2) and [1,2] are different intervals
            outcome = _all(same(value_of(a), value_of(b)) for a, b in zip(mine, theirs, strict=True))
            if outcome is not False:
                return outcome
    if _signs(gold) or _signs(answer) or (answer.op in ("seq", "set") and len(answer.args) == 1):
        return _same_items(gold, answer)
    return False


def _same_matrix(gold: Node, answer: Node) -> bool | None:
    if (gold.name == "vmatrix") != (answer.name == "vmatrix") and gold.op == answer.op:
        return False  # a determinant and a matrix
    if gold.name == "cases" or answer.name == "cases":
        return _same_items(lines(gold), lines(answer))
    mine, theirs = cells(gold), cells(answer)
    if mine is None or theirs is None:
        # A multiple or a sum of matrices on one side.
        return equal(gold, answer) if {gold.op, answer.op} & {"mul", "add", "neg", "div"} else False
    flat = [
        node.op == "tuple" or (node.op == "pow" and node.args[0].op == "tuple") for node in (gold, answer)
    ]
    if mine[0] != theirs[0] and not (1 in mine[0] and 1 in theirs[0] and any(flat)):
        return False
    if len(mine[1]) != len(theirs[1]):
        return False
    return _all(same(a, b) for a, b in zip(mine[1], theirs[1], strict=True))


def _same_ratio(gold: Node, answer: Node) -> bool | None:
    if len(gold.args) != len(answer.args):
        return False
    return _all(
        equal(Node("mul", (a, answer.args[0])), Node("mul", (b, gold.args[0])))
        for a, b in zip(gold.args[1:], answer.args[1:], strict=True)
    )


def _signs(node: Node) -> bool:
    return node.op in ("pm", "mp") or any(map(_signs, node.args))


def items(node: Node) -> list[Node]:
    """The members of a list or set, plus-minus signs multiplied out; of anything else, itself."""
    if node.op in ("seq", "set"):
        # A set inside a set is a member of it.
        nested = node.op == "set" and any(arg.op == "set" for arg in node.args)
        return list(node.args) if nested else [item for arg in node.args for item in items(arg)]
    if node.op == "rel" and (defined := definition(node)) is not None and _signs(defined[1]):
        return items(defined[1])
    return _signed_variants(node) if _signs(node) else [node]


def _signed_variants(node: Node) -> list[Node]:
    if node.op == "tuple":
        choices = [_signed_variants(arg) if _signs(arg) else [arg] for arg in node.args]
        if sum(len(choice) > 1 for choice in choices) > _MAX_SIGNS:
            return [node]
        return [node._replace(args=chosen) for chosen in product(*choices)]
    return [_with_sign(node, positive=True), _with_sign(node, positive=False)]


def _with_sign(node: Node, *, positive: bool) -> Node:
    if node.op in ("pm", "mp"):
        inner = _with_sign(node.args[0], positive=positive)
        return inner if positive == (node.op == "pm") else Node("neg", (inner,))
    return (
        node._replace(args=tuple(_with_sign(arg, positive=positive) for arg in node.args))
        if node.args
        else node
    )


def _same_items(gold: Node, answer: Node) -> bool | None:
    mine, theirs = items(gold), items(answer)
    if any(map(_signs, [*mine, *theirs])):
        return False  # more signs than are multiplied out
    if answer.op == "tuple" and gold.op in ("set", "seq") and len(mine) > 1 and len(theirs) == 1:
        if gold.op == "seq" and len(mine) == len(answer.args):
            return _all(same(a, b) for a, b in zip(mine, answer.args, strict=True))
        return False
    if len(mine) == 1 and len(theirs) > 1:
        return _all(same(mine[0], item) for item in theirs) and True
    if len(mine) != len(theirs) or len(mine) > _MAX_ITEMS:
        return False
    labels = {label for item in mine if (label := _label(item)) is not None}
    labelled = len(labels) == len(mine)
    unsure = False
    for item in mine:
        for place, other in enumerate(theirs):
            if labelled and _labels_differ(item, other):
                continue
            outcome = same(item, other)
            if outcome:
                del theirs[place]
                break
            unsure |= outcome is None
        else:
            return None if unsure else False
    return True


def _label(item: Node) -> Node | None:
    """What a member of a list is about: the x of x = 5 and of x < 5."""
    defined = definition(item)
    return variable(item) if defined is None else defined[0]


def _labels_differ(item: Node, other: Node) -> bool:
    mine, theirs = _label(item), _label(other)
    return mine is not None and theirs is not None and mine != theirs


def renamed(gold: Node, answer: Node) -> Node | None:
    """The answer with its one foreign symbol renamed to the gold's: the k of a family of solutions, or C."""
    mine, theirs = _free(gold), _free(answer)
    own, foreign = mine - theirs, theirs - mine
    if len(own) != 1 or len(foreign) != 1:
        return None
    (name,), (other,) = own, foreign
    parameters = name in _PARAMETERS and other in _PARAMETERS and _mentions_pi(gold)
    if parameters or (name.lower() == other.lower() == "c"):
        return substitute(answer, other, name)
    return None


def _free(node: Node) -> frozenset[str]:
    """The symbols of the values, those of the labels left out."""
    if node.op in ("seq", "set", "rel"):
        parts = [value_of(node)] if node.op == "rel" and definition(node) else list(node.args)
        return frozenset[str]().union(*map(_free, parts)) if parts != [node] else symbols(node)
    return symbols(node)


def _mentions_pi(node: Node) -> bool:
    return (
        (node.op == "sym" and node.name == "pi") or node.op == "degree" or any(map(_mentions_pi, node.args))
    )
