"""Stand-ins, in the tests' process, for the objects of a program that runs in another.

A stand-in can be used as the object itself: called, iterated, indexed, entered, its attributes read. Each
use asks the program and gives back a plain value or another stand-in. It is never asked to judge: it
equals nothing but itself, is in no order, and is not told what a test expects by way of an operator.
The exception is an object that is a kind of list, dict or set: its content is fetched and compared here.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NoReturn

from r1rewards.code import wire
from r1rewards.code.raised import Exceptions, ProgramError, marked

CHANNEL = 3

_UNARY = (
    "len", "iter", "reversed", "bool", "str", "repr", "format", "int", "float", "index", "round", "abs",
    "neg", "pos", "invert", "getitem", "setitem", "delitem", "enter", "aiter", "anext", "aenter",
)  # fmt: skip
_BINARY = (
    "add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor",
)  # fmt: skip
#: Special attributes that tests read; all others of that form are Python's own business.
_SPECIAL = frozenset(
    {"__name__", "__qualname__", "__wrapped__", "__annotations__", "__defaults__", "__dict__"}
)
_LONGEST_DRAW = 4096


class Gone(BaseException):
    """The program's process ended, or broke the protocol; no `except Exception` of a test may hide it."""


class Broken(BaseException):
    """The tests ask for something that cannot be asked of another process."""


class Session:
    """The connection to the program: requests out, plain values and stand-ins back.

    gone    why there is no program any more; empty while there is one
    doubt   the type of an object of the program that a test compared with something, or reckoned with
    """

    def __init__(self) -> None:
        self.gone = self.doubt = ""
        self._turn = threading.RLock()  # tests may use threads; a callback asks again within its own turn
        self._callbacks: list[Callable[..., Any]] = []
        self._stands: dict[int, Stand] = {}
        self._exceptions = Exceptions()

    def ask(self, request: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Send a request with its arguments; what came of it, or raises what the program raised."""
        with self._turn:
            return self._asked(request, args, kwargs)

    def _asked(self, request: dict[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if self.gone:
            raise Gone(self.gone)
        request["args"] = [self.encode(arg) for arg in args]
        request["kwargs"] = {name: self.encode(arg) for name, arg in kwargs.items()}
        try:
            wire.send(CHANNEL, request)
            while "callback" in (answer := wire.receive(CHANNEL)):
                wire.send(CHANNEL, self._called_back(answer))
            error, value = self.taken(request.get("op"), answer, args, kwargs)
        except (EOFError, BrokenPipeError, ConnectionError):
            self._lose("the program ended")
        except (
            wire.Malformed, RecursionError, MemoryError, TypeError, AttributeError, ValueError, LookupError
        ) as fault:  # fmt: skip
            self._lose(f"the program answered with {fault}")
        if error is not None:
            raise error
        return value

    def names(self, wanted: Sequence[str]) -> dict[str, Any]:
        """Stand-ins and values for those of the wanted names that the program defines."""
        found = self.ask({"names": list(wanted)})
        if type(found) is not dict:
            self._lose("the program answered with something malformed")
        return {name: value for name, value in found.items() if name in wanted}

    def encode(self, value: Any) -> Any:
        """A value as the program gets it; raises where it cannot be passed to another process."""
        try:
            return wire.Encoder(self._held).encode(value)
        except wire.Unsendable as error:
            raise Broken(f"the tests pass {error} to the program") from None

    def _held(self, value: Any) -> dict[str, Any] | None:
        kind = type(value)
        if issubclass(kind, Stand):
            return {"t": "object", "id": value._number}
        if callable(value) and not isinstance(value, type):
            self._callbacks.append(value)
            return {"t": "object", "callback": len(self._callbacks) - 1}
        if isinstance(value, type) and issubclass(value, BaseException):
            number = self._exceptions.number(value)
            return None if number is None else {"t": "object", "id": number}
        return None

    def _lose(self, reason: str) -> NoReturn:
        self.gone = reason
        raise Gone(reason) from None

    def taken(
        self, operation: str | None, answer: dict[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[BaseException | None, Any]:
        """What an answer to a request says: what the program raised, or a value."""
        changed, named = answer.get("args"), answer.get("kwargs")
        afters = [*zip(args, changed if isinstance(changed, list) else (), strict=False)]
        afters += [(kwargs[name], after) for name, after in dict(named or {}).items() if name in kwargs]
        for original, after in afters:
            if after is not None:
                _copy_back(original, self._decode(after))
        if (printed := answer.get("printed")) and sys.stdout is not sys.__stdout__:
            sys.stdout.write(str(printed))  # a test that catches output means the program's as well
        if "raised" in answer:
            return self._exceptions.rebuilt(answer, self._decode), None
        if "stop" in answer and operation in ("next", "await"):  # of a call it would end a loop of the test
            return StopIteration(), None
        if "unsendable" in answer:
            return marked(ProgramError(f"it returned {str(answer['unsendable'])[:200]}")), None
        value = answer.get("value")
        if isinstance(value, dict) and "given" in value:
            return None, [*args, *kwargs.values()][value["given"]]
        return None, self._decode(value)

    def _decode(self, data: Any) -> Any:
        return wire.Decoder(self._resolve).decode(data)

    def _resolve(self, data: dict[str, Any]) -> Any:
        number = data.get("id")
        if type(number) is not int:
            raise wire.Malformed("an object that is none")
        if data["t"] == "iterator":
            return self._drawn(number)
        if data["t"] == "awaitable":
            return self._awaited(number)
        if "exception" in data:
            return self._exceptions.kind(data["exception"])
        if number not in self._stands:
            self._stands[number] = (CallableStand if data.get("call") else Stand)(self, number, data)
        return self._stands[number]

    def _drawn(self, number: int) -> Generator[Any, Any, None]:
        """The items of the program's iterator, asked for in growing helpings, so that it may be endless."""
        size, total = 1, 0
        while total < wire.MAX_DRAWN:
            ended, items = self._helping(number, size)
            for item in items:
                sent = yield item
                while sent is not None:
                    sent = yield self.ask({"id": number, "op": "send"}, sent)
                    size = 0  # who sends must be heard before the next item
            if ended:
                return
            total += len(items)
            size = min(2 * size, _LONGEST_DRAW) or 1

    def _helping(self, number: int, size: int) -> tuple[bool, list[Any]]:
        answer = self.ask({"id": number, "op": "draw"}, size)
        if not (isinstance(answer, list) and len(answer) == 2 and isinstance(answer[1], list)):
            self._lose("the program answered with something malformed")
        return bool(answer[0]), answer[1]

    async def _awaited(self, number: int) -> Any:
        try:
            return self.ask({"id": number, "op": "await"})
        except StopIteration:
            raise StopAsyncIteration from None

    def _called_back(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a function that a test passed to the program, with the values that it was called with."""
        number, args, kwargs = request["callback"], request.get("args"), request.get("kwargs")
        known = type(number) is int and 0 <= number < len(self._callbacks)
        if not known or not isinstance(args, list) or not isinstance(kwargs, dict):
            raise wire.Malformed("a call of nothing")
        values = [self._decode(arg) for arg in args]
        named = {str(name): self._decode(arg) for name, arg in kwargs.items()}
        try:
            return {"value": self.encode(self._callbacks[number](*values, **named))}
        except Exception as error:  # noqa: BLE001 - the program called it, so the program gets it
            said = [arg for arg in error.args if type(arg) in (str, int, float, bool)]
            return {"raised": type(error).__name__, "with": said}


class Stand:
    """Stands in for an object of the program."""

    __slots__ = ("_like", "_number", "_session", "_type")
    _like: type | None
    _number: int
    _session: Session
    _type: str

    def __init__(self, session: Session, number: int, data: Mapping[str, Any]) -> None:
        like = wire.TYPES.get(str(data["like"])) if "like" in data else None
        if "like" in data and like not in wire.MUTABLE:
            raise wire.Malformed("an object that is none")
        own = {"_session": session, "_number": number, "_like": like, "_type": str(data.get("type"))[:100]}
        for name, value in own.items():
            object.__setattr__(self, name, value)

    def _ask(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        return self._session.ask({"id": self._number, "op": operation}, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in _SPECIAL:
            raise AttributeError(name)
        return self._ask("getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._ask("setattr", name, value)

    def __delattr__(self, name: str) -> None:
        self._ask("delattr", name)

    @property  # type: ignore[misc]  # so that isinstance(x, list) holds for a kind of list
    def __class__(self) -> type:
        return self._like or type(self)

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self._ask("getattr", "__doc__")  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if self._like is not None:
            theirs = other._plain() if issubclass(type(other), Stand) else other  # type: ignore[attr-defined]
            return bool(self._plain() == theirs)
        self._session.doubt = self._type
        return False

    __hash__ = object.__hash__

    def _plain(self) -> Any:
        return self._ask("plain") if self._like is not None else self

    def __next__(self) -> Any:
        return self._ask("next")

    def __exit__(self, kind: Any, error: BaseException | None, trace: object) -> bool:
        return bool(self._ask("exit", kind and kind.__name__, str(error)))

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: object) -> bool:
        return bool(await self._ask("aexit", kind and kind.__name__, str(error)))

    def __instancecheck__(self, value: Any) -> bool:
        return issubclass(type(value), Stand) and bool(self._ask("instancecheck", value))

    def __subclasscheck__(self, kind: Any) -> bool:
        return issubclass(type(kind), Stand) and bool(self._ask("subclasscheck", kind))


class CallableStand(Stand):  # for a function, a class or another object that can be called
    __slots__ = ()
    __doc__ = Stand.__dict__["__doc__"]  # a class has a __doc__ of its own otherwise

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._ask("call", *args, **kwargs)


def _unary(operation: str) -> Callable[..., Any]:
    return lambda self, *args: self._ask(operation, *args)


def _binary(operation: str) -> Callable[[Stand, Any], Any]:
    def method(self: Stand, other: Any) -> Any:
        if not issubclass(type(other), Stand):
            self._session.doubt = self._type
            return NotImplemented
        return self._ask(operation, other)

    return method


for _name in _UNARY:
    setattr(Stand, f"__{_name}__", _unary(_name))
for _name in _BINARY:
    setattr(Stand, f"__{_name}__", _binary(_name))


def _copy_back(original: Any, after: Any) -> None:
    """A mutable argument that the program changed changes here as well, as it would in one process."""
    if type(original) is not type(after):
        return
    if isinstance(original, list | bytearray):
        original[:] = [*map(_kept, original, after), *after[len(original) :]]
    elif type(original).__module__ == "numpy":
        if original.shape == after.shape and original.dtype == after.dtype:
            original[...] = after
    elif isinstance(original, dict):
        merged = {
            key: _kept(original[key], value) if key in original else value for key, value in after.items()
        }
        original.clear()
        original.update(merged)
    else:  # a set or a deque
        original.clear()
        (original.update if isinstance(original, set) else original.extend)(after)


def _kept(original: Any, after: Any) -> Any:
    """What stands in this place now; a container stays the same object, which a test may hold elsewhere."""
    if type(original) is type(after) and type(original) in wire.MUTABLE:
        _copy_back(original, after)
        return original
    return after
