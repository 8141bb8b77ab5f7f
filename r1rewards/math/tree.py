"""The tree of an answer, and the few questions that any part of the grader asks of one."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from r1rewards.math.units import word_set

#: The kinds of node that have one value at a point.
SCALARS = word_set(
    "num sym add neg mul div pow root fn fact percent degree app abs floor ceil binom big base prime "
    "quantity ratio pm mp"
)


class Node(NamedTuple):
    """One node of an answer.

    op     what it is: num sym text add neg mul div pow root fn fact percent degree app abs floor ceil
           binom big base pm mp prime ratio | tuple interval set builder seq group matrix union meet
           minus rel infinity numbers quantity empty
    name   symbol, function, bracket pair, relation signs, unit words
    value  of a number; `digits` its decimals, -1 for an integer literal
    """

    op: str
    args: tuple[Node, ...] = ()
    name: str = ""
    value: Fraction = Fraction(0)
    digits: int = -1


def number(value: int | Fraction) -> Node:
    return Node("num", value=Fraction(value))


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


def substitute(node: Node, name: str, target: str) -> Node:
    """The tree with a symbol renamed."""
    if node.op == "sym":
        return node._replace(name=target) if node.name == name else node
    return (
        node._replace(args=tuple(substitute(arg, name, target) for arg in node.args)) if node.args else node
    )


def has(node: Node, op: str, name: str = "") -> bool:
    """Whether a node of this kind (and name) stands anywhere in the tree."""
    return (node.op == op and name in ("", node.name)) or any(has(arg, op, name) for arg in node.args)
