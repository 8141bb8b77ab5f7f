"""The tests' side of assert tests: statements that call a program which runs in another process.

The names that the tests use and do not define become stand-ins: calling one asks the program's process
and gives back plain values. Comparing is done here, so the program has no say in it.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import json
import os
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from r1rewards.code import python_program, wire

CHANNEL, MARKS, RESULTS = 3, 4, 1

#: Modules that tests may use because the program imported them; the tester's own copy, never the program's.
_MODULES = frozenset({
    "bisect", "cmath", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq",
    "itertools", "json", "math", "operator", "random", "re", "statistics", "string", "sys", "numpy",
})  # fmt: skip
_ALIASES = {"np": "numpy", "dt": "datetime", "it": "itertools"}
#: Exceptions of the program that reach the tests as themselves. StopIteration would silently end a loop.
_EXCEPTIONS = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, StopIteration | StopAsyncIteration | Warning | UnicodeError | ExceptionGroup)
}


class ProgramError(Exception):
    """The program raised something that the tests have no name for."""


class _Gone(BaseException):
    """The program's process ended, or broke the protocol; no `except Exception` of a test may hide it."""


class _Broken(BaseException):
    """The tests ask for something that cannot be asked of another process."""


class Session:
    """The connection to the program: requests out, plain values back."""

    def __init__(self) -> None:
        self.gone = ""
        self._callbacks: list[Callable[..., Any]] = []

    def ask(self, request: dict[str, Any], given: Sequence[Any] = ()) -> Any:
        """Send a request; what the program returned, or raises what it raised.

        given  the arguments of a call, which the program may have changed
        """
        if self.gone:
            raise _Gone(self.gone)
        try:
            wire.send(CHANNEL, request)
            while "callback" in (answer := wire.receive(CHANNEL)):
                wire.send(CHANNEL, self._called_back(answer))
            error, value = self._taken(answer, given)
        except (EOFError, BrokenPipeError, ConnectionError):
            self._lose("the program ended")
        except (wire.Malformed, RecursionError, MemoryError, TypeError, AttributeError) as fault:
            self._lose(f"the program answered with {fault}")
        if error is not None:
            raise error
        return value

    def _lose(self, reason: str) -> NoReturn:
        self.gone = reason
        raise _Gone(reason) from None

    def _taken(self, answer: dict[str, Any], given: Sequence[Any]) -> tuple[Exception | None, Any]:
        if "raised" in answer:
            return self._exception(answer), None
        if "unsendable" in answer:
            return _marked(ProgramError(f"it returned {str(answer['unsendable'])[:200]}")), None
        changed = answer.get("args")
        for original, after in zip(given, changed if isinstance(changed, list) else (), strict=False):
            if after is not None:
                _copy_back(original, self._decode(after))
        return None, self._decode(answer.get("value"))

    def _decode(self, data: Any) -> Any:
        return wire.Decoder(lambda held: Stand(self, held)).decode(data)

    def encode(self, value: Any) -> Any:
        """A value as the program gets it; raises where it cannot be passed to another process."""
        try:
            return wire.Encoder(self._held).encode(value)
        except wire.Unsendable as error:
            raise _Broken(f"the tests pass {error} to the program") from None

    def _held(self, value: Any) -> dict[str, Any] | None:
        if type(value) is Stand:
            return {"t": "object", "id": value._data["id"]}
        if isinstance(value, types.FunctionType | types.BuiltinFunctionType):
            self._callbacks.append(value)
            return {"t": "object", "callback": len(self._callbacks) - 1}
        return None

    def _called_back(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a function that a test passed to the program, with the plain values that it was called with."""
        number, args = request["callback"], request.get("args")
        if type(number) is not int or not 0 <= number < len(self._callbacks) or not isinstance(args, list):
            raise wire.Malformed("a call of nothing")
        values = [self._decode(arg) for arg in args]
        try:
            return {"value": self.encode(self._callbacks[number](*values))}
        except Exception as error:  # noqa: BLE001 - the program called it, so the program gets it
            return {"raised": str(error)[:2000]}

    def names(self, wanted: Sequence[str]) -> dict[str, Any]:
        """Stand-ins and values for those of the wanted names that the program defines."""
        found = self.ask({"names": list(wanted)})
        if type(found) is not dict:
            self._lose("the program answered with something malformed")
        return {name: value for name, value in found.items() if name in wanted}

    def _exception(self, answer: dict[str, Any]) -> Exception:
        names, args = answer["raised"], answer.get("args")
        if not isinstance(names, list) or not isinstance(args, list):
            raise wire.Malformed("an exception that is none")
        kind = next((_EXCEPTIONS[name] for name in names if name in _EXCEPTIONS), None)
        text = [str(arg) for arg in args]
        if kind is None or kind is Exception or "Exception" not in names:
            return _marked(ProgramError(": ".join([str(names[0]) if names else "", *text])))
        return _marked(kind(*text))


class Stand:
    """Stands in for an object of the program: it can be called and its attributes used; it equals nothing."""

    __slots__ = ("_data", "_session")

    def __init__(self, session: Session, data: Mapping[str, Any]) -> None:
        if type(data.get("id")) is not int:
            raise wire.Malformed("an object that is none")
        object.__setattr__(self, "_session", session)
        object.__setattr__(self, "_data", data)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        request = {
            "id": self._data["id"],
            "args": [self._session.encode(arg) for arg in args],
            "kwargs": {name: self._session.encode(value) for name, value in kwargs.items()},
        }
        return self._session.ask(request, args)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._session.ask({"id": self._data["id"], "get": name})

    def __setattr__(self, name: str, value: Any) -> None:
        self._session.ask({"id": self._data["id"], "set": name, "value": self._session.encode(value)})

    def __eq__(self, other: object) -> bool:
        return False

    def __bool__(self) -> bool:
        return self._data.get("truth") is not False

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{str(self._data.get('type'))[:100]} of the program>"


def _marked(error: Exception) -> Exception:
    """The error, known from now on as the program's."""
    error.__dict__["from_program"] = True
    return error


def _copy_back(original: Any, after: Any) -> None:
    """A mutable argument that the program changed changes here as well, as it would in one process."""
    if type(original) is not type(after) or original == after:
        return
    if type(original) in (list, bytearray):
        original[:] = after
    elif type(original) in (dict, set):
        original.clear()
        original.update(after)


# --- running the tests ----------------------------------------------------------------------------


def run(setup: str, asserts: Sequence[str], *, stop: bool) -> None:
    """Run the tests and write one JSON line for each as it ends; does not return.

    stop  end at the first test that fails
    """
    results = os.dup(RESULTS)
    os.dup2(2, 1)
    namespace = python_program.prepare("tests")
    session = Session()

    def report(status: str, reason: str = "") -> None:
        os.write(results, json.dumps([status, reason[:2000]]).encode() + b"\n")

    try:
        blocks = [compile(text, "<test>", "exec", dont_inherit=True) for text in asserts]
        start = compile(setup, "<setup>", "exec", dont_inherit=True)
        wanted, modules = wanted_names([setup, *asserts])
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        report("infrastructure", f"the tests do not compile: {error}")
        os._exit(0)
    namespace.update({name: importlib.import_module(_ALIASES.get(name, name)) for name in modules})
    os.write(MARKS, b".")
    status, reason = _outcome(session, lambda: namespace.update(session.names(wanted)))
    if status == "ok":
        missing = [name for name in wanted if name not in namespace]
        os.write(MARKS, b".")
        status, reason = _outcome(session, lambda: exec(start, namespace))  # noqa: S102 - the tests' own code
        if status in ("wrong", "runtime") and not missing and not reason.startswith("!"):
            status, reason = "infrastructure", f"the setup of the tests fails: {reason}"
    if status != "ok":
        report(status, reason.lstrip("!"))
        os._exit(0)
    for block in blocks:
        os.write(MARKS, b".")
        status, reason = _outcome(session, lambda block=block: exec(block, namespace))  # noqa: S102
        report(status, reason.lstrip("!"))
        if session.gone or (stop and status != "ok"):
            break
    os._exit(0)


def _outcome(session: Session, step: Any) -> tuple[str, str]:
    """How one step of the tests ended; a reason that begins with "!" is the program's doing."""
    try:
        step()
    except _Gone as error:
        return "gone", str(error)
    except _Broken as error:
        return "infrastructure", f'{error}; such tests need "mode": "in-process"'
    except BaseException as error:  # noqa: BLE001 - whatever a test raises, it has failed
        if session.gone:
            return "gone", session.gone
        if isinstance(error, SystemExit | KeyboardInterrupt):
            return "infrastructure", f"the tests raised {type(error).__name__}"
        if getattr(error, "from_program", False):
            return "runtime", f"!the program raised {type(error).__name__}: {error}"
        status = "wrong" if isinstance(error, AssertionError) else "runtime"
        return status, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ("gone", session.gone) if session.gone else ("ok", "")


def wanted_names(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names that the tests read from the program, and the modules that they use.

    Only what the tests read is asked of the program, and never a builtin name or a module's: a program
    that could put its own `sorted` or `math.isclose` in the tests' way would decide them.
    """
    names: set[str] = set()
    modules: set[str] = set()
    for text in texts:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Name):
                names.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                modules.add(node.value.id)
    modules = {name for name in modules if _ALIASES.get(name, name) in _MODULES}
    if importlib.util.find_spec("numpy") is None:
        modules -= {"np", "numpy"}
    wanted = (name for name in names - modules if not hasattr(builtins, name) and not name.startswith("__"))
    return sorted(wanted), sorted(modules)
