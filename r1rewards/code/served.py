"""The program's side of assert tests: run the program once, then do what the tests ask of its objects.

Everything here shares a process with the program and may be bent by it. That is harmless: whatever is
sent from here is taken for the program's word, and the tests are judged elsewhere.
"""

from __future__ import annotations

import builtins
import contextlib
import operator
import os
import sys
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

from r1rewards.code import python_program, wire

CHANNEL = 3

#: What the tests may ask of an object, by name: ways to get a value from it. To compare is not among
#: them, nor to reckon with a value of the tests: what the tests expect is none of the program's business.
OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda target, *args, **kwargs: target(*args, **kwargs),
    "getattr": getattr, "setattr": setattr, "delattr": delattr,
    "getitem": operator.getitem, "setitem": operator.setitem, "delitem": operator.delitem,
    "len": len, "iter": iter, "reversed": reversed, "next": next,
    "bool": bool, "str": str, "repr": repr, "format": format, "int": int, "float": float,
    "index": operator.index, "round": round, "abs": abs, "neg": operator.neg, "pos": operator.pos,
    "invert": operator.invert,
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "matmul": operator.matmul,
    "truediv": operator.truediv, "floordiv": operator.floordiv, "mod": operator.mod, "pow": operator.pow,
    "and": operator.and_, "or": operator.or_, "xor": operator.xor,
    "enter": lambda target: type(target).__enter__(target),
    "instancecheck": lambda target, value: isinstance(value, target),
    "subclasscheck": lambda target, kind: issubclass(kind, target),
    "aiter": lambda target: type(target).__aiter__(target),
    "anext": lambda target: type(target).__anext__(target),
    "aenter": lambda target: type(target).__aenter__(target),
    "send": lambda target, value: target.send(value),
}  # fmt: skip

_PRINTED_BYTES = 1 << 20
_BUILT_IN = frozenset({"builtins", "itertools", "collections"})


def serve(code: CodeType) -> None:
    """Run the program's top level, then answer requests until the tester hangs up; does not return."""
    table = _Table(python_program.load(code))
    while True:
        try:
            request = wire.receive(CHANNEL)
        except EOFError:
            os._exit(0)
        wire.send(CHANNEL, table.answer(request))


def rehearse() -> None:
    """Once, in a server: see `python_program.settle`."""
    given = [[1, 2.5, "x", {"t": "tuple", "v": [True, None]}, {"t": "dict", "v": ["key", [1]]}]]
    for _ in range(python_program.REHEARSALS):
        table = _Table({"f": lambda value: [value]})
        table.answer({"names": ["f"]})
        table.answer({"id": 0, "op": "call", "args": given, "kwargs": {}})


class _Table:
    """The program's objects that the tests hold, by number."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._broken: dict[int, BaseException] = {}
        self._loop: Any = None
        self._shown = 0
        self._printed()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What came of a request: a `value`, or what was `raised`; with it the arguments that changed."""
        decoder = wire.Decoder(self._resolve)
        args = decoder.decode(request.get("args", []))
        kwargs = {name: decoder.decode(value) for name, value in request.get("kwargs", {}).items()}
        try:
            answer = {"value": self._value(request, args, kwargs)}
        except wire.Unsendable as error:
            answer = {"unsendable": str(error)}
        except StopIteration as error:
            answer = {"stop": True} if request.get("op") == "next" else self._raised(error)
        except StopAsyncIteration as error:
            answer = {"stop": True} if request.get("op") == "await" else self._raised(error)
        except BaseException as error:  # noqa: BLE001 - it goes to the tests as what it is
            answer = self._raised(error)
        changed = [self._changed(request["args"][i], arg) for i, arg in enumerate(args)]
        named = {name: self._changed(request["kwargs"][name], arg) for name, arg in kwargs.items()}
        return answer | {"args": changed, "kwargs": named, "printed": self._printed()}

    def _value(self, request: Mapping[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        if "names" in request:
            names = [name for name in request["names"] if name in self._namespace]
            return self._encode({name: self._namespace[name] for name in names})
        target, name = self._objects[request["id"]], request["op"]
        if name == "draw":
            return self._draw(request["id"], target, *args)
        if name == "await":
            return self._encode(self._awaited(target))
        if name == "plain":
            like = _likeness(target) or list
            return self._encode(like(target))
        if name in ("exit", "aexit"):
            result = getattr(type(target), f"__{name}__")(target, *_exit_arguments(*args))
        else:
            result = OPERATIONS[name](target, *args, **kwargs)
        for place, given in enumerate((*args, *kwargs.values())):
            if given is result and type(given) in wire.MUTABLE:
                return {"t": "object", "given": place}
        return self._encode(result)

    def _draw(self, number: int, target: Any, count: int) -> Any:
        """Up to `count` items of an iterator, and whether it has ended."""
        if number in self._broken:
            raise self._broken.pop(number)
        items: list[Any] = []
        try:
            while len(items) < count:
                items.append(self._encode(next(target)))
        except StopIteration:
            return [True, items]
        except BaseException as error:
            if not items:
                raise
            self._broken[number] = error  # the items before it come first
        return [False, items]

    def _awaited(self, target: Any) -> Any:
        import asyncio

        self._loop = self._loop or asyncio.new_event_loop()
        return self._loop.run_until_complete(target)

    def _raised(self, error: BaseException) -> dict[str, Any]:
        with contextlib.suppress(BaseException):
            return {
                "raised": self._lineage(type(error)),
                "with": [self._word(arg) for arg in _arguments(error)],
                "state": {name: self._word(value) for name, value in vars(error).items()},
                "text": str(error)[:2000],
            }
        return {"raised": [["Exception", None]], "with": [], "state": {}, "text": type(error).__name__}

    def _word(self, value: Any) -> Any:
        try:
            return self._encode(value)
        except wire.Unsendable:
            return str(value)[:2000]

    def _lineage(self, kind: type) -> list[list[Any]]:
        """An exception's classes, the most derived first; with its module where that is a standard one, and a
        number where it is the program's own.
        """
        classes = [base for base in kind.__mro__ if issubclass(base, BaseException)]
        return [[base.__name__, self._origin(base)] for base in classes]

    def _origin(self, kind: type) -> int | str | None:
        if kind.__module__ == "builtins":
            return None
        return kind.__module__ if kind.__module__ in wire.EXCEPTION_MODULES else self._hold(kind)

    def _changed(self, before: Any, value: Any) -> Any:
        """An argument as it is after a call, if the call may have changed it and did."""
        if not (type(value) in wire.MUTABLE or _is_array(value)):
            return None
        with contextlib.suppress(wire.Unsendable):
            after = self._encode(value)
            return None if after == before else after
        return None

    def _printed(self) -> str:
        """What the program has written to its output since it was last asked."""
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            size = os.fstat(1).st_size
            begin, self._shown = self._shown, size
            if size > begin:
                return os.pread(1, min(size - begin, _PRINTED_BYTES), begin).decode(errors="replace")
        return ""

    def _resolve(self, data: dict[str, Any]) -> Any:
        if "callback" not in data:
            return self._objects[data["id"]]

        def call_back(*args: Any, **kwargs: Any) -> Any:
            request = {
                "callback": data["callback"],
                "args": [self._encode(arg) for arg in args],
                "kwargs": {name: self._encode(arg) for name, arg in kwargs.items()},
            }
            wire.send(CHANNEL, request)
            while "id" in (reply := wire.receive(CHANNEL)):  # the test's function calls the program again
                wire.send(CHANNEL, self.answer(reply))
            decoder = wire.Decoder(self._resolve)
            if "raised" in reply:
                raise getattr(builtins, reply["raised"], RuntimeError)(*decoder.decode(reply["with"]))
            return decoder.decode(reply["value"])

        return call_back

    def _encode(self, value: Any) -> Any:
        return wire.Encoder(self._keep).encode(value)

    def _hold(self, value: Any) -> int:
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)  # for good, so that its id stays its own
        return self._numbers[id(value)]

    def _keep(self, value: Any) -> dict[str, Any] | None:
        kind = type(value)
        if isinstance(value, type) and wire.TYPES.get(value.__name__) is value:
            return None
        if hasattr(kind, "__await__"):
            return {"t": "awaitable", "id": self._hold(value)}
        if hasattr(kind, "__next__") and kind.__module__ in _BUILT_IN:
            return {"t": "iterator", "id": self._hold(value)}
        like = _likeness(value)
        if like is None and (isinstance(value, wire.IMMUTABLE) or _is_array(value) or _is_scalar(value)):
            return None  # it crosses as what it holds
        kept = {"t": "object", "id": self._hold(value), "type": kind.__name__, "call": callable(value)}
        if like is not None:
            kept["like"] = like.__name__
        if isinstance(value, type) and issubclass(value, BaseException):
            kept["exception"] = self._lineage(value)
        return kept


def _likeness(value: Any) -> type | None:
    """The changeable container that an object of the program's class is a kind of."""
    return next((base for base in wire.MUTABLE if isinstance(value, base)), None)


def _is_array(value: Any) -> bool:
    return "numpy" in sys.modules and wire.is_plain_array(value)


def _is_scalar(value: Any) -> bool:
    return "numpy" in sys.modules and isinstance(value, sys.modules["numpy"].generic)


def _arguments(error: BaseException) -> tuple[Any, ...]:
    """What an exception like this one is made of: an OSError keeps the file's name apart from its args."""
    if isinstance(error, OSError) and error.filename is not None:
        return (*error.args[:2], error.filename)
    return error.args


def _exit_arguments(name: str | None, text: str) -> tuple[Any, Any, None]:
    if name is None:
        return None, None, None
    error = getattr(builtins, name, Exception)(text)
    return type(error), error, None
