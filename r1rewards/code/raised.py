"""The program's exceptions, in the tests' process: standard ones as themselves, its own made anew."""

from __future__ import annotations

import builtins
import contextlib
import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from r1rewards.code import wire

#: Exceptions of the program that reach the tests as themselves. StopIteration would silently end a loop.
_EXCEPTIONS = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, BaseException)
    and not issubclass(kind, StopIteration | StopAsyncIteration | GeneratorExit)
}
_DEEPEST_LINEAGE = 50


class ProgramError(Exception):
    """The program raised something that the tests have no name for."""


class Exceptions:
    """The classes of exceptions that one program has told of, by their numbers."""

    def __init__(self) -> None:
        self._made: dict[int, type[BaseException]] = {}

    def number(self, kind: type[BaseException]) -> int | None:
        """The number of a class that was made here."""
        return next((number for number, made in self._made.items() if made is kind), None)

    def rebuilt(self, answer: Mapping[str, Any], decode: Callable[[Any], Any]) -> BaseException:
        """The exception that an answer of the program tells of; `decode` reads the values in it."""
        kind = self.kind(answer["raised"])
        args = [decode(arg) for arg in answer["with"]]
        text = str(answer.get("text"))[:2000]
        if kind is None:
            return marked(ProgramError(f"{answer['raised'][0][0]}: {text}"))
        error: BaseException = ProgramError(f"{kind.__name__}: {text}")
        for make in (kind, partial(kind.__new__, kind)):  # not every kind is made of its args
            with contextlib.suppress(Exception):
                error = make(*args)
                break
        state = {name: decode(value) for name, value in answer["state"].items()}
        error.__dict__.update({name: value for name, value in state.items() if not name.startswith("__")})
        error.__dict__["_said"] = text
        return marked(error)

    def kind(self, lineage: Any) -> type[BaseException] | None:
        """The class of an exception: a standard one, or one made here for one of the program's own."""
        if not isinstance(lineage, list) or len(lineage) > _DEEPEST_LINEAGE:
            raise wire.Malformed("an exception that is none")
        if not lineage:
            return None
        (name, number), rest = lineage[0], lineage[1:]
        if number is None:
            return _EXCEPTIONS.get(name) or self.kind(rest)
        if number in wire.EXCEPTION_MODULES:
            return _standard(name, number) or self.kind(rest)
        if type(number) is not int or not str(name).isidentifier():
            raise wire.Malformed("an exception that is none")
        if number not in self._made:
            base = self.kind(rest) or Exception
            others = [_EXCEPTIONS[other] for other, own in rest if own is None and other in _EXCEPTIONS]
            bases = (base, *(other for other in others if not issubclass(base, other)))
            members = {"__str__": _as_it_said}
            try:
                made = type(str(name), _without_ancestors(bases), members)
            except TypeError:  # of bases whose layouts do not go together
                made = type(str(name), (base,), members)
            self._made[number] = made
        return self._made[number]


def _standard(name: Any, module: str) -> type[BaseException] | None:
    """The tests' own exception of a standard module, which their `except` clauses name."""
    try:
        kind = getattr(importlib.import_module(module), str(name), None)
    except ImportError:
        return None
    return kind if isinstance(kind, type) and issubclass(kind, Exception) else None


def _without_ancestors(bases: tuple[type, ...]) -> tuple[type, ...]:
    kept: list[type] = []
    for base in bases:
        if not any(issubclass(other, base) for other in kept):
            kept.append(base)
    return tuple(kept)


def _as_it_said(error: BaseException) -> str:
    said = error.__dict__.get("_said")
    return said if said is not None else BaseException.__str__(error)


def marked(error: BaseException) -> BaseException:
    """The error, known from now on as the program's."""
    error.__dict__["from_program"] = True
    return error
