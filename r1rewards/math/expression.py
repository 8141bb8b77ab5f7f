r"""A cleaned answer as a tree: numbers, formulas, tuples, intervals, sets, lists, relations, matrices, words.

One recursive-descent grammar over the tokens, with caps on depth and on literals, so that it is linear
and cannot be driven deep. It reads what people and models write, which is looser than LaTeX: `2^10` is
two to the ten, `1\frac12` a mixed number, `sin 2x` the sine of a product, `(1,2]` an interval.

    answer   group (";" group)*                      group    item (sep item)*
    item     member (relation member)*               member   ratio [unit words]
    ratio    sets (":" sets)*                        sets     sum ((union | meet | minus) sum)*

Formulas, from `sum` down, are read by `formula.py`.
"""

from __future__ import annotations

from fractions import Fraction

from r1rewards.math.cursor import CLOSERS, MAX_DEPTH
from r1rewards.math.exact import exact, half_step
from r1rewards.math.formula import FormulaParser
from r1rewards.math.normalize import clean
from r1rewards.math.phrases import LEADS, in_words
from r1rewards.math.tokens import Token, Unreadable, tokenize
from r1rewards.math.tree import Node, has, number, symbols
from r1rewards.math.units import parse_unit, word_set

RELATIONS = word_set(
    "= < > <= >= != ~ in notin subset subseteq supset supseteq perp parallel sim propto cong"
)
_MULTIPLIERS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_MATRICES = word_set("cases dcases matrix pmatrix bmatrix vmatrix Bmatrix Vmatrix smallmatrix array")
_BRACKET_OPENERS = {"(": "(", "[": "[", "]": "("}
_BRACKET_CLOSERS = {")": ")", "]": "]", "[": ")"}
_LEAD_KINDS = word_set("text stop sep :")
#: Words after an answer that take it back, or that offer another one.
_RETRACTIONS = word_set("not wrong incorrect false unless otherwise else maybe perhaps possibly never")
_ALTERNATIVES = word_set("or also alternatively")
_CONDITIONS = word_set("if when provided given whenever for")
_TRANSPARENT = word_set("align align* aligned equation equation* gather gathered split")


def parse(text: str, *, thousands: bool = True) -> Node:
    """The tree of an answer as it was written. Raises Unreadable."""
    cleaned = clean(text)
    named = in_words(cleaned)
    return _AnswerParser(tokenize(cleaned, thousands=thousands)).whole() if named is None else named


class _AnswerParser(FormulaParser):
    def __init__(self, tokens: list[Token]) -> None:
        super().__init__([token for token in tokens if token.kind != "currency"])
        self.currency = next((token.value for token in tokens if token.kind == "currency"), "")

    def whole(self) -> Node:
        self.tokens = _conclusion(_without_layout(self.tokens))
        while self.peek(1).kind != "eof" and self.peek().kind in _LEAD_KINDS and self.leads():
            self.at += 1
        while self.peek().kind in ("sep", "row", "=", ":", "&", "~"):
            self.at += 1
        if self.peek().kind == "eof":
            raise Unreadable("nothing")
        node = self.bare_builder() or self.answer()
        while self.peek().kind in ("}", "\\}"):
            self.at += 1  # a brace too many at the end
        if self.peek().kind == "(" and self.peek(1).kind == "stop":
            self.at += 1
        if self.peek().kind not in ("eof", "stop"):
            raise Unreadable(f"{self.peek().value!r} left over")
        if self.peek().kind == "stop":
            self.explanation(node)
        if self.currency and node.op in ("num", "neg", "mul", "add", "div"):
            node = Node("quantity", (node,), self.currency)
        elif self.currency and node.op == "quantity" and node.name.startswith(("per ", "each")):
            node = node._replace(name=self.currency)
        return node

    def leads(self) -> bool:
        """Whether the next token is one of the words of "the answer is:"."""
        token = self.peek()
        return token.kind in (":", "sep") or token.value.lower() in LEADS

    def explanation(self, node: Node) -> None:
        """Refuse what follows an answer in words where it makes a sentence of it or takes it back."""
        word = self.next().value
        rest = {token.value.lower() for token in self.tokens[self.at :]}
        if word == "unless" or rest & _RETRACTIONS or _is_subject(node, word):
            raise Unreadable("a sentence")
        if not symbols(node):
            # 42 if n is even, 43 if it is odd
            again = any(
                token.kind == "stop" and token.value in _CONDITIONS for token in self.tokens[self.at :]
            )
            if rest & _ALTERNATIVES or (word in _CONDITIONS and again):
                raise Unreadable("an answer with alternatives")

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
            items = _joined(_without_domains(items)) if name == "and" else _without_domains(items)
        return items[0] if len(items) == 1 else Node("seq", tuple(items), name)

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
        if not relations:
            return members[0]
        for left, sign, right in zip(members, relations, members[1:], strict=False):
            if sign in ("=", "~") and _contradict(left, right, approximately=sign == "~"):
                raise Unreadable("two numbers that are not equal")
        return Node("rel", tuple(members), " ".join(relations))

    def member(self) -> Node:
        node = self.ratio()
        while self.peek().value.lower() in _MULTIPLIERS and node.op in ("num", "mul", "neg"):
            node = Node("mul", (node, number(_MULTIPLIERS[self.next().value.lower()])))
        if self.peek().kind == "text" or (self.peek().kind == "%" and node.op == "text"):
            words = self.words()
            if node.op == "text":
                return Node("text", name=f"{node.name} {words}")
            quantity = Node("quantity", (node,), words)
            if self.peek().kind == "num":
                parts = _joined([quantity, self.member()])
                if len(parts) > 1:
                    raise Unreadable("a number among words")
                return parts[0]
            return quantity
        return node

    def words(self) -> str:
        """The words after a value: a unit, or the thing counted."""
        words: list[str] = []
        depth = braces = 0
        while not ((kind := self.peek().kind) in RELATIONS or kind in ("eof", "stop", "sep", "row")):
            if kind in CLOSERS and not (kind == ")" and depth) and not (kind == "}" and braces):
                break
            depth += (kind == "(") - (kind == ")")
            if kind == "num" and words[-1] not in ("^", "-"):
                if parse_unit(" ".join(words)) is not None:
                    break  # 4 hours 8 minutes
                raise Unreadable("a number among words")
            value = self.next().value
            if value.lower() in _RETRACTIONS:
                raise Unreadable("an answer that is taken back")
            braces += (value == "{") - (value == "}")
            if value not in ("{", "}"):
                words.append(value)
        return " ".join(words)

    def ratio(self) -> Node:
        parts = [self.sets()]
        while self.peek().kind == ":" and not self.bars:
            self.at += 1
            named = parts[0].op == "sym" and len(parts[0].name) == 1 and parts[0].name.isupper()
            if parts[0].op == "text" or (named and self.peek().kind != "sym"):
                return Node("rel", (parts[0], self.member()), "=")  # "Answer: 5", "C: (2, 3]"
            parts.append(self.sets())
        return parts[0] if len(parts) == 1 else Node("ratio", tuple(parts))

    def sets(self) -> Node:
        node = _difference_of_sets(self.sum())
        count = 0
        while self.peek().kind in ("union", "meet", "minus"):
            op = self.next().kind
            node = Node(op, (node, _difference_of_sets(self.sum())))
            count += 1
            if count > MAX_DEPTH:
                raise Unreadable(f"more than {MAX_DEPTH} sets")
        return node

    # -- brackets, braces, sets, matrices

    def braced(self) -> Node:
        self.expect("{")
        bars, self.bars = self.bars, 0
        if self.accept("}"):
            self.bars = bars
            return Node("empty")
        node = self.bare_builder() or self.answer()
        if self.accept("over"):
            node = Node("div", (node, self.answer()), "frac")
        elif self.accept("choose"):
            node = Node("binom", (node, self.answer()))
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
        if closer not in _BRACKET_CLOSERS:
            raise Unreadable(f"{token.value!r} is not closed")
        self.bars = bars
        # ]0, 1[ is the open interval in much of Europe.
        name = _BRACKET_OPENERS[token.kind] + _BRACKET_CLOSERS[closer]
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


def _joined(items: list[Node]) -> list[Node]:
    """4 hours and 8 minutes as one quantity; other items as they are."""
    units = [parse_unit(item.name) if item.op == "quantity" else None for item in items]
    first = units[0]
    if first is None or any(unit is None or unit.dimensions != first.dimensions for unit in units):
        return items
    if len({unit.factor for unit in units if unit is not None}) != len(units):
        return items
    values = [
        Node("mul", (number(unit.factor / first.factor), item.args[0]))
        for item, unit in zip(items, units, strict=True)
        if unit is not None
    ]
    return [Node("quantity", (Node("add", tuple(values)),), items[0].name)]


def _contradict(left: Node, right: Node, *, approximately: bool) -> bool:
    """Whether two numbers that are said to be equal are not even roundings of each other."""
    one, other = exact(left), exact(right)
    if one is None or other is None:
        return False
    steps = [half_step(side) for side in (left, right)]
    if approximately:
        steps.append(Fraction(1, 2))
    return abs(one - other) > max(step or Fraction(0) for step in steps)


def _difference_of_sets(node: Node) -> Node:
    """R - {3} as the set that it means; any other tree as it is."""
    if node.op != "add" or len(node.args) != 2 or node.args[1].op != "neg":
        return node
    whole, holes = node.args[0], node.args[1].args[0]
    return (
        Node("minus", (whole, holes)) if whole.op in ("numbers", "interval") and holes.op == "set" else node
    )


def _conclusion(tokens: list[Token]) -> list[Token]:
    """What follows the last arrow of a deduction: the x = 7 of "2x = 14 => x = 7"."""
    arrows = [place for place, token in enumerate(tokens) if token.kind == "so"]
    return tokens[arrows[-1] + 1 :] if arrows else tokens


def _is_subject(node: Node, word: str) -> bool:
    """Whether what stands before this word is what a sentence is about, rather than an answer."""
    if word in ("is", "are", "has", "have", "such", "that"):
        return not (has(node, "rel") or has(node, "num"))
    items = node.args if node.op == "seq" else (node,)
    return all(item.op in ("sym", "text", "app") for item in items)


def _without_domains(items: list[Node]) -> list[Node]:
    """The items without `n in Z`, which restricts nothing comparable, and `x != 0` beside a formula."""
    kept = [
        item
        for item in items
        if not (item.op == "rel" and item.name == "in" and item.args[1].op in ("numbers", "quantity"))
    ]
    if any(symbols(item) and not (item.op == "rel" and set(item.name) & set("<>!")) for item in kept):
        kept = [item for item in kept if not (item.op == "rel" and item.name == "!=")]
    return kept or items[:1]


def _without_layout(tokens: list[Token]) -> list[Token]:
    """The tokens without environments that only align lines."""
    return [token for token in tokens if not (token.kind in ("begin", "end") and token.value in _TRANSPARENT)]
