"""Running a Python program the way `python program.py` would, in a process that is already warm."""

# This runs inside, where pathlib is not loaded.
# ruff: noqa: PTH109, PTH120

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _sitebuiltins
import _thread
import atexit
import builtins
import contextlib
import os
import sys
import types

# By name, as in `wire`: a program may put others in their place.
from gc import collect
from os import _exit
from types import CodeType

from r1rewards.code import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_SEED = 0
#: Run in a server as often as the interpreter wants before it specialises code: what that writes, and what
#: is made on first use, would else be written anew in each fork.
_REHEARSED = """
import io, sys
from collections import Counter
def solve(items):
    return sorted(Counter(str(item) for item in items if item % 2 == 0), key=lambda item: -int(item))
class Named:
    def __init__(self, name):
        self.name = name
try:
    given = list(map(int, "1 2 3".split()))
    print(f"{Named(given[0]).name:d}", *solve(given), file=io.StringIO())
except (ValueError, EOFError):
    raise
"""
REHEARSALS = 20
#: What the program is called in its working folder: it may read itself, and processes that it spawns do.
FILE = "program.py"
#: Modules that a box imports before its program where the program names them: once for all tests.
OFTEN = frozenset({
    "abc", "array", "calendar", "cmath", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions",
    "hashlib", "inspect", "io", "json", "numbers", "pprint", "queue", "re", "secrets", "signal",
    "statistics", "string", "struct", "tempfile", "textwrap", "threading", "time", "traceback", "typing",
})  # fmt: skip


def compiled(source: str) -> CodeType:
    """The program's code, its text written to `FILE` in the working folder. Raises what the compiler does.

    What it names of `OFTEN` is imported, which is safe here: nothing of the program's is on the path yet.
    """
    source = source.removeprefix("\ufeff")
    file = os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        text = memoryview(source.encode("utf-8", "surrogatepass"))
        while text:
            text = text[os.write(file, text) :]
    finally:
        os.close(file)
    code = compile(source, f"{os.getcwd()}/{FILE}", "exec", dont_inherit=True)
    for name in OFTEN.intersection(code.co_names):
        with contextlib.suppress(ImportError):  # the program will see it
            __import__(name)
    return code


def preload(names: Sequence[str]) -> None:
    """Import, once in a server, what programs use; `random` without that it seeds itself in each fork."""
    register, os.register_at_fork = os.register_at_fork, lambda **hooks: None
    import random

    os.register_at_fork = register
    random.seed(_SEED)  # the same program gets the same verdict
    for name in names:
        __import__(name)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(_SEED)


def settle() -> None:
    """Once, in a server: what every program finds as a new interpreter has it."""
    sys.argv, sys.orig_argv = [FILE], [sys.executable, FILE]
    builtins.copyright = builtins.credits = builtins.license = _sitebuiltins._Printer("license", "Python")
    builtins.help = _sitebuiltins._Helper()
    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    _thread.stack_size(16 << 20)  # else each thread reserves as much as the deep main stack
    for _ in range(REHEARSALS):
        namespace = {"__builtins__": builtins}
        exec(compile(_REHEARSED, FILE, "exec", dont_inherit=True), namespace)  # noqa: S102 - our own
        del namespace
        _let_go(0)


def prepare(name: str) -> dict[str, Any]:
    """A fresh module called `name`, and signals and forks as a new interpreter has them.

    The streams are those that the server was started with: nothing has passed through them, and their
    descriptors are the child's own by now.
    """
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    os.register_at_fork(after_in_child=sys.modules["random"].seed)
    module = types.ModuleType(name)
    module.__dict__["__builtins__"] = builtins
    sys.modules[name] = module
    return module.__dict__


def _prepare_program(name: str, code: CodeType) -> dict[str, Any]:
    sys.path.insert(0, os.path.dirname(code.co_filename))
    namespace = prepare(name)
    namespace["__file__"] = code.co_filename
    return namespace


def run(code: CodeType) -> None:
    """Run the program to the end of its life, exit handlers and buffers included; does not return."""
    namespace = _prepare_program("__main__", code)
    status = 0
    try:
        exec(code, namespace)  # noqa: S102 - this process is the sandbox
    except SystemExit as error:
        status = _exit_status(error)
    except BaseException as error:  # noqa: BLE001 - as the interpreter's top level does
        status = 1
        _show(error)
    del namespace  # for a last collection, which must find nobody holding it
    _exit(finish(status))


def _show(error: BaseException) -> None:
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next  # without the frame of this module
    sys.excepthook(type(error), error, error.__traceback__)


def load(code: CodeType) -> dict[str, Any]:
    """Import the program rather than start it, so its `__main__` part does not run; ends where that fails."""
    namespace = _prepare_program("program", code)
    try:
        exec(code, namespace)  # noqa: S102 - this process is the sandbox
    except BaseException as error:  # noqa: BLE001 - reported to the reader through the exit code and stderr
        _show(error)
        flush(1)
        _exit(1)
    return namespace


def _exit_status(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF if error.code.bit_length() < 64 else 255
    with contextlib.suppress(Exception):
        print(error.code, file=sys.stderr)  # noqa: T201
    return 1


def finish(status: int) -> int:
    """What an interpreter does at its end: join threads, exit handlers, finalizers, flush."""
    try:
        if threading := sys.modules.get("threading"):
            threading._shutdown()
        atexit._run_exitfuncs()
        status = _let_go(status)
    except SystemExit as error:
        status = _exit_status(error)
    except BaseException:  # noqa: BLE001 - a program may leave anything behind
        status = status or 1
    return status


def _let_go(status: int) -> int:
    status = flush(status)
    # A stream that the program put in its place may not work without the program's names.
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
    sys.modules.pop("__main__", None)  # so that its objects go as a whole: finalizers still see its names
    collect()
    flush(status)
    return status


def flush(status: int) -> int:
    """Write out what is buffered; 120 where standard output could not be, as the interpreter has it."""
    stdout = getattr(sys, "stdout", None)
    try:
        if stdout is not None and not getattr(stdout, "closed", False):
            stdout.flush()
    except Exception:  # noqa: BLE001 - a program may put anything in place of a stream
        status = status or 120
    for name in ("__stdout__", "stderr"):
        with contextlib.suppress(Exception):
            getattr(sys, name).flush()
    kernel.flush_c_streams()
    return status
