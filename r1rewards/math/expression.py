r"""A cleaned answer as a tree: numbers, formulas, tuples, intervals, sets, lists, relations, matrices, words.

One recursive-descent grammar over the tokens, with caps on depth and on literals, so that it is linear
and cannot be driven deep. It reads what people and models write, which is looser than LaTeX: `2^10` is
two to the ten, `1\frac12` a mixed number, `sin 2x` the sine of a product, `(1,2]` an interval.

    answer    group (";" group)*                     group    item (sep item)*
    item      member (relation member)*              member   ratio [unit words]
    ratio     sets (":" sets)*                       sets     sum ((union | meet | minus) sum)*
    sum       term (("+" | "-" | "pm") term)*        term     power (("*" | "/" | nothing) power)*
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from r1rewards.math.normalize import clean
from r1rewards.math.tokens import END, Token, Unreadable, tokenize
from r1rewards.math.units import word_set

MAX_DEPTH = 40
_MAX_SCIENTIFIC = 400
RELATIONS = word_set(
    "= < > <= >= != ~ in notin subset subseteq supset supseteq perp parallel sim propto cong"
)
_CLOSERS = frozenset((")", "]", "}", "\\}", "end", "row", "&", "rfloor", "rceil"))
_MULTIPLIERS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_APPLIED = frozenset("fghFGH")
_MATRICES = word_set("cases dcases matrix pmatrix bmatrix vmatrix Bmatrix Vmatrix smallmatrix array")
_TRANSPARENT = word_set("align align* aligned equation equation* gather gathered split")


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


def parse(text: str, *, thousands: bool = True) -> Node:
    """The tree of an answer as it was written. Raises Unreadable."""
    return _Parser(tokenize(clean(text), thousands=thousands)).whole()


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.money = any(token.kind == "currency" for token in tokens)
        self.tokens = [token for token in tokens if token.kind != "currency"]
        self.at = 0
        self.depth = 0
        self.bars = 0

    # -- tokens

    def peek(self, ahead: int = 0) -> Token:
        position = self.at + ahead
        return self.tokens[position] if position < len(self.tokens) else END

    def next(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def accept(self, kind: str) -> bool:
        if self.peek().kind != kind:
            return False
        self.at += 1
        return True

    def expect(self, kind: str) -> None:
        token = self.next()
        if token.kind != kind:
            raise Unreadable(f"{token.value or 'the end'!r} where {kind!r} was expected")

    # -- answer, groups, items

    def whole(self) -> Node:
        self.tokens = _without_layout(self.tokens)
        while self.peek().kind in ("sep", "row", "=", ":", "&", "~"):
            self.at += 1
        if self.peek().kind == "eof":
            raise Unreadable("nothing")
        node = self.bare_builder() or self.answer()
        while self.peek().kind in ("}", "\\}"):
            self.at += 1  # a brace too many at the end
        if self.peek().kind not in ("eof", "stop"):
            raise Unreadable(f"{self.peek().value!r} left over")
        items = node.args if node.op == "seq" else (node,)
        if self.peek().kind == "stop" and all(item.op in ("sym", "text", "app") for item in items):
            raise Unreadable("a sentence")
        if self.money and node.op in ("num", "neg", "mul", "add", "div"):
            node = Node("quantity", (node,), "dollar")
        return node

    def answer(self) -> Node:
        groups: list[Node] = []
        while True:
            groups.append(self.group())
            if not (self.peek().kind == "sep" and self.peek().value == ";"):
                break
            self.at += 1
            if self.ended():
                break
        if len(groups) == 1:
            return groups[0]
        groups = [
            Node("tuple", group.args, "()") if group.op == "seq" and group.name == "," else group
            for group in groups
        ]
        return Node("seq", tuple(groups), ",")

    def group(self) -> Node:
        items = [self.item()]
        name = ","
        while True:
            separated = False
            while self.peek().kind in ("sep", "row") and self.peek().value != ";":
                value = self.next().value
                name = value if value in ("and", "or") and not (name == "or" and value == "and") else name
                separated = True
            if not separated or self.ended() or self.peek().value == ";":
                break
            items.append(self.item())
        if len(items) > 1:
            items = _without_domains(items)
        return items[0] if len(items) == 1 else Node("seq", tuple(items), name)

    def ended(self) -> bool:
        return self.peek().kind in _CLOSERS or self.peek().kind in ("eof", "stop")

    def item(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable(f"nested deeper than {MAX_DEPTH}")
        members, relations = [self.member()], []
        while self.peek().kind in RELATIONS:
            sign = self.next().kind
            if self.ended() or self.peek().kind == "sep":
                break  # "x =" before a blank
            relations.append(sign)
            members.append(self.member())
        self.depth -= 1
        return members[0] if not relations else Node("rel", tuple(members), " ".join(relations))

    def member(self) -> Node:
        node = self.ratio()
        while self.peek().value.lower() in _MULTIPLIERS and node.op in ("num", "mul", "neg"):
            node = Node("mul", (node, number(_MULTIPLIERS[self.next().value.lower()])))
        if self.peek().kind == "text" or (self.peek().kind == "%" and node.op == "text"):
            words = self.words()
            if node.op == "text":
                return Node("text", name=f"{node.name} {words}")
            return Node("quantity", (node,), words)
        return node

    def words(self) -> str:
        """The words after a value: a unit, or the thing counted."""
        words: list[str] = []
        depth = braces = 0
        while not ((kind := self.peek().kind) in RELATIONS or kind in ("eof", "stop", "sep", "row")):
            if kind in _CLOSERS and not (kind == ")" and depth) and not (kind == "}" and braces):
                break
            depth += (kind == "(") - (kind == ")")
            if kind == "num" and words[-1] not in ("^", "-"):
                raise Unreadable("a number among words")
            value = self.next().value
            braces += (value == "{") - (value == "}")
            if value not in ("{", "}"):
                words.append(value)
        return " ".join(words)

    def ratio(self) -> Node:
        parts = [self.sets()]
        while self.peek().kind == ":" and not self.bars:
            self.at += 1
            if parts[0].op == "text" or (parts[0].op == "sym" and self.peek().kind in ("[", "\\{")):
                return Node("rel", (parts[0], self.member()), "=")  # "Answer: 5"
            parts.append(self.sets())
        return parts[0] if len(parts) == 1 else Node("ratio", tuple(parts))

    def sets(self) -> Node:
        node = self.sum()
        count = 0
        while self.peek().kind in ("union", "meet", "minus"):
            op = self.next().kind
            node = Node(op, (node, self.sum()))
            count += 1
            if count > MAX_DEPTH:
                raise Unreadable(f"more than {MAX_DEPTH} sets")
        return node

    # -- formulas

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
                mixed = _is_mixed(node, right)
                node = Node("add", (node, right), "mixed") if mixed else _times(node, right)
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

    def braced(self) -> Node:
        self.expect("{")
        bars, self.bars = self.bars, 0
        if self.accept("}"):
            self.bars = bars
            return Node("empty")
        node = self.bare_builder() or self.answer()
        if self.accept("over"):
            node = Node("div", (node, self.answer()), "frac")
        if self.peek().kind == "stop":
            raise Unreadable("words inside a group")
        self.expect("}")
        self.bars = bars
        return node

    def bare_builder(self) -> Node | None:
        """`x | 0 < x < 4`, a set-builder that lost its braces, or their backslashes."""
        if self.peek().kind != "sym" or self.peek(1).kind != "|":
            return None
        if sum(token.kind == "|" for token in self.tokens[self.at :]) % 2 == 0:
            return None
        variable = Node("sym", name=self.next().value)
        self.at += 1
        return Node("builder", (variable, self.answer()))

    def atom(self) -> Node:
        token = self.next()
        handler = _ATOMS.get(token.kind)
        if handler is None:
            raise Unreadable(f"{token.value or 'the end'!r} where a value was expected")
        return handler(self, token)

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
        primes = 0
        while token.value in _APPLIED and self.peek().kind == "'":
            self.at += 1
            primes += 1
        for _ in range(primes):
            node = Node("prime", (node,))
        called = token.value in _APPLIED or not self.peek().spaced
        if self.peek().kind == "(" and called and node.op != "app":
            start = self.at
            inside = self.bracket(self.next())
            if token.value in _APPLIED:
                args = inside.args if inside.op == "tuple" else (inside,)
                return Node("app", args, node.name + "'" * primes)
            if inside.op in ("sym", "num"):
                # W(n): a call when it stands left of "=", else a product; `values.py` decides.
                return Node("mul", (node, inside), "call")
            self.at = start
        return node

    def text(self, token: Token) -> Node:
        words = [token.value]
        while self.peek().kind == "text":
            words.append(self.next().value)
        return Node("text", name=" ".join(words))

    def group_atom(self, token: Token) -> Node:
        self.at -= 1
        node = self.braced()
        return Node("seq", node.args, node.name) if node.op == "seq" else node

    def bracket(self, token: Token) -> Node:
        bars, self.bars = self.bars, 0
        if token.kind == "(" and self.accept(")"):
            raise Unreadable("empty brackets")
        if token.kind == "[" and self.accept("]"):
            return Node("tuple", (), "[]")
        inside = self.answer()
        closer = self.next().kind
        if closer not in (")", "]"):
            raise Unreadable(f"{token.value!r} is not closed")
        self.bars = bars
        name = token.kind + closer
        if inside.op != "seq":
            if name in ("(]", "[)"):
                raise Unreadable("an interval with one end")
            return inside if inside.op != "tuple" or name == "()" else Node("tuple", (inside,), name)
        if name in ("()", "[]"):
            return Node("tuple", inside.args, name)
        if len(inside.args) != 2:
            raise Unreadable("an interval with other than two ends")
        return Node("interval", inside.args, name)

    def set(self, token: Token) -> Node:
        bars, self.bars = self.bars, 0
        if self.accept("\\}"):
            self.bars = bars
            return Node("set")
        self.bars = 1
        inside = self.answer()
        if self.peek().kind in ("|", ":") or (self.peek().kind == "stop" and self.peek().value == "such"):
            if self.next().kind == "stop" and self.peek().value == "that":
                self.at += 1
            self.bars = 0
            condition = self.answer()
            self.bars = bars
            self.expect("\\}")
            return Node("builder", (inside, condition))
        self.bars = bars
        if inside.op == "matrix" and self.peek().kind == "eof":
            return inside._replace(name="cases")  # \left\{ ... \right. around lines
        self.expect("\\}")
        return Node("set", inside.args if inside.op == "seq" else (inside,))

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
        if self.ended() and name in ("max", "min", "sup", "inf"):
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
                low = self.braced_or_atom()
            else:
                high = self.braced_or_atom()
        return Node("big", (low, high, self.term()), token.kind)

    def braced_or_atom(self) -> Node:
        return self.braced() if self.peek().kind == "{" else self.argument()

    def begin(self, token: Token) -> Node:
        if token.value not in _MATRICES:
            raise Unreadable(f"the environment {token.value[:20]!r}")
        rows: list[Node] = []
        row: list[Node] = []
        while True:
            while self.peek().kind == "stop" or (self.peek().kind == "sep" and row):
                self.at += 1  # "if x > 0" beside a case
            if self.peek().kind not in ("row", "&", "end"):
                row.append(self.item())
            self.accept("sep")
            closing = self.next()
            if closing.kind == "&":
                continue
            if row:
                rows.append(Node("row", tuple(row)))
                row = []
            if closing.kind == "end" and closing.value == token.value:
                return Node("matrix", tuple(rows), token.value)
            if closing.kind != "row":
                raise Unreadable("a matrix that is not closed")

    def numbers(self, token: Token) -> Node:
        """A set of numbers, with its star or sign: R, N^*, Z_+."""
        while self.peek().kind in ("^", "_"):
            self.at += 1
            depth = 0
            while not self.ended() or depth:
                depth += (self.peek().kind == "{") - (self.peek().kind == "}")
                if self.next().kind == "eof" or not depth:
                    break
        return Node("numbers", name=token.value)

    def constant(self, token: Token) -> Node:
        return {
            "infty": Node("infinity"),
            "emptyset": Node("set"),
            "ldots": Node("sym", name="..."),
        }[token.kind]


_ATOMS = {
    "num": _Parser.num,
    "repeat": _Parser.repeat,
    "sym": _Parser.sym,
    "text": _Parser.text,
    "{": _Parser.group_atom,
    "(": _Parser.bracket,
    "[": _Parser.bracket,
    "\\{": _Parser.set,
    "|": _Parser.bar,
    "lfloor": _Parser.floor,
    "lceil": _Parser.floor,
    "frac": _Parser.frac,
    "binom": _Parser.binom,
    "sqrt": _Parser.sqrt,
    "fn": _Parser.fn,
    "sum": _Parser.big,
    "prod": _Parser.big,
    "int": _Parser.big,
    "begin": _Parser.begin,
    "infty": _Parser.constant,
    "emptyset": _Parser.constant,
    "numbers": _Parser.numbers,
    "ldots": _Parser.constant,
}
_FACTOR_STARTS = frozenset(_ATOMS) - {"text", "numbers", "emptyset"}


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


def _without_domains(items: list[Node]) -> list[Node]:
    """The items without `n in Z`, which restricts nothing comparable, and `x != 0` beside a formula."""
    kept = [
        item
        for item in items
        if not (item.op == "rel" and item.name == "in" and item.args[1].op in ("numbers", "quantity"))
    ]
    if any(not (item.op == "rel" and set(item.name) & set("<>!")) for item in kept):
        kept = [item for item in kept if not (item.op == "rel" and item.name == "!=")]
    return kept or items[:1]


def _subscripted(node: Node, index: Node) -> Node:
    if node.op == "num":
        return Node("base", (node, index))
    if node.op == "sym":
        if index.op in ("num", "text"):
            return Node("sym", name=f"{node.name}_{index.value if index.op == 'num' else index.name}")
        return Node("app", index.args if index.op in ("seq", "tuple") else (index,), node.name + "_")
    return Node("app", (node, index), "_")


def _without_layout(tokens: list[Token]) -> list[Token]:
    """The tokens without environments that only align lines."""
    return [token for token in tokens if not (token.kind in ("begin", "end") and token.value in _TRANSPARENT)]
