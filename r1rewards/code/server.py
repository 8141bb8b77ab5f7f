"""The controller's side of the sandbox: servers that are started when needed, and boxes cloned by them."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from r1rewards.code import bubblewrap, cgroup, languages, zygote
from r1rewards.code.cutoff import Cutoff
from r1rewards.code.limits import Limits
from r1rewards.code.meter import PATIENCE
from r1rewards.core.errors import GraderError, UserError
from r1rewards.core.processes import cores

TIERS = {
    "A": "namespaces, seccomp and Landlock; no network, a root of its own, nothing survives",
    bubblewrap.TIER: "the same by way of bubblewrap, which starts an interpreter for each program",
    "B": "Landlock and seccomp without namespaces; programs cannot start processes",
    "C": "resource limits only: a program can read and write what this user can",
}
#: The tiers that are taken without being asked for, the best first.
SAFE_TIERS = ("A", bubblewrap.TIER, "B")
#: What `isolation=` may say; "unsafe" is the only way to tier C.
ISOLATIONS = ("auto", *SAFE_TIERS, "unsafe")
_START_S = 60.0
_BOXES_PER_SERVER = 2000
#: A box that stays silent for this much longer than its limits allow is taken for broken.
_GRACE_S = 30.0
#: How often one who waits looks whether the batch is over.
_LOOK_S = 0.2


def described(tier: str) -> str:
    """What verdicts call a tier here: with what is added to it where this user may."""
    return f"{tier}+cgroup" if tier in SAFE_TIERS and cgroup.fault() is None else tier


class BoxLost(GraderError):
    """The box or its server ended without an answer, which no program can cause from inside."""


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
        self.group = cgroup.Group() if tier != "C" and cgroup.fault() is None else None
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kind = languages.flavour(flavour)
        environment = {
            "HOME": "/tmp", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TMPDIR": "/tmp",
            "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
        }  # fmt: skip
        with theirs:
            self._process = subprocess.Popen(
                zygote.command(theirs.fileno()),
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        config = {
            "tier": tier,
            "paths": kind.paths,
            "folders": kind.folders,
            "preload": kind.preload,
        }
        answer, fault = b"", "the server ended without a word"
        try:
            if self.group is not None:
                self.group.add(self._process.pid)
            self._socket.send(json.dumps(config).encode())
            self._socket.settimeout(_START_S)
            answer = self._socket.recv(1 << 16)
        except OSError as error:
            fault = str(error)
        self.features: dict[str, Any] = json.loads(answer) if answer else {}
        if not self.features or "error" in self.features:
            said = self.features.get("error") or self._last_words() or fault
            self.close()
            raise BoxLost(f"no tier {tier} sandbox: {said}")

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
            self._process.kill()
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

    @property
    def usable(self) -> bool:
        return self._process.poll() is None and self.boxes < _BOXES_PER_SERVER

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        """End the server and every box of it."""
        self._socket.close()
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        if self.group is not None:
            self.group.remove()

    def forget(self) -> None:
        """In a forked child of the controller: let go of the descriptors, the server is the parent's."""
        self._socket.close()
        if self.group is not None:
            self.group.forget()


def _turns() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(2 * cores())


class Pool:
    """Idle servers by kind. A borrowed server serves one program; any thread may borrow."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str], list[Server]] = {}
        self._lock = threading.Lock()
        self._turns = _turns()
        self._faults: dict[str, str | None] = {}

    @contextmanager
    def turn(self, cutoff: Cutoff) -> Iterator[None]:
        """Wait for a turn: only so many programs run at one time, however many threads ask."""
        turns = self._turns
        while not turns.acquire(timeout=_LOOK_S):
            cutoff.check()
        try:
            yield
        finally:
            turns.release()

    def borrow(self, flavour: str, tier: str) -> Server:
        while True:
            with self._lock:
                idle = self._idle.get((flavour, tier))
                server = idle.pop() if idle else None
            if server is None:
                return Server(flavour, tier)
            if server.usable:
                return server
            server.close()

    def give_back(self, server: Server) -> None:
        if not server.usable:
            server.close()
            return
        with self._lock:
            self._idle.setdefault((server.flavour, server.tier), []).append(server)

    def tier(self, isolation: str) -> str:
        """The tier that `isolation` asks for here; refuses what is not safe unless it says so."""
        if isolation not in ISOLATIONS:
            raise UserError(
                f"isolation is {isolation!r}; it must be one of {', '.join(ISOLATIONS)}, or the address of a"
                " SandboxFusion server"
            )
        if isolation == "unsafe":
            return "C"
        tier, why_not = self.best_tier() if isolation == "auto" else (isolation, {})
        if isolation != "auto" and (fault := self.fault(isolation)) is not None:
            tier, why_not = "C", {isolation: fault}
        if tier == "C":
            wanted = "safe" if isolation == "auto" else f"tier {isolation}"
            raise UserError(
                f"no {wanted} sandbox on this machine ({'; '.join(why_not.values())}); "
                "see `r1rewards doctor`, or say isolation='unsafe' for programs that you trust"
            )
        return tier

    def best_tier(self) -> tuple[str, dict[str, str]]:
        """The best tier that starts and proves itself here, and why better ones do not."""
        why_not: dict[str, str] = {}
        for tier in SAFE_TIERS:
            fault = self.fault(tier)
            if fault is None:
                return tier, why_not
            why_not[tier] = fault
        return "C", why_not

    def fault(self, tier: str) -> str | None:
        """Why a tier does not hold here, None where it does; tried once."""
        if tier not in self._faults:
            self._faults[tier] = self._tried(tier)
        return self._faults[tier]

    def _tried(self, tier: str) -> str | None:
        from r1rewards.code.doctor import self_test

        try:
            server = self.borrow("python", tier)
        except GraderError as error:
            return str(error)
        fault = self_test(server)
        self.give_back(server)
        return fault

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, {}
        for servers in idle.values():
            for server in servers:
                server.close()

    def after_fork(self) -> None:
        idle, self._idle = self._idle, {}
        self._lock, self._turns = threading.Lock(), _turns()
        for servers in idle.values():
            for server in servers:
                server.forget()


POOL = Pool()
atexit.register(POOL.close)
os.register_at_fork(after_in_child=POOL.after_fork)


@contextmanager
def borrowed(flavour: str, tier: str) -> Iterator[Server]:
    """A server of this kind; one that lost a box, or was interrupted, is not used again."""
    server = POOL.borrow(flavour, tier)
    whole = False
    try:
        yield server
        whole = True
    except GraderError as error:
        whole = not isinstance(error, BoxLost)
        raise
    finally:
        if whole:
            POOL.give_back(server)
        else:
            server.close()


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
        tests: dict[str, Any] | None = None,
        address_space: bool = True,
        program: int | None = None,
        cutoff: Cutoff | None = None,
    ) -> None:
        self._limits, self._cutoff = limits, cutoff or Cutoff()
        self._scratch = (
            None if server.features["apart"] else tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        )
        job = {
            "source": source,
            "argv": list(argv),
            "env": env or {},
            "files": files or {},
            "role": role,
            "tests": tests,
            "limits": limits.to_dict(),
            "address_space": address_space,
            "scratch": self._scratch.name if self._scratch else "/tmp",
        }
        self._compiled = False
        self._server = server
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sheet = memfd(json.dumps(job).encode())
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
        with contextlib.suppress(BrokenPipeError, ConnectionError):  # the answer that is awaited next tells
            socket.send_fds(self._socket, [b"t"], list(fds))

    def wait_ready(self) -> str | None:
        """Wait until the program is compiled; what the compiler said against it otherwise."""
        if self._compiled:
            return None
        wait_s = 4 * self._limits.compile_s + _GRACE_S  # seconds of a clock: a loaded machine is no fault
        if not self._awaited(wait_s):
            return f"the compiler did not come to an end in {wait_s:g} s"
        answer = self._receive(0)
        if answer is None:
            if self._server.usable:
                raise CompilerLost("the box ended while it compiled")
            raise BoxLost("the server ended")
        self._compiled = "ready" in answer
        return None if self._compiled else str(answer.get("compile"))

    def outcome(self, timeout_s: float | None = None) -> dict[str, Any]:
        """What became of the test that `start` began."""
        answer = self._receive(timeout_s or PATIENCE * self._limits.wall_s + _GRACE_S)
        if answer is None:
            raise BoxLost("the box ended or fell silent in a test")
        if self._server.group is not None and self._server.group.overrun():
            answer["killed"] = "memory"
        return answer

    def _awaited(self, timeout_s: float) -> bool:
        """Whether the box says something in time. Raises CutOff where the batch ends first."""
        ends = time.monotonic() + timeout_s
        while not _readable(self._socket.fileno(), max(0.0, min(_LOOK_S, ends - time.monotonic()))):
            self._cutoff.check()
            if time.monotonic() >= ends:
                return False
        return True

    def _receive(self, timeout_s: float) -> dict[str, Any] | None:
        try:
            data = self._socket.recv(1 << 16) if self._awaited(timeout_s) else b""
        except OSError:
            data = b""
        return json.loads(data) if data else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        if self._scratch is not None:
            _readable(self._handle, 5.0)
            self._scratch.cleanup()
        os.close(self._handle)
