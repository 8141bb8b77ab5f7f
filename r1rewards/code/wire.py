"""The plain values that pass between a test and the program it calls.

The program's side may be hostile, so a message is JSON of tagged plain values and nothing in it names
code: what arrives is built from exact types only. An `__eq__` that is always true, a list that lies
about its length or a string that is something else cannot cross, for only content does.

    1, 2.5, "x", None, True, [..]     as in JSON
    {"t": "tuple", "v": [..]}         any other type, see `_DECODERS`
    {"t": "object", "id": 7, ...}     an object that stays on the other side; `iterator` and `awaitable` too
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import functools
import keyword
import re
import sys
from collections.abc import Callable, Iterable

# By name: a program that puts others in their place must not lose its own voice.
from json import dumps, loads
from os import read, write
from typing import Any

MAX_DEPTH = 150
MAX_ITEMS = 2_000_000
MAX_BYTES = 64 << 20
#: How much of an iterator is drawn before it is cut; an endless one must not hang the test.
MAX_DRAWN = 100_000

_SMALL = 1 << 53
#: Kinds of numpy arrays that cross: of numbers, truth values and text. One of objects could hold anything.
_ARRAYS = frozenset("biufcU")
_DTYPE = re.compile(r"[<>|=]?[biufcU]\d{1,5}")
#: Values that the side which is given one may change.
MUTABLE: tuple[type, ...] = (
    collections.Counter,
    collections.defaultdict,
    collections.OrderedDict,
    collections.deque,
    list,
    dict,
    set,
    bytearray,
)
#: The types that cross as themselves.
TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(int, float, complex, str, bytes, bool, tuple, frozenset, range, object, type(None), *MUTABLE),
        *(decimal.Decimal, fractions.Fraction),
        *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta),
    )
}
#: Values that cross by their content, also where a class of the program's own adds to them.
IMMUTABLE: tuple[type, ...] = (
    *(bool, int, float, complex, str, bytes, tuple, frozenset, range, decimal.Decimal, fractions.Fraction),
    *(datetime.date, datetime.time, datetime.timedelta, type({}.keys()), type({}.values()), type({}.items())),
)
#: Modules whose exceptions are the same on both sides; none of them means anything to a test runner.
EXCEPTION_MODULES = frozenset({
    "binascii", "csv", "_csv", "dataclasses", "decimal", "json.decoder", "numpy.linalg", "queue", "_queue",
    "re", "statistics", "struct", "subprocess", "zlib",
})  # fmt: skip
#: What stays where it is and is spoken of by its number.
_HELD = frozenset({"object", "iterator", "awaitable"})


class Unsendable(Exception):
    """The value is too deep, too large or made of something that cannot cross."""


class Malformed(Exception):
    """The other side sent what no honest one sends."""


class Encoder:
    """Turns values into messages. `keep` is asked of all but exact plain types: what to send for an object
    that stays here, or None for one that crosses by its content or not at all.
    """

    def __init__(self, keep: Callable[[Any], dict[str, Any] | None]) -> None:
        self._keep = keep
        self._items = 0

    def encode(self, value: Any, depth: int = 0) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is str or kind is float:
            return value
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise Unsendable("a value nested too deeply, in itself, or too large")
        if kind is int:
            return value if -_SMALL < value < _SMALL else {"t": "int", "v": hex(value)}
        if kind is list:
            return [self.encode(item, depth + 1) for item in value]
        kept = self._keep(value) if kind not in _EXACT else None
        return kept if kept is not None else self._tagged(value, depth + 1)

    def _tagged(self, value: Any, depth: int) -> Any:
        if isinstance(value, tuple) and (fields := getattr(type(value), "_fields", None)):
            names = [type(value).__name__, *fields]
            return {"t": "namedtuple", "v": [names, [self.encode(item, depth) for item in value]]}
        for kind, name in _CONTAINERS.items():
            if isinstance(value, kind):
                return {"t": name, "v": [self.encode(item, depth) for item in value]}
        if isinstance(value, dict):
            flat = [self.encode(part, depth) for pair in dict.items(value) for part in pair]
            if isinstance(value, collections.defaultdict):
                made = value.default_factory
                return {"t": "defaultdict", "v": [_type(made) if isinstance(made, type) else None, *flat]}
            return {"t": _MAPPINGS.get(type(value), "dict"), "v": flat}
        for kind, describe in _SCALARS.items():
            if isinstance(value, kind):
                return describe(value)
        if isinstance(value, type) and (named := _type(value)):
            return named
        return self._numpy(value, depth) or self._iterated(value, depth)

    def _numpy(self, value: Any, depth: int) -> Any:
        if "numpy" not in sys.modules:
            return None
        numpy = sys.modules["numpy"]
        if isinstance(value, numpy.generic):
            item = value.item()
            return {"t": "number", "v": self.encode(item, depth)} if type(item) in TYPES.values() else None
        if is_plain_array(value):
            items = self.encode(value.ravel().tolist(), depth)
            return {"t": "array", "v": [value.dtype.str, list(value.shape), items]}
        return None

    def _iterated(self, value: Any, depth: int) -> Any:
        if not isinstance(value, collections.abc.Iterator):
            raise Unsendable(f"a value of type {type(value).__name__}")
        drawn = []
        for item in value:
            drawn.append(self.encode(item, depth))
            if len(drawn) >= MAX_DRAWN:
                break
        return {"t": "drawn", "v": drawn}


def is_plain_array(value: Any) -> bool:
    """Whether `value` is a numpy array, of what crosses; numpy is loaded."""
    return isinstance(value, sys.modules["numpy"].ndarray) and value.dtype.kind in _ARRAYS


def _type(kind: type) -> dict[str, Any] | None:
    return {"t": "type", "v": kind.__name__} if TYPES.get(kind.__name__) is kind else None


_CONTAINERS: dict[type[Iterable[Any]], str] = {
    list: "list",
    tuple: "tuple",
    set: "set",
    frozenset: "frozenset",
    collections.deque: "deque",
    type({}.keys()): "keys",
    type({}.values()): "list",
    type({}.items()): "items",
}
_MAPPINGS: dict[type, str] = {
    collections.OrderedDict: "OrderedDict",
    collections.Counter: "Counter",
}
_SCALARS: dict[type, Callable[[Any], Any]] = {
    # Subclasses of the exact types cross as what they hold: what they add is the program's own word.
    bool: bool,
    int: lambda value: {"t": "int", "v": hex(int.__index__(value))},
    float: lambda value: float.__float__(value),
    str: lambda value: str.__str__(value),
    complex: lambda value: {"t": "complex", "v": [value.real, value.imag]},
    bytes: lambda value: {"t": "bytes", "v": bytes.hex(value)},
    bytearray: lambda value: {"t": "bytearray", "v": bytearray.hex(value)},
    range: lambda value: {"t": "range", "v": [hex(value.start), hex(value.stop), hex(value.step)]},
    decimal.Decimal: lambda value: {"t": "Decimal", "v": str(value)},
    fractions.Fraction: lambda value: {"t": "Fraction", "v": [hex(value.numerator), hex(value.denominator)]},
    datetime.datetime: lambda value: {"t": "datetime", "v": value.isoformat()},
    datetime.date: lambda value: {"t": "date", "v": value.isoformat()},
    datetime.time: lambda value: {"t": "time", "v": value.isoformat()},
    datetime.timedelta: lambda value: {
        "t": "timedelta",
        "v": [value.days, value.seconds, value.microseconds],
    },
}
_EXACT = frozenset({*_CONTAINERS, *_MAPPINGS, *_SCALARS, dict, collections.defaultdict})


class Decoder:
    """Turns messages into values of exact types. `resolve` gives the stand-in for an object elsewhere."""

    def __init__(self, resolve: Callable[[dict[str, Any]], Any]) -> None:
        self._resolve = resolve

    def decode(self, data: Any, depth: int = 0) -> Any:
        kind = type(data)
        if kind is list:
            if depth > MAX_DEPTH:
                raise Malformed("nested too deeply")
            return [self.decode(item, depth + 1) for item in data]
        if kind is not dict:
            return data
        tag = data.get("t")
        if isinstance(tag, str) and tag in _HELD:
            return self._resolve(data)
        decoder = _DECODERS.get(tag) if isinstance(tag, str) else None
        if decoder is None:
            raise Malformed("an unknown kind of value")
        value = data.get("v")
        if tag in _OF_VALUES:
            value = self.decode(value, depth + 1)
            if tag != "number" and type(value) is not list:
                raise Malformed(f"a {tag} that is none")
        try:
            return decoder(value)
        except (TypeError, ValueError, ArithmeticError, KeyError, IndexError) as error:
            raise Malformed(f"a {tag} that is none: {type(error).__name__}") from None


def _pairs(flat: list[Any]) -> dict[Any, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _defaultdict(value: list[Any]) -> Any:
    if value[0] is not None and value[0] not in TYPES.values():
        raise TypeError("not a type")
    return collections.defaultdict(value[0], _pairs(value[1:]))


@functools.lru_cache(1024)
def _tuple_type(name: str, *fields: str) -> type:
    if not all(part.isidentifier() and not keyword.iskeyword(part) for part in (name, *fields)):
        raise ValueError("not names")
    return collections.namedtuple(name, fields)


def _namedtuple(value: list[Any]) -> Any:
    names, items = value
    if not all(type(part) is str for part in names):
        raise TypeError("not names")
    return _tuple_type(*names)(*items)


def _array(value: list[Any]) -> Any:
    dtype, shape, items = value
    if not (type(dtype) is str and _DTYPE.fullmatch(dtype) and type(items) is list):
        raise TypeError("not an array of plain values")
    if "numpy" not in sys.modules:
        return items
    # A tuple, a list or an object among the items must not make an array of something else.
    if not all(type(item) in (int, float, complex, bool, str) for item in items):
        raise TypeError("not an array of plain values")
    return sys.modules["numpy"].array(items, dtype=dtype).reshape(shape)


def _number(value: Any) -> Any:
    if type(value) not in (int, float, complex, bool, str):
        raise TypeError("not a number")
    return value


_OF_VALUES = frozenset({
    "list", "tuple", "set", "frozenset", "deque", "drawn", "keys", "items", "dict", "number", "array",
    "namedtuple", "defaultdict", "OrderedDict", "Counter",
})  # fmt: skip
_DECODERS: dict[str, Callable[[Any], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": collections.deque,
    "drawn": iter,
    "keys": lambda value: dict.fromkeys(value).keys(),
    "items": lambda value: dict(value).items(),
    "dict": _pairs,
    "OrderedDict": lambda value: collections.OrderedDict(_pairs(value)),
    "Counter": lambda value: collections.Counter(_pairs(value)),
    "defaultdict": _defaultdict,
    "namedtuple": _namedtuple,
    "number": _number,
    "array": _array,
    "int": lambda value: int(value, 16),
    "complex": lambda value: complex(float(value[0]), float(value[1])),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "range": lambda value: range(*(int(part, 16) for part in value)),
    "Decimal": decimal.Decimal,
    "Fraction": lambda value: fractions.Fraction(int(value[0], 16), int(value[1], 16)),
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": lambda value: datetime.timedelta(*value),
    "type": lambda value: TYPES[value],
}


# --- messages over a stream -----------------------------------------------------------------------


def send(fd: int, message: Any) -> None:
    """Write one message: its length in four bytes, then JSON."""
    text = dumps(message, separators=(",", ":")).encode()
    if len(text) > MAX_BYTES:
        raise Unsendable(f"a value of over {MAX_BYTES >> 20} MiB")
    view = memoryview(len(text).to_bytes(4, "little") + text)
    while view:
        view = view[write(fd, view) :]


def receive(fd: int) -> Any:
    """Read one message. Raises EOFError at the end of the stream and Malformed for what is none."""
    size = int.from_bytes(_exactly(fd, 4), "little")
    if size > MAX_BYTES:
        raise Malformed("a message that is too long")
    try:
        return loads(_exactly(fd, size))
    except (ValueError, RecursionError):
        raise Malformed("a message that is not JSON") from None


def _exactly(fd: int, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = read(fd, min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
