"""The languages, as data: a new one is a row of this table."""

# This runs inside, where pathlib is not loaded.
# ruff: noqa: PTH110, PTH113, PTH120

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from r1rewards.core.errors import GraderError


@dataclass(frozen=True, slots=True)
class Language:
    """How a program of one language is made ready and run.

    flavour   which server runs it; servers of one flavour share their root and what is preloaded
    source    the file that the program is written to; Python is compiled in memory and has none
    compile   the command that makes `program` in the working folder; none for an interpreted language
    run       the command that runs it; `{program}` is the compiled file
    tools     the executables that must be there, and the package (Debian's name) that brings each
    names     what a fenced block of this language is called
    memory_by_address_space  False where the runtime reserves far more addresses than it uses
    """

    name: str
    flavour: str = "native"
    source: str = ""
    compile: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    memory_by_address_space: bool = True


LANGUAGES: dict[str, Language] = {
    language.name: language
    for language in (
        Language("python", flavour="python", names=frozenset({"python", "python3", "py", "py3"})),
        Language(
            "cpp",
            source="main.cpp",
            compile=("/usr/bin/g++", "-O2", "-std=c++17", "-o", "program", "/box/main.cpp"),
            run=("{program}",),
            tools={"/usr/bin/g++": "g++"},
            names=frozenset({"cpp", "c++", "cc", "cxx"}),
        ),
        Language(
            "javascript",
            source="main.js",
            run=("/usr/bin/node", "--max-old-space-size=768", "--stack-size=4000", "/box/main.js"),
            tools={"/usr/bin/node": "nodejs"},
            names=frozenset({"javascript", "js", "node", "nodejs"}),
            memory_by_address_space=False,
        ),
    )
}

#: Other names that a reference may use.
ALIASES = {name: language.name for language in LANGUAGES.values() for name in language.names}


def language_of(reference: Any) -> Language:
    """The language that a reference (or a checker) asks for; Python where it says nothing."""
    if not isinstance(reference, Mapping):
        raise GraderError("the reference of a code problem must be an object with tests or asserts")
    name = str(reference.get("lang") or "python").lower()
    if name not in ALIASES:
        raise GraderError(f"there is no language {name!r}; use {', '.join(LANGUAGES)}")
    return LANGUAGES[ALIASES[name]]


@dataclass(frozen=True, slots=True)
class Flavour:
    """One kind of server: the host's paths that its root holds (read-only), and what it imports first."""

    paths: tuple[str, ...]
    preload: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")
#: For subprocess, os.system and os.popen.
_COMMANDS = ("/bin", "/usr/bin")
#: What most programs import and what is small: each fork pays for what a server holds. The rest is imported
#: where a program names it, see `python_program`.
_STANDARD = ("bisect", "collections", "functools", "heapq", "itertools", "math", "operator", "random")
_ASSERTS = ("copy", "re", "typing", "r1rewards.code.in_process", "r1rewards.code.served")
_TESTS = ("copy", "re", "typing", "r1rewards.code.tester")
#: With the parts that numpy loads when they are first used: every box would load them anew, and cannot where
#: numpy lies below a folder that a box covers, such as /tmp.
_NUMPY = ("numpy", "numpy.fft", "numpy.linalg", "numpy.ma", "numpy.polynomial", "numpy.random")


def flavour(name: str) -> Flavour:
    """What the servers called `name` hold: python, asserts (whose programs answer tests), tests (of such
    programs), the same two with numpy (numpy, numpy tests), or native.
    """
    interpreter = (os.path.dirname(os.__file__), os.path.realpath(sys.executable), *_libpython())
    python = (*interpreter, *_LIBRARIES, *_COMMANDS)
    side = _TESTS if name.endswith("tests") else _ASSERTS
    if name == "python":
        return Flavour(python, _STANDARD)
    if name in ("asserts", "tests"):
        return Flavour(python, (*_STANDARD, *side))
    if name in ("numpy", "numpy tests"):
        folder = _numpy_folder()
        found = tuple(f"{folder}/{part}" for part in ("numpy", "numpy.libs")) if folder else ()
        return Flavour((*python, *found), (*_STANDARD, *side, *_NUMPY), (folder,) if folder else ())
    return Flavour(("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives", *interpreter))


def _libpython() -> tuple[str, ...]:
    name, folder = sysconfig.get_config_var("INSTSONAME"), sysconfig.get_config_var("LIBDIR")
    path = f"{folder}/{name}"
    return (path,) if name and os.path.exists(path) else ()


def _numpy_folder() -> str | None:
    """The folder that numpy is installed in; found without importing it."""
    for folder in sys.path:
        if folder and os.path.isfile(f"{folder}/numpy/__init__.py"):
            return folder
    return None
