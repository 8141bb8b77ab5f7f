"""What a program uses, and whether that is more than it may: what a box looks at while it waits."""

# This runs inside, where pathlib is not loaded.
# ruff: noqa: PTH208

from __future__ import annotations

import contextlib
import os
import resource
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: A program that has waited for a core until this many times its wall limit was never really tried.
PATIENCE = 20
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_MB = resource.getpagesize() / (1 << 20)


class Meter:
    """What the child and all that it started have used since the last test began.

    A process that is ready to run and waits for a core is not at work: that is the load of the machine.
    """

    def __init__(self, pid: int, job: dict[str, Any], *, alone: bool) -> None:
        self._pid, self._alone, self._limits = pid, alone, job["limits"]
        # The tests do little but wait for the program, whose own box counts.
        self._waits_for_another = job["role"] == "test"
        self._wall, self._cpu = time.monotonic(), _reaped_s()
        self._earlier = self._waited = self._waited_before = 0.0  # a new process has waited for nothing

    def restart(self) -> None:
        self._earlier += self.spent_s()
        self._wall, self._cpu, self._waited = time.monotonic(), self._cpu_s(self._processes()), 0.0
        self._waited_before = self._waited_s(str(self._pid))

    def spent_s(self) -> float:
        """Wall seconds at work or asleep."""
        waited = max(self._waited, self._waited_s(str(self._pid)) - self._waited_before)
        return max(0.0, time.monotonic() - self._wall - waited)

    def over(self) -> str | None:
        """Which limit is passed, if any; "starved" where it was the machine that let the time pass."""
        limits, processes = self._limits, self._processes()
        if self._memory_mb(processes) > limits["memory_mb"]:
            return "memory"
        if self._cpu_s(processes) - self._cpu > limits["time_s"]:
            return "time"
        if self._waits_for_another:
            return None
        wall, wall_s = time.monotonic() - self._wall, 2 * limits["time_s"] + 1
        self._waited = max(self._waited, self._longest_wait_s())
        if wall - self._waited > min(wall_s, limits["program_s"] - self._earlier):
            return "time"
        return "starved" if wall > PATIENCE * wall_s else None

    def _processes(self) -> list[str]:
        if self._alone:
            return [str(self._pid)]
        return [name for name in os.listdir("/proc") if name.isdigit() and name != "1"] or [str(self._pid)]

    def _cpu_s(self, processes: list[str]) -> float:
        """Processor seconds, those of ended processes included."""
        cpu_s = _reaped_s() + sum(_cpu_s(int(name)) for name in processes)
        with contextlib.suppress(OSError, ValueError, IndexError):
            # What it has waited for itself; the name in brackets before these fields may hold anything.
            ended = _text(f"/proc/{self._pid}/stat").rpartition(b")")[2].split()[13:15]
            cpu_s += (int(ended[0]) + int(ended[1])) / _TICKS_PER_S
        return cpu_s

    def _memory_mb(self, processes: list[str]) -> float:
        """MiB of memory that is no file's."""
        own, common = 0, 0
        for name in processes:
            with contextlib.suppress(OSError, ValueError, IndexError):
                resident, shared = map(int, _fields(f"/proc/{name}/statm")[1:3])
                own, common = own + resident - shared, common + shared
        memory_mb = own * _PAGE_MB
        if (own + common) * _PAGE_MB > self._limits["memory_mb"]:  # look closer, which takes longer
            memory_mb += sum(map(_shared_mb, processes))
        return memory_mb

    def _longest_wait_s(self) -> float:
        """How long the thread that was kept waiting most has stood ready without a core."""
        waits = [self._waited_s(str(self._pid)) - self._waited_before]
        for name in self._processes():
            with contextlib.suppress(OSError):
                tasks = [task for task in os.listdir(f"/proc/{name}/task") if task != str(self._pid)]
                waits += [self._waited_s(f"{name}/task/{task}") for task in tasks]
        return max(waits)

    def _waited_s(self, task: str) -> float:
        try:
            return int(_fields(f"/proc/{task}/schedstat")[1]) / 1e9
        except (OSError, IndexError, ValueError):
            return 0.0


def _reaped_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _shared_mb(process: str) -> float:
    """The share that a process has in memory that it holds together with others, files left out."""
    try:
        lines = _text(f"/proc/{process}/smaps_rollup").splitlines()
        found = [line.split()[1] for line in lines if line.startswith(b"Pss_Shmem:")]
        return int(found[0]) / 1024
    except (ProcessLookupError, FileNotFoundError):
        return 0.0
    except (OSError, IndexError, ValueError):  # it hides: then all that it shares counts
        with contextlib.suppress(OSError, IndexError, ValueError):
            return int(_fields(f"/proc/{process}/statm")[2]) * _PAGE_MB
        return 0.0


def _fields(path: str) -> list[bytes]:
    return _text(path).split()


def _text(path: str) -> bytes:
    """A short file of /proc, without the layers of `open`."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 1 << 14)
    finally:
        os.close(fd)


def _cpu_s(pid: int) -> float:
    try:
        return time.clock_gettime(
            (~pid << 3) | 2
        )  # the process clock of another process, clock_getcpuclockid(3)
    except OSError:
        return 0.0
