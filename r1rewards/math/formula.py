"""Formulas from tokens: the half of the grammar whose results have a value, from sums down to atoms.

    sum      term (("+" | "-" | "pm") term)*         term     power (("*" | "/" | nothing) power)*
    power    atom postfix*                           postfix  "!" "%" "°" "'" "_" argument "^" exponent

What may stand inside brackets and braces is an answer again, which `expression.py` adds.
"""

from __future__ import annotations

from fractions import Fraction

from r1rewards.math.cursor import CLOSERS, MAX_DEPTH, Cursor
from r1rewards.math.phrases import in_words
from r1rewards.math.tokens import Token, Unreadable
from r1rewards.math.tree import Node, number

_MAX_SCIENTIFIC = 400
_APPLIED = frozenset("fghFGH")
#: What follows a bracket that closes an interval although it looks like an opening one.
_AFTER_CLOSER = CLOSERS | {"eof", "stop", "sep", "union", "meet", "minus"}


class FormulaParser(Cursor):
    """The grammar of formulas; linear in the number of tokens, capped in depth."""

    # -- what expression.py adds

    def answer(self) -> Node:
        """Everything up to a closing bracket or the end."""
        raise NotImplementedError

    def braced(self) -> Node:
        """A group in braces, as an argument or an atom."""
        raise NotImplementedError

    def bracket(self, token: Token) -> Node:
        """What follows an opening ( or [."""
        raise NotImplementedError

    # -- sums down to powers

    def sum(self) -> Node:
        parts = [self.signed()]
        while self.peek().kind in ("+", "-", "pm", "mp"):
            parts.append(self.signed())
        return parts[0] if len(parts) == 1 else Node("add", tuple(parts))

    def signed(self) -> Node:
        signs = []
        while self.peek().kind in ("+", "-", "pm", "mp"):
            signs.append(self.next().kind)
            if len(signs) > 8:
                raise Unreadable("a run of signs")
        node = self.term()
        for sign in reversed(signs):
            if sign == "-":
                node = Node("neg", (node,))
            elif sign != "+":
                node = Node(sign, (node,))
        return node

    def term(self) -> Node:
        node = self.power()
        divisions = 0
        while True:
            token = self.peek()
            if token.kind == "*":
                self.at += 1
                node = _times(node, self.signed_power())
            elif token.kind == "/":
                self.at += 1
                divisions += 1
                if divisions > MAX_DEPTH:
                    raise Unreadable("a chain of divisions")
                node = Node("div", (node, self.signed_power()))
            elif token.kind == "num" and node.op == "num":
                node = self.mixed(node)
            elif self.starts_factor(token):
                if node.op == "text":
                    raise Unreadable("words before a formula")
                right = self.power()
                if right.op == "rel" and right.name != "=":
                    continue  # "(x > 0)" beside a formula
                node = _beside(node, right)
            else:
                return node

    def mixed(self, whole: Node) -> Node:
        """`918 1/2`; two numbers side by side are nothing else."""
        over, slash, under = self.peek(), self.peek(1), self.peek(2)
        if slash.kind == "/" and over.value.isdigit() and under.value.isdigit() and whole.digits < 0:
            self.at += 3
            if int(over.value) < int(under.value):
                part = Node("div", (number(int(over.value)), number(int(under.value))))
                return Node("add", (whole, part), "mixed")
        raise Unreadable("two numbers side by side")

    def starts_factor(self, token: Token) -> bool:
        if token.kind == "|":
            return not self.bars
        if token.kind == "[" and self.peek(1).kind in _AFTER_CLOSER:
            return False  # [2, 3[
        if token.kind == "(" and self.peek(1).kind == "stop":
            return False  # 7 (since 3 + 4 = 7)
        return token.kind in _FACTOR_STARTS

    def signed_power(self) -> Node:
        if self.peek().kind == "-":
            self.at += 1
            return Node("neg", (self.power(),))
        self.accept("+")
        return self.power()

    def power(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable(f"nested deeper than {MAX_DEPTH}")
        node = self.postfix(self.atom())
        self.depth -= 1
        return node

    def postfix(self, node: Node) -> Node:
        for _ in range(MAX_DEPTH):
            kind = self.peek().kind
            if kind == "!":
                self.at += 1
                node = Node("fact", (node,))
            elif kind in ("%", "degree"):
                self.at += 1
                node = Node("percent" if kind == "%" else "degree", (node,))
            elif kind == "'":
                self.at += 1
                node = Node("prime", (node,))
            elif kind == "_":
                self.at += 1
                node = _subscripted(node, self.argument())
            elif kind == "^":
                self.at += 1
                node = self.superscript(node)
            else:
                return node
        raise Unreadable("a run of signs after a value")

    def superscript(self, node: Node) -> Node:
        if self.accept("degree"):
            return Node("degree", (node,))
        if self.accept("'"):
            return Node("prime", (node,))
        if self.peek().kind == "{":
            ahead = 1
            while self.peek(ahead).kind == "'":
                ahead += 1
            if ahead > 1 and self.peek(ahead).kind == "}":
                self.at += ahead + 1
                return Node("prime", (node,), "'" * (ahead - 1))
            if self.peek(1).kind in ("degree", "text", "*", "+") and self.peek(2).kind == "}":
                self.at += 3
                return Node("degree", (node,)) if self.peek(-2).kind == "degree" else node
        if self.ended() or self.peek().kind == "sep":
            return node  # "90^" cut short
        return Node("pow", (node, self.exponent()))

    def exponent(self) -> Node:
        if self.peek().kind in ("-", "+"):
            return self.signed_power_once()
        node = self.argument()
        # Towers lean to the right: 2^3^2 is 2^(3^2).
        if self.accept("^"):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise Unreadable("a tower of powers")
            node = Node("pow", (node, self.exponent()))
            self.depth -= 1
        return node

    def signed_power_once(self) -> Node:
        negative = self.next().kind == "-"
        node = self.argument()
        return Node("neg", (node,)) if negative else node

    def argument(self) -> Node:
        """What a command or ^ or _ takes: a braced group, or one atom."""
        if self.peek().kind == "{":
            return self.braced()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable(f"nested deeper than {MAX_DEPTH}")
        node = self.atom()
        self.depth -= 1
        return node

    def atom(self) -> Node:
        token = self.next()
        method = _ATOMS.get(token.kind)
        if method is None:
            raise Unreadable(f"{token.value or 'the end'!r} where a value was expected")
        node: Node = getattr(self, method)(token)
        return node

    # -- atoms, by the kind of their first token

    def num(self, token: Token) -> Node:
        mantissa, _, exponent = token.value.lower().partition("e")
        value = Fraction(mantissa)
        digits = len(mantissa.partition(".")[2]) if "." in mantissa else -1
        if not exponent:
            return Node("num", value=value, digits=digits)
        power = int(exponent[:6])
        if abs(power) > _MAX_SCIENTIFIC:
            raise Unreadable("an exponent out of range")
        return Node("num", value=value * Fraction(10) ** power, digits=max(digits, 0) - power)

    def repeat(self, token: Token) -> Node:
        start, _, cycle = token.value.partition("|")
        places = len(start.partition(".")[2])
        tail = Fraction(int(cycle), (10 ** len(cycle) - 1) * 10**places)
        return number(Fraction(start if not start.endswith(".") else start + "0") + tail)

    def sym(self, token: Token) -> Node:
        node = Node("sym", name=token.value)
        if self.peek().kind == "_":
            self.at += 1
            node = _subscripted(node, self.argument())
        name = node.name
        if token.value in _APPLIED:
            while self.peek().kind == "'" and len(name) < MAX_DEPTH:
                self.at += 1
                name += "'"
                node = Node("prime", (node,))
            if [self.peek(ahead).value for ahead in range(6)] == ["^", "{", "-", "1", "}", "("]:
                self.at += 5
                name += "^-1"
        called = token.value in _APPLIED or token.value.isupper() or not self.peek().spaced
        if self.peek().kind == "(" and called and node.op != "app":
            start, spaced = self.at, self.peek().spaced
            inside = self.bracket(self.next())
            if token.value in _APPLIED:
                args = inside.args if inside.op == "tuple" else (inside,)
                return Node("app", args, name)
            if inside.op == "tuple" and token.value.isupper() and (self.ended() or self.peek().kind == "sep"):
                # The point A(1, 2).
                return Node("rel", (node, inside), "=")
            if inside.op in ("sym", "num") and not spaced:
                # W(n): a call when it stands left of "=", else a product; `values.py` decides.
                return Node("mul", (node, inside), "call")
            self.at = start
        return node

    def text(self, token: Token) -> Node:
        words = [token.value]
        while self.peek().kind == "text":
            words.append(self.next().value)
        return Node("text", name=" ".join(words))

    def bar(self, token: Token) -> Node:
        self.bars += 1
        inside = self.sum()
        self.expect("|")
        self.bars -= 1
        return Node("abs", (inside,))

    def floor(self, token: Token) -> Node:
        inside = self.sum()
        self.expect("rfloor" if token.kind == "lfloor" else "rceil")
        return Node("floor" if token.kind == "lfloor" else "ceil", (inside,))

    def frac(self, token: Token) -> Node:
        over = self.argument()
        return Node("div", (over, self.argument()), "frac")

    def binom(self, token: Token) -> Node:
        over = self.argument()
        return Node("binom", (over, self.argument()))

    def sqrt(self, token: Token) -> Node:
        degree = number(2)
        if self.accept("["):
            degree = self.sum()
            self.expect("]")
        return Node("root", (degree, self.argument()))

    def fn(self, token: Token) -> Node:
        name, power, base = token.value, None, None
        if (self.ended() or self.peek().kind == "=") and name in ("max", "min", "sup", "inf"):
            return Node("text", name=name)  # the index of f_max
        while self.peek().kind in ("^", "_"):
            if self.next().kind == "^":
                power = self.exponent() if self.peek().kind != "{" else self.braced()
            else:
                base = self.argument()
        if power == Node("neg", (number(1),)) and name in ("sin", "cos", "tan", "cot", "sec", "csc"):
            name, power = "arc" + name, None
        argument = self.fn_argument()
        args = argument.args if argument.op in ("tuple", "seq") else (argument,)
        node = Node("fn", args if base is None else (*args, base), name if base is None else name + "_")
        return node if power is None else Node("pow", (node, power))

    def fn_argument(self) -> Node:
        if self.peek().kind in ("(", "{", "["):
            token = self.next()
            if token.kind == "{":
                self.at -= 1
                return self.braced()
            return self.bracket(token)
        sign = self.accept("-")
        node = self.power()
        while self.peek().kind not in ("fn", "(", "[", "big") and self.starts_factor(self.peek()):
            node = _times(node, self.power())
        if self.peek().kind == "/" and self.peek(1).kind == "num":
            self.at += 1
            node = Node("div", (node, self.power()))
        return Node("neg", (node,)) if sign else node

    def big(self, token: Token) -> Node:
        """A sum, product or integral: bounds, then what it runs over."""
        low = high = Node("empty")
        while self.peek().kind in ("_", "^"):
            if self.next().kind == "_":
                low = self.argument()
            else:
                high = self.argument()
        return Node("big", (low, high, self.term()), token.kind)


#: Atom by the kind of its first token, and the method that reads it.
_ATOMS = {
    "num": "num",
    "repeat": "repeat",
    "sym": "sym",
    "text": "text",
    "{": "group_atom",
    "(": "bracket",
    "[": "bracket",
    "]": "bracket",
    "\\{": "set",
    "|": "bar",
    "lfloor": "floor",
    "lceil": "floor",
    "frac": "frac",
    "binom": "binom",
    "sqrt": "sqrt",
    "fn": "fn",
    "sum": "big",
    "prod": "big",
    "int": "big",
    "begin": "begin",
    "infty": "constant",
    "emptyset": "constant",
    "numbers": "numbers",
    "ldots": "constant",
}
_FACTOR_STARTS = frozenset(_ATOMS) - {"text", "numbers", "emptyset", "]"}


def _beside(left: Node, right: Node) -> Node:
    """Two factors side by side: a product, or a mixed number, with its percent sign or degree."""
    if right.op in ("percent", "degree") and _is_mixed(left, right.args[0]):
        return Node(right.op, (Node("add", (left, right.args[0]), "mixed"),))
    return Node("add", (left, right), "mixed") if _is_mixed(left, right) else _times(left, right)


def _is_mixed(left: Node, right: Node) -> bool:
    if not (left.op == "num" and left.digits < 0 and left.value >= 1 and right.op == "div"):
        return False
    over, under = right.args
    return (
        right.name == "frac"
        and over.op == under.op == "num"
        and over.digits < 0
        and under.digits < 0
        and over.value < under.value
    )


def _times(left: Node, right: Node) -> Node:
    factors = left.args if left.op == "mul" and not left.name else (left,)
    return Node("mul", (*factors, right))


def _subscripted(node: Node, index: Node) -> Node:
    if node.op == "num":
        return Node("base", (node, in_words(index.name) or index if index.op == "text" else index))
    if node.op == "sym":
        if index.op in ("num", "text"):
            return Node("sym", name=f"{node.name}_{index.value if index.op == 'num' else index.name}")
        return Node("app", index.args if index.op in ("seq", "tuple") else (index,), node.name + "_")
    return Node("app", (node, index), "_")
