"""Running a Python program the way `python program.py` would, in a process that is already warm."""

# This runs inside, where pathlib is not loaded.
# ruff: noqa: PTH100, PTH120, PTH123

from __future__ import annotations

import _sitebuiltins
import atexit
import builtins
import contextlib
import os
import random
import signal
import sys
import threading
import types

# By name, as in `wire`: a program may put others in their place.
from gc import collect
from os import _exit
from types import CodeType
from typing import Any

from r1rewards.code import kernel

_SEED = 0
#: What the program is called in its working folder: it may read itself, and processes that it spawns do.
FILE = "program.py"


def compiled(source: str) -> CodeType:
    """The program's code, its text written to `FILE` in the working folder. Raises what the compiler does."""
    source = source.removeprefix("\ufeff")
    with open(FILE, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        file.write(source)
    return compile(source, os.path.abspath(FILE), "exec", dont_inherit=True)


def prepare(name: str) -> dict[str, Any]:
    """A fresh module called `name`, and signals and random numbers as a new interpreter has them.

    The streams are those that the server was started with: nothing has passed through them, and their
    descriptors are the child's own by now.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv, sys.orig_argv = [FILE], [sys.executable, FILE]
    builtins.copyright = builtins.credits = builtins.license = _sitebuiltins._Printer("license", "Python")
    builtins.help = _sitebuiltins._Helper()
    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    threading.stack_size(16 << 20)  # else each thread reserves as much as the deep main stack
    random.seed(_SEED)  # the same program gets the same verdict
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(_SEED)
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
    _exit(finish(namespace, status))


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


def finish(namespace: dict[str, Any], status: int) -> int:
    """What an interpreter does at its end: join threads, exit handlers, finalizers, flush."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        status = flush(status)
        # A stream that the program put in its place may not work without the program's names.
        sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
        for name in [name for name in namespace if name != "__builtins__"]:
            namespace[name] = None
        collect()
        flush(status)
    except SystemExit as error:
        status = _exit_status(error)
    except BaseException:  # noqa: BLE001 - a program may leave anything behind
        status = status or 1
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
