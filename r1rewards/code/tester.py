"""The tests' side of assert tests: statements that call a program which runs in another process.

The names that the tests use and do not define become stand-ins (see `stand`). Comparing is done here, so
the program has no say in it.
"""

from __future__ import annotations

import _symtable  # type: ignore[import-not-found]
import ast
import builtins
import importlib.util
import json
import marshal
import os
from collections.abc import Sequence
from typing import Any

from r1rewards.code import box, python_program
from r1rewards.code.stand import Broken, Gone, Session

RESULTS, MARKS, TESTS = 1, 4, 5

#: Modules that tests may use because the program imported them; the tester's own copy, never the program's.
_MODULES = frozenset({
    "asyncio", "bisect", "cmath", "collections", "contextlib", "copy", "datetime", "decimal", "fractions",
    "functools", "heapq", "io", "itertools", "json", "math", "numpy", "operator", "random", "re",
    "statistics", "string", "sys", "time", "types", "typing",
})  # fmt: skip
_ALIASES = {"np": "numpy", "dt": "datetime", "it": "itertools"}


def run() -> None:
    """Run the tests that were sent and write one JSON line for each as it ends; does not return.

    Sent are `setup`, the `asserts`, and whether to `stop` at the first test that fails.
    """
    sent = marshal.loads(box.read_all(TESTS))
    os.close(TESTS)
    setup, asserts = sent["setup"], sent["asserts"]
    results = os.dup(RESULTS)
    os.dup2(2, 1)
    namespace = python_program.prepare("tests")
    session = Session()

    def report(status: str, reason: str = "") -> None:
        os.write(results, json.dumps([status, reason[:2000]]).encode() + b"\n")

    try:
        start = compile(setup, "<setup>", "exec", dont_inherit=True)
        blocks = [compile(text, "<test>", "exec", dont_inherit=True) for text in asserts]
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
        if session.gone or (sent["stop"] and status != "ok"):
            break
    os._exit(0)


_REHEARSED = """
def check(f):
    for n in range(2):
        assert abs(f(n, [-1])) == {1: 2}[n], 'f'
"""


def rehearse() -> None:
    """Once, in a server: see `python_program.settle`."""
    given = [1, 2.5, "x", (True, None), {"key": [1]}]
    for _ in range(python_program.REHEARSALS):
        wanted_names([_REHEARSED])
        session = Session()
        answer = {"value": session.encode(given), "args": [None], "kwargs": {}, "printed": ""}
        session.taken("call", answer, [given], {})


def _outcome(session: Session, step: Any) -> tuple[str, str]:
    """How one step of the tests ended; a reason that begins with "!" is the program's doing."""
    session.doubt = ""
    try:
        step()
    except Gone as error:
        return "gone", str(error)
    except Broken as error:
        return "infrastructure", f'{error}; such tests need "mode": "in-process"'
    except BaseException as error:  # noqa: BLE001 - whatever a test raises, it has failed
        if session.gone:
            return "gone", session.gone
        if getattr(error, "from_program", False):
            return "runtime", f"!the program raised {type(error).__name__}: {error}"
        if isinstance(error, SystemExit | KeyboardInterrupt):
            return "infrastructure", f"the tests raised {type(error).__name__}"
        status = "wrong" if isinstance(error, AssertionError) else "runtime"
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return status, reason + _doubt(session)
    return ("gone", session.gone) if session.gone else ("ok", "")


def _doubt(session: Session) -> str:
    """What to do about it, where a test may have failed only because it needs a class of the program."""
    if not session.doubt:
        return ""
    return (
        f" (a {session.doubt} of the program equals nothing here;"
        ' tests that need the program\'s own classes say "mode": "in-process")'
    )


def wanted_names(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names that the tests read from the program, and the modules that they use.

    Only what the tests read is asked of the program, and never a builtin name or a module's: a program
    that could put its own `sorted` or `math.isclose` in the tests' way would decide them.
    """
    names: set[str] = set()
    for text in texts:
        names |= _names_read(_symtable.symtable(text, "<test>", "exec"))
    perhaps = {name for name in names if _ALIASES.get(name, name) in _MODULES}
    modules = perhaps & _with_attributes(texts) if perhaps else perhaps
    numpy = modules & {"np", "numpy"}
    if numpy and importlib.util.find_spec("numpy") is None:
        modules -= numpy
    wanted = (name for name in names - modules if not hasattr(builtins, name) and not name.startswith("__"))
    return sorted(wanted), sorted(modules)


def _names_read(table: Any) -> set[str]:
    """The names that a block and those in it read, from the compiler's own table: an object for each would
    take as long as the compiler.
    """
    names = {name for name, flags in table.symbols.items() if flags & _symtable.USE}
    return names.union(*map(_names_read, table.children))


def _with_attributes(texts: Sequence[str]) -> set[str]:
    """The names of which an attribute is read."""
    nodes = (node for text in texts for node in ast.walk(ast.parse(text)))
    return {
        node.value.id
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
