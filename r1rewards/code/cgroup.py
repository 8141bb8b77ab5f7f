"""Control groups: where this user may make them, a hard limit on what all processes of a server take.

A box watches its program's memory by looking, and the kernel limits each process alone. A group sees more:
files in memory, pipes, sockets and the kernel's own structures, of all processes together, at any moment.
Each server is put into one, next to the group of the process that starts it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from r1rewards.code.limits import Limits

_MIB = 1 << 20
#: What a server and its box take beside the program.
_BASE_MB, _BASE_PROCS = 256, 8
_PREFIX = "r1rewards-"
_LEAVES_S = 5.0
_KILLS = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)
_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of one version: those that set a limit, and the one that counts kills for memory."""

    memory: str
    procs: str
    no_swap: str
    events: str


_VERSIONS = {
    1: _Files("memory.limit_in_bytes", "pids.max", "memory.swappiness", "memory.oom_control"),
    2: _Files("memory.max", "pids.max", "memory.swap.max", "memory.events"),
}


class Group:
    """A group of its own for one server. Raises OSError where none can be made."""

    def __init__(self) -> None:
        self.version, parents = parents_of(Path("/proc/self"))
        name = f"{_PREFIX}{os.getpid()}-{next(_NUMBERS)}"
        self._files, self._set, self._events = _VERSIONS[self.version], (0, 0), -1
        self._memory, self._pids = (parent / name for parent in parents)
        self.folders = {self._memory, self._pids}
        for parent in set(parents):
            _sweep(parent)
        try:
            for folder in self.folders:
                folder.mkdir()
            swap = self._memory / self._files.no_swap
            if swap.exists():
                swap.write_text("0")
            self._events = os.open(self._memory / self._files.events, os.O_RDONLY)
            self._killed = self._count()
        except OSError:
            self.remove()
            raise

    def add(self, pid: int) -> None:
        """Move a process here; those that it starts are born here."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def limit(self, limits: Limits) -> None:
        """Hold from now on what a program with these limits may take, beside the server."""
        streams_mb = 3 * limits.output_mb  # its files and two streams lie in memory
        self.hold((limits.memory_mb + streams_mb + _BASE_MB) * _MIB, limits.procs + _BASE_PROCS)

    def hold(self, size: int, procs: int) -> None:
        """At most `size` bytes and `procs` processes and threads."""
        if self._set == (size, procs):
            return
        self._set = (size, procs)
        (self._pids / self._files.procs).write_text(str(procs))
        try:
            (self._memory / self._files.memory).write_text(str(size))
        except OSError as error:
            if error.errno != errno.EBUSY:  # v1, where more lies there now: the box's own watch holds
                raise

    def overrun(self) -> bool:
        """Whether the kernel has killed a process for its memory since this was last asked."""
        before, self._killed = self._killed, self._count()
        return self._killed > before

    def _count(self) -> int:
        found = _KILLS.search(os.pread(self._events, 4096, 0))
        if found is None:
            raise OSError(f"{self._memory / self._files.events} counts no kills")
        return int(found[1])

    def forget(self) -> None:
        """Let go of it, and leave it where it is."""
        if self._events >= 0:
            os.close(self._events)
            self._events = -1

    def remove(self) -> None:
        """Take the group away; the last of its processes may still be on their way out."""
        self.forget()
        ends = time.monotonic() + _LEAVES_S
        for folder in self.folders:
            while folder.exists():
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > ends:
                        return  # a later group sweeps it away
                    time.sleep(0.002)


def parents_of(process: Path) -> tuple[int, tuple[Path, Path]]:
    """The version in use, and the folders in which groups for memory and for processes may be made.

    process  the folder in /proc of the process that asks. Raises OSError where there are none
    """
    mounts = [line.split(" - ") for line in (process / "mountinfo").read_text().splitlines()]
    own = [line.split(":", 2) for line in (process / "cgroup").read_text().splitlines()]
    paths = {name: path for _, names, path in own for name in names.split(",")}

    def folder(kind: str, controller: str) -> Path:
        for where, what in mounts:
            root, point = where.split()[3:5]
            if what.split()[0] != kind or controller not in ("", *what.split()[2].split(",")):
                continue
            path = paths[controller]
            if f"{path}/".startswith(f"{root.rstrip('/')}/"):
                return Path(point + path[len(root.rstrip("/")) :])
        raise OSError("no control groups are mounted where this process could see its own")

    if "memory" in paths and "pids" in paths:
        return 1, (folder("cgroup", "memory"), folder("cgroup", "pids"))
    if "" not in paths:
        raise OSError("this process is in no control group")
    here = folder("cgroup2", "")
    for parent in (here, here.parent):  # a group that holds processes hands no controllers on: then beside it
        handed = parent / "cgroup.subtree_control"
        if handed.exists() and {"memory", "pids"} <= {*handed.read_text().split()}:
            return 2, (parent, parent)
    raise OSError(f"{here} hands on no memory and pids controllers")


def _sweep(parent: Path) -> None:
    """Remove what processes that were killed have left."""
    for folder in parent.glob(f"{_PREFIX}*"):
        if not Path(f"/proc/{folder.name.split('-')[1]}").exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


#: Asks for a second process and for more memory than the group has.
_GREEDY = """
import os
input()
try:
    os._exit(os.fork())
except OSError:
    print("refused", flush=True)
bytearray(256 << 20)
print("given")
"""


@functools.cache
def fault() -> str | None:
    """Why groups do not hold here, None where they do: tried once, on a process that asks for too much."""
    try:
        group = Group()
    except OSError as error:
        return str(error)
    command = [sys.executable, "-I", "-S", "-c", _GREEDY]
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            group.hold(64 * _MIB, 1)
            group.add(process.pid)
            said = process.communicate("\n")[0].split()
        held = said == ["refused"] and group.overrun()
        return None if held else "a process in a group of its own was not held to its limits"
    except OSError as error:
        return str(error)
    finally:
        group.remove()


def version() -> int | None:
    """The version of control groups that servers are held by, None where they are held by none."""
    return parents_of(Path("/proc/self"))[0] if fault() is None else None
