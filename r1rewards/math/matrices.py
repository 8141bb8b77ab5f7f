"""Matrices as their shape and their cells: products and transposes worked out, tuples read as rows."""

from __future__ import annotations

from r1rewards.math.tree import Node

_TRANSPOSED = (Node("sym", name="T"), Node("sym", name="\\top"), Node("sym", name="\\intercal"))
Cells = tuple[tuple[int, int], list[Node]]


def lines(node: Node) -> Node:
    """The lines of a case distinction or a system, as a list."""
    if node.op != "matrix":
        return node
    rows = [row.args[0] if len(row.args) == 1 else Node("tuple", row.args, "()") for row in node.args]
    return Node("seq", tuple(rows), ",")


def cells(node: Node) -> Cells | None:
    """(rows, columns) and the cells, row by row; None of what is no matrix."""
    if node.op == "mul" and all(arg.op == "matrix" for arg in node.args) and len(node.args) <= 4:
        product = cells(node.args[0])
        for arg in node.args[1:]:
            product = _product(product, cells(arg))
        return product
    if node.op == "pow" and node.args[1] in _TRANSPOSED and (inner := cells(node.args[0])) is not None:
        (rows, columns), values = inner
        return (columns, rows), [
            values[row * columns + column] for column in range(columns) for row in range(rows)
        ]
    if node.op == "tuple" and node.args and all(arg.op == "tuple" for arg in node.args):
        node = Node("matrix", node.args)  # [[1, 2], [3, 4]]
    if node.op == "tuple":
        return (1, len(node.args)), list(node.args)
    if node.op != "matrix" or len({len(row.args) for row in node.args}) != 1:
        return None
    return (len(node.args), len(node.args[0].args)), [cell for row in node.args for cell in row.args]


def _product(left: Cells | None, right: Cells | None) -> Cells | None:
    if left is None or right is None or left[0][1] != right[0][0] or max(*left[0], *right[0]) > 6:
        return None
    (rows, inner), columns = left[0], right[0][1]
    return (rows, columns), [
        Node(
            "add",
            tuple(
                Node("mul", (left[1][row * inner + k], right[1][k * columns + column])) for k in range(inner)
            ),
        )
        for row in range(rows)
        for column in range(columns)
    ]
