"""A cursor over the tokens of one answer: what both halves of the grammar read with."""

from __future__ import annotations

from r1rewards.math.tokens import END, Token, Unreadable

MAX_DEPTH = 40
CLOSERS = frozenset((")", "]", "}", "\\}", "end", "row", "&", "rfloor", "rceil"))


class Cursor:
    """The tokens, how far they are read, and how deep the reading is."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        #: Open |...| and set-builder bars, inside which a bar closes rather than opens.
        self.bars = 0

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

    def ended(self) -> bool:
        return self.peek().kind in CLOSERS or self.peek().kind in ("eof", "stop")
