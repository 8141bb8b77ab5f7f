"""Assert tests in the program's own process, for tests that need its classes. Opt-in, and of lower trust.

A program may patch whatever its tests touch. What is left of protection: the tests come after the
program has run, and a result counts only with a word that the program was not told.
"""

from __future__ import annotations

# By name, as in `wire`: a program may put others in their place.
from json import dumps
from os import _exit, write
from types import CodeType

from r1rewards.code import python_program, wire

TESTS, RESULTS = 3, 4


def run(code: CodeType) -> None:
    """Run the program and then its tests, one JSON line for each as it ends; does not return."""
    namespace = python_program.load(code)
    tests = wire.receive(TESTS)
    for text in (tests["setup"], *tests["asserts"]):
        try:
            exec(compile(text, "<test>", "exec", dont_inherit=True), namespace)  # noqa: S102 - boxed
            status, reason = "ok", ""
        except AssertionError as error:
            status, reason = "wrong", f"AssertionError: {error}"
        except BaseException as error:  # noqa: BLE001 - whatever a test raises, it has failed
            status, reason = "runtime", f"{type(error).__name__}: {error}"
        line = dumps([tests["word"], status, reason[:2000]])
        write(RESULTS, line.encode() + b"\n")
        if status != "ok" and tests["stop"]:
            break
    _exit(0)
