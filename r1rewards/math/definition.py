"""Relations that define something: x = 5, f(x) = x + 1, AB/CD = 2, (p, q) = (3, 2)."""

from __future__ import annotations

from r1rewards.math.tree import Node, substitute, symbols


def is_label(node: Node) -> bool:
    """Whether a tree can be the left side of a definition: x, f(x), a_n, (x, y), AB/CD, P(A)."""
    if node.op in ("sym", "text"):
        return node.name not in ("pi", "e")
    if node.op in ("app", "prime"):
        return True
    if node.op in ("abs", "fn"):
        return bool(symbols(node))
    if node.op in ("tuple", "seq"):
        return bool(node.args) and all(map(is_label, node.args))
    if node.op == "mul" and node.name == "call":
        return True
    if node.op in ("mul", "div", "ratio"):
        names = symbols(node)
        return bool(names) and all(name[0].isupper() for name in names) and not _has_number(node)
    return False


def _has_number(node: Node) -> bool:
    return node.op in ("num", "add", "pow") or any(map(_has_number, node.args))


def definition(node: Node) -> tuple[Node | None, Node] | None:
    """What a relation defines, and the value it gives; None when it is an equation or an inequality."""
    if node.op != "rel":
        return None
    signs, members = node.name.split(), list(node.args)
    if signs == ["in"]:
        return members[0], members[1]
    if not set(signs) <= {"=", "~"}:
        return None
    while len(members) > 1 and signs[-1] == "~" and not is_label(members[-2]):
        del members[-1], signs[-1]  # an approximation beside the exact value
    if len(members) == 1:
        return None, members[0]
    if is_label(members[0]):
        return members[0], members[-1]
    if is_label(members[-1]) and not symbols(members[0]):
        return members[-1], members[0]
    if not symbols(members[-1]) and (len(members) > 2 or not symbols(members[0])):
        return None, members[-1]  # 2 + 3 = 5, or a chain that ends in a number
    return None


def value_of(node: Node) -> Node:
    """The value that a definition gives; any other tree as it is."""
    for _ in range(4):
        defined = definition(node)
        if defined is None:
            return node
        node = defined[1]
    return node


def rename(value: Node, label: Node, wanted: Node) -> Node | None:
    """The value of f(m) = ... with m renamed as in f(n) = ...; None when the labels bind nothing."""
    bound, target = _bound(label), _bound(wanted)
    if not bound or not target or bound == target or target in symbols(value):
        return None
    return substitute(value, bound, target)


def _bound(label: Node) -> str:
    if label.op == "app" or (label.op == "mul" and label.name == "call"):
        last = label.args[-1]
        return last.name if last.op == "sym" else ""
    return ""
