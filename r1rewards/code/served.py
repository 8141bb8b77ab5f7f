"""The program's side of assert tests: run the program once, then answer what the tests ask of it.

Everything here shares a process with the program and may be bent by it. That is harmless: whatever is
sent from here is taken for the program's word, and the tests are judged elsewhere.
"""

from __future__ import annotations

import os
from types import CodeType
from typing import Any

from r1rewards.code import python_program, wire

CHANNEL = 3


def serve(code: CodeType) -> None:
    """Run the program's top level, then answer requests until the tester hangs up; does not return."""
    table = _Table(python_program.load(code))
    while True:
        try:
            request = wire.receive(CHANNEL)
        except EOFError:
            os._exit(0)
        wire.send(CHANNEL, table.answer(request))


class _Table:
    """The program's objects that the tests hold, by number."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._objects: list[Any] = []

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._answer(request)
        except wire.Unsendable as error:
            return {"unsendable": str(error)}
        except BaseException as error:  # noqa: BLE001 - it goes to the tests as what it is
            arguments = [arg for arg in error.args if type(arg) in (str, int, float, bool, type(None))]
            names = [kind.__name__ for kind in type(error).__mro__]
            return {"raised": names, "args": [str(arg)[:2000] for arg in arguments]}

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "names" in request:
            names = request["names"]
            return {
                "value": self._encode(
                    {name: self._namespace[name] for name in names if name in self._namespace}
                )
            }
        target = self._objects[request["id"]]
        if "get" in request:
            return {"value": self._encode(getattr(target, request["get"]))}
        decoder = wire.Decoder(self._resolve)
        if "set" in request:
            setattr(target, request["set"], decoder.decode(request["value"]))
            return {"value": None}
        args = decoder.decode(request["args"])
        kwargs = {name: decoder.decode(value) for name, value in request["kwargs"].items()}
        result = target(*args, **kwargs)
        if hasattr(result, "__await__") and hasattr(result, "send"):
            import asyncio

            result = asyncio.run(result)
        value = self._encode(result)  # first, for drawing a generator may change the arguments too
        return {
            "value": value,
            "args": [self._encode(arg) if type(arg) in _MUTABLE else None for arg in args],
        }

    def _resolve(self, data: dict[str, Any]) -> Any:
        if "callback" not in data:
            return self._objects[data["id"]]

        def call_back(*args: Any) -> Any:
            wire.send(CHANNEL, {"callback": data["callback"], "args": [self._encode(arg) for arg in args]})
            while "id" in (reply := wire.receive(CHANNEL)):  # the test's function calls the program again
                wire.send(CHANNEL, self.answer(reply))
            if "raised" in reply:
                raise RuntimeError(reply["raised"])
            return wire.Decoder(self._resolve).decode(reply["value"])

        return call_back

    def _encode(self, value: Any) -> Any:
        return wire.Encoder(self._keep).encode(value)

    def _keep(self, value: Any) -> dict[str, Any] | None:
        if not callable(value) and (hasattr(value, "__next__") or type(value).__module__ == "numpy"):
            return None
        if isinstance(value, type) and value.__module__ == "builtins":
            return None
        self._objects.append(value)
        kept = {"t": "object", "id": len(self._objects) - 1, "type": type(value).__name__}
        return kept | {"truth": bool(value)}


_MUTABLE = (list, dict, set, bytearray)
