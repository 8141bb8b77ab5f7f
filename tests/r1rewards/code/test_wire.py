"""What passes between a test and the program: plain values, whole, and nothing else."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1rewards.code import wire

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
    | st.fractions()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.datetimes()
    | st.timedeltas()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
        | st.frozensets(st.integers() | st.text(), max_size=4)
    ),
    max_leaves=20,
)
TAGS = st.sampled_from(sorted(wire._DECODERS)) | st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.fixed_dictionaries({"t": TAGS, "v": inner})
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=15,
)


def keep_none(value: Any) -> None:
    return None


def refuse(data: Any) -> Any:
    raise wire.Malformed("an object")


def there_and_back(value: Any) -> Any:
    text = json.dumps(wire.Encoder(keep_none).encode(value))
    return wire.Decoder(refuse).decode(json.loads(text))


@given(VALUES)
def test_plain_values_come_back(value: Any) -> None:
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        collections.deque([1, 2]),
        collections.Counter("aab"),
        collections.OrderedDict(a=1),
        collections.defaultdict(list, a=[1]),
        bytearray(b"x"),
        range(3, 9, 2),
        datetime.time(1, 2),
        fractions.Fraction(1, 3),
        decimal.Decimal("0.10"),
        {1, 2},
        10**400,
        float("inf"),
        int,
        "\ud800",
    ],
)
def test_other_types_come_back(value: Any) -> None:
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


def test_subclasses_lose_what_they_added() -> None:
    class Liar(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    class Both(list):  # type: ignore[type-arg]
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    assert there_and_back(Liar(3)) != 4
    assert type(there_and_back(Liar(3))) is int
    assert there_and_back(Both([1])) != [2]


def test_iterators_are_drawn() -> None:
    assert list(there_and_back(n * n for n in range(4))) == [0, 1, 4, 9]
    endless = iter(int, 1)
    assert len(list(there_and_back(endless))) == wire.MAX_DRAWN


def test_cycles_and_depth_are_refused() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(wire.Unsendable):
        there_and_back(cycle)


@given(JSON)
def test_hostile_messages_are_plain_or_malformed(data: Any) -> None:
    try:
        value = wire.Decoder(refuse).decode(data)
    except wire.Malformed:
        return
    if type(value).__module__ == "numpy":
        assert type(value).__name__ == "ndarray" and value.dtype.kind in "biufcU"
    else:
        assert type(value).__module__ in ("builtins", "collections", "decimal", "fractions", "datetime")


@pytest.mark.parametrize(
    "content",
    [
        None,
        [1],
        ["O", [1], [1]],
        ["<i8", [1], [None]],
        ["<i8", [1], [{"t": "object", "id": 1}]],
        ["<i8", [2], [[1], [1, 2]]],
        ["<i8", [3], [1, 2]],
        ["<i8", [1], {"t": "set", "v": []}],
        ["i8,O", [1], [1]],
    ],
)
def test_an_array_of_anything_but_plain_values_is_malformed(content: Any) -> None:
    pytest.importorskip("numpy")
    with pytest.raises(wire.Malformed):
        wire.Decoder(lambda data: object()).decode({"t": "array", "v": content})


@pytest.mark.parametrize("dtype", ["int64", "float32", "bool", "complex128", "<U3", "uint8"])
@pytest.mark.parametrize("shape", [(2, 3), (0, 3), (), (6,)])
def test_an_array_keeps_its_type_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros(shape, dtype)
    back = there_and_back(array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert numpy.array_equal(back, array)


def test_a_named_tuple_keeps_its_names() -> None:
    Point = collections.namedtuple("Point", "x y")
    back = there_and_back(Point(1, [2]))
    assert back == (1, [2])
    assert (back.x, back.y, type(back).__name__) == (1, [2], "Point")


def test_a_default_dictionary_keeps_a_plain_factory() -> None:
    assert there_and_back(collections.defaultdict(list))["new"] == []
    assert there_and_back(collections.defaultdict(lambda: 1, a=2)) == {"a": 2}


def test_stream() -> None:
    reading, writing = os.pipe()
    wire.send(writing, {"a": [1]})
    assert wire.receive(reading) == {"a": [1]}
    os.write(writing, b"\xff\xff\xff\xff")
    with pytest.raises(wire.Malformed):
        wire.receive(reading)
    os.write(writing, (3).to_bytes(4, "little") + b"{x}")
    with pytest.raises(wire.Malformed):
        wire.receive(reading)
    os.close(writing)
    with pytest.raises(EOFError):
        wire.receive(reading)
    os.close(reading)
