"""The controller's side of the sandbox: a server, and the boxes that it clones."""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from r1rewards.code import box, cgroup, languages, zygote
from r1rewards.code.cutoff import LOOK_S, Cutoff
from r1rewards.code.limits import Limits
from r1rewards.code.meter import PATIENCE
from r1rewards.core.errors import GraderError

#: Seconds of a clock, long ones: on a machine whose cores others take, a start of 0.1 s lasts a minute.
_START_S = 300.0
_BOXES_PER_SERVER = 2000
#: A box that stays silent for this much longer than its limits allow is taken for broken.
_GRACE_S = 30.0


class BoxLost(GraderError):
    """The box or its server ended without an answer, which no program can cause from inside."""


class Refused(BoxLost):
    """The kernel, or a container around this process, does not allow what a server of this tier needs."""


class Silent(BoxLost):
    """No answer in time, which tells of the machine's load and not of what it allows."""


class CompilerLost(BoxLost):
    """The box ended while it compiled and its server lives: broken, or given a text that breaks compilers."""


def memfd(data: bytes = b"", name: str = "box") -> int:
    """A file in memory that holds `data`, at its beginning; the caller closes it."""
    fd = os.memfd_create(name)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def read_back(fd: int, limit: int = -1) -> bytes:
    """What was written to a file in memory, at most `limit` bytes of it."""
    size = os.fstat(fd).st_size
    size = size if limit < 0 else min(size, limit)
    parts: list[bytes] = []
    while (have := sum(map(len, parts))) < size and (part := os.pread(fd, size - have, have)):
        parts.append(part)
    return b"".join(parts)


def _readable(fd: int, timeout_s: float) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(timeout_s * 1000))


class Server:
    """One fork server: a process of its own, which ends with this one."""

    def __init__(self, flavour: str, tier: str) -> None:
        self.flavour, self.tier, self.boxes = flavour, tier, 0
        self.apart = tier in zygote.APART
        self.group = cgroup.Group() if tier != "C" and cgroup.fault() is None else None
        self._kept: Box | None = None
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kind = languages.flavour(flavour)
        environment = {
            "HOME": "/tmp", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TMPDIR": "/tmp",
            "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
        }  # fmt: skip
        package = os.open(zygote.PACKAGE, os.O_PATH)
        with theirs:
            self._process = subprocess.Popen(
                zygote.command(theirs.fileno(), package),
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno(), package],
                start_new_session=True,
            )
        os.close(package)
        config = {
            "tier": tier,
            "paths": kind.paths,
            "folders": kind.folders,
            "preload": kind.preload,
        }
        answer, fault = b"", "the server ended without a word"
        lost: type[BoxLost] = Refused
        try:
            if self.group is not None:
                self.group.add(self._process.pid)
            self._socket.send(marshal.dumps(config))
            self._socket.settimeout(_START_S)
            answer = self._socket.recv(1 << 16)
        except TimeoutError:
            fault, lost = f"the server did not start within {_START_S:g} s", Silent
            self._process.kill()
        except OSError as error:
            fault = str(error)
        if answer != box.READY:
            said = answer.decode() or self._last_words() or fault
            if lost is Refused and self._process.returncode == -signal.SIGKILL:
                lost = BoxLost  # somebody killed it
            self.close()
            raise lost(f"no tier {tier} sandbox: {said}")

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
            lines = self._process.communicate(timeout=5)[1].decode(errors="replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    def spawn(self, fds: Sequence[int], limits: Limits) -> int:
        """Clone a box that gets `fds` (its socket, its job, perhaps a program); a handle on its process 1."""
        self.boxes += 1
        try:
            if self.group is not None:
                self.group.limit(limits)
            socket.send_fds(self._socket, [b"b"], list(fds))
            data, handles, _, _ = socket.recv_fds(self._socket, 1, 1)
        except OSError as error:
            raise BoxLost(f"the sandbox server is gone: {error}") from error
        if not data or not handles:
            raise BoxLost("the sandbox server is gone")
        return handles[0]

    def keep(self, kept: Box) -> None:
        """Keep a clean box for `kept_box`."""
        self._kept = kept

    def kept_box(self, limits: Limits) -> Box | None:
        """The box that was kept, where it has these limits."""
        kept, self._kept = self._kept, None
        if kept is None:
            return None
        if kept.limits != limits:
            kept.close()
            return None
        self.boxes += 1
        if self.group is not None:
            self.group.limit(limits)
        return kept

    @property
    def usable(self) -> bool:
        return self._process.poll() is None and self.boxes < _BOXES_PER_SERVER

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        """End the server and every box of it."""
        self._socket.close()
        if self._kept is not None:
            self._kept.close()
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        if self.group is not None:
            self.group.remove()

    def forget(self) -> None:
        """In a forked child of the controller: let go of the descriptors, the server is the parent's."""
        self._socket.close()
        if self._kept is not None:
            self._kept.forget()
        if self.group is not None:
            self.group.forget()


class Box:
    """One program in its box. `start` gives it one test; leaving the context ends everything in it."""

    def __init__(
        self,
        server: Server,
        limits: Limits,
        *,
        source: str = "",
        argv: Sequence[str] = (),
        env: dict[str, str] | None = None,
        files: dict[str, str] | None = None,
        role: str = "program",
        address_space: bool = True,
        program: int | None = None,
        cutoff: Cutoff | None = None,
    ) -> None:
        self.limits, self.cutoff = limits, cutoff or Cutoff()
        #: Whether it has nothing to do, and nothing was left in it by what it did.
        self.clean = True
        self._scratch = None if server.apart else tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        job = {
            "source": source,
            "argv": list(argv),
            "env": env or {},
            "files": files or {},
            "role": role,
            "limits": limits.to_dict(),
            "address_space": address_space,
            "scratch": self._scratch.name if self._scratch else "/tmp",
        }
        self._compiled = False
        self._server = server
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sheet = memfd(marshal.dumps(job))
        try:
            fds = [theirs.fileno(), sheet] + ([program] if program is not None else [])
            self._handle = server.spawn(fds, limits)
        except BoxLost:
            self._socket.close()
            raise
        finally:
            theirs.close()
            os.close(sheet)

    def start(self, fds: Sequence[int]) -> None:
        """Start a test: the child gets `fds` as its descriptors 0, 1, 2 and so on."""
        self.clean = False
        with contextlib.suppress(BrokenPipeError, ConnectionError):  # the answer that is awaited next tells
            socket.send_fds(self._socket, [b"t"], list(fds))

    def wait_ready(self) -> str | None:
        """Wait until the program is compiled; what the compiler said against it otherwise."""
        if self._compiled:
            return None
        wait_s = 4 * self.limits.compile_s + _GRACE_S  # seconds of a clock: a loaded machine is no fault
        if not self._awaited(wait_s):
            return f"the compiler did not come to an end in {wait_s:g} s"
        answer = self._receive()
        if answer is None:
            if self._server.usable:
                raise CompilerLost("the box ended while it compiled")
            raise BoxLost("the server ended")
        self._compiled = answer == box.READY
        return None if self._compiled else answer.decode()

    def outcome(self) -> dict[str, Any]:
        """What became of the test that `start` began."""
        if not self._awaited(PATIENCE * self.limits.wall_s + _GRACE_S):
            raise Silent("the box fell silent in a test")
        answer = self._receive()
        if answer is None:
            raise BoxLost("the box ended in a test")
        code, killed, cpu_s, spent_s, memory_mb, survivors, touched = answer.decode().split()
        if self._server.group is not None and self._server.group.overrun():
            killed = "memory"
        self.clean = "1" not in (survivors, touched)
        return {
            "code": int(code),
            "killed": None if killed == "None" else killed,
            "cpu": float(cpu_s),
            "spent": float(spent_s),
            "memory_mb": int(memory_mb),
        }

    def _awaited(self, timeout_s: float) -> bool:
        """Whether the box says something in time. Raises CutOff where the batch ends first."""
        ends = time.monotonic() + timeout_s
        while not _readable(self._socket.fileno(), max(0.0, min(LOOK_S, ends - time.monotonic()))):
            self.cutoff.check()
            if time.monotonic() >= ends:
                return False
        return True

    def _receive(self) -> bytes | None:
        """What the box said, None where it has ended."""
        try:
            return self._socket.recv(1 << 16) or None
        except OSError:
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything in it."""
        self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        if self._scratch is not None:
            _readable(self._handle, 5.0)
            self._scratch.cleanup()
        os.close(self._handle)

    def forget(self) -> None:
        """As a server's: the box stays the parent's."""
        self._socket.close()
        os.close(self._handle)
