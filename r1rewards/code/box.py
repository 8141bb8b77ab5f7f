"""The box: process 1 of a new pid and mount namespace, which runs one program on its tests.

No program code runs in this process. It closes the box around itself, so that all its children are born
inside, compiles, and then for each test forks a child, watches it, and kills whatever is left.
"""

# This runs inside, where pathlib is not loaded.
# ruff: noqa: PTH110, PTH123, PTH208

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from r1rewards.code import in_process, kernel, python_program, root, seccomp, served, tester

#: Descriptors of a box: its socket, its job, and the compiled program if there is one.
CONTROL, JOB, PROGRAM = 3, 4, 5
#: In place of a command: the compiled program that the controller sent.
BINARY = "{program}"
#: A program that has waited for a core until this many times its wall limit was never really tried.
PATIENCE = 20
_TICK_MS = 20
_MIB = 1 << 20
#: Address space that an interpreter and a few thread stacks take beside the program's own memory.
_ADDRESSES_MB = 768
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_MB = resource.getpagesize() / _MIB
_FILTER = b""


def warm_up() -> None:
    """Called once in the server: what every box would otherwise do again."""
    global _FILTER
    _FILTER = seccomp.build()


def main(features: dict[str, Any]) -> None:
    """Run the job: enter, compile, then one test for each message until the controller hangs up."""
    control = socket.socket(fileno=CONTROL)
    job = json.loads(_read_all(JOB))
    os.close(JOB)
    _enter(job, features)
    try:
        prepared = _prepare(job)
    except Exception as error:  # noqa: BLE001 - whatever the compiler says of a hostile text is the program's
        control.send(json.dumps({"compile": f"{type(error).__name__}: {error}"[:2000]}).encode())
        control.recv(1)  # whatever the controller has sent meanwhile: it must not find the box gone
        return
    control.send(b'{"ready": true}')
    while True:
        data, fds, _, _ = socket.recv_fds(control, 1 << 16, 6)
        if not data:
            return
        outcome = _run(prepared, job, fds, control, features)
        if outcome is None:
            return
        control.send(json.dumps(outcome).encode())


def _read_all(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    parts, offset = [], 0
    while offset < size:
        part = os.pread(fd, min(size - offset, 1 << 24), offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def _enter(job: dict[str, Any], features: dict[str, Any]) -> None:
    limits = job["limits"]
    size = f"size={limits['output_mb']}m,nr_inodes=4096,mode=700"
    tier, scratch = features["tier"], job["scratch"]
    if tier == "A":
        flags = kernel.MS_NOSUID | kernel.MS_NODEV
        kernel.mount("tmp", "/tmp", "tmpfs", flags, size)
        if job["files"]:
            kernel.mount("box", "/box", "tmpfs", flags, "size=64m,nr_inodes=64,mode=700")
        try:
            kernel.mount("proc", "/proc", "proc", flags | kernel.MS_NOEXEC)
        except OSError:  # a container that masks parts of /proc; the server's own must not show through
            kernel.mount("none", "/proc", "tmpfs", flags | kernel.MS_NOEXEC, "size=0,nr_inodes=1,mode=555")
    for path, text in job["files"].items():
        with open(path, "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(text)
    os.chdir(scratch)
    _set_limits(limits, job["address_space"])
    kernel.set_dumpable(False)
    if tier == "C":
        return
    kernel.drop_capabilities()
    kernel.no_new_privileges()
    if features["landlock"]:
        kernel.landlock(features["landlock"], _rules(features, scratch), scoped=True)
    if tier == "A":
        kernel.seccomp(_FILTER)


def _rules(features: dict[str, Any], scratch: str) -> list[kernel.PathRule]:
    scratched = kernel.PathRule(scratch, kernel.SCRATCH | kernel.EXECUTE)
    writable = kernel.READ_FILE | kernel.WRITE_FILE
    if features["tier"] == "A":
        seen = kernel.PathRule("/", kernel.READ | kernel.EXECUTE)
        return [seen, kernel.PathRule("/dev", writable), scratched]
    rules = [kernel.PathRule(path, kernel.READ | kernel.EXECUTE) for path in features["paths"]]
    rules += [kernel.PathRule(f"/dev/{name}", writable) for name in root.DEVICES]
    return [rule for rule in rules if os.path.exists(rule.path)] + [scratched]


def _set_limits(limits: dict[str, Any], address_space: bool) -> None:
    def put(which: int, value: int) -> None:
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))

    put(resource.RLIMIT_CORE, 0)
    put(resource.RLIMIT_NOFILE, 256)
    put(resource.RLIMIT_NPROC, limits["procs"] + 2)  # the server and this process count as well
    put(resource.RLIMIT_FSIZE, limits["output_mb"] * _MIB)
    put(resource.RLIMIT_MEMLOCK, 0)
    put(resource.RLIMIT_MSGQUEUE, 0)
    put(resource.RLIMIT_SIGPENDING, 256)
    if address_space:
        put(resource.RLIMIT_AS, (limits["memory_mb"] + _ADDRESSES_MB) * _MIB)


def _prepare(job: dict[str, Any]) -> Callable[[], None]:
    """What a child does once it stands in its place."""
    if job["argv"]:
        return lambda: _execute(job["argv"], job["env"])
    if job["role"] == "test":
        return lambda: tester.run(**job["tests"])
    code = python_program.compiled(job["source"])
    if job["role"] == "serve":
        return lambda: served.serve(code)
    if job["role"] == "in-process":
        return lambda: in_process.run(code)
    return lambda: python_program.run(code)


def _execute(argv: list[str], env: dict[str, str]) -> None:
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    if argv[0] == BINARY:
        os.execve(3, ["./program", *argv[1:]], env)
    os.execve(argv[0], argv, env)


def _run(
    prepared: Callable[[], None],
    job: dict[str, Any],
    fds: list[int],
    control: socket.socket,
    features: dict[str, Any],
) -> dict[str, Any] | None:
    """One test; None when the controller hung up meanwhile."""
    before = _scratch(job)
    # Beside its three streams a child gets what its role needs. Two things stay here: the marks of a
    # served program, and the file that takes what a compiler made.
    marks = fds.pop() if job["role"] == "serve" else None
    binary = fds.pop() if job["role"] == "compile" else None
    pid = os.fork()
    if pid == 0:
        try:
            _become_child(fds, job, features)
            prepared()
        finally:
            os._exit(71)
    for fd in fds:
        os.close(fd)
    meter = _Meter(pid, job, features["tier"])
    killed = _watch(pid, meter, control, marks, features)
    spent_s = meter.spent_s()
    if marks is not None:
        os.close(marks)
    _, status, usage = os.wait4(pid, 0)
    survivors = _kill_all() if features["tier"] == "A" else False
    if binary is not None:
        if status == 0 and killed is None:
            _copy(f"{job['scratch']}/program", binary)
        os.close(binary)
    if killed == "hung up":
        return None
    return {
        "code": os.waitstatus_to_exitcode(status),
        "killed": killed,
        "cpu": usage.ru_utime + usage.ru_stime,
        "spent": spent_s,
        "memory_mb": usage.ru_maxrss // 1024,
        "dirty": survivors or _scratch(job) != before,
    }


def _scratch(job: dict[str, Any]) -> list[tuple[str, int, int]]:
    """What lies in the working folder; a file that was touched shows by a time that no program can set."""
    with os.scandir(job["scratch"]) as entries:
        found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    return sorted((name, status.st_ino, status.st_ctime_ns) for name, status in found)


def _copy(path: str, target: int) -> None:
    with contextlib.suppress(OSError):
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        while os.sendfile(target, source, None, 1 << 24):
            pass
        os.close(source)


def _become_child(fds: list[int], job: dict[str, Any], features: dict[str, Any]) -> None:
    kernel.die_with_parent()
    if features["tier"] == "B":
        kernel.seccomp(seccomp.build(pid=os.getpid()))
    if features["tier"] != "A":
        os.setsid()
    program = [PROGRAM] if job["argv"] and job["argv"][0] == BINARY else []
    for number, fd in enumerate([fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in (*fds, *program)]):
        os.dup2(fd, number, inheritable=number < len(fds))
    kernel.close_from(len(fds) + len(program))  # the socket of this box above all
    limits = job["limits"]
    seconds = int(limits["time_s"] if job["role"] == "program" else limits["program_s"]) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    kernel.set_dumpable(True)


class _Meter:
    """What the child and all that it started have used since the last test began.

    A process that is ready to run and waits for a core is not at work: that is the load of the machine.
    """

    def __init__(self, pid: int, job: dict[str, Any], tier: str) -> None:
        self._pid, self._alone, self._limits = pid, tier != "A", job["limits"]
        # The tests do little but wait for the program, whose own box counts.
        self._waits_for_another = job["role"] == "test"
        self._wall, self._cpu = time.monotonic(), _reaped_s()
        self._earlier = self._waited = self._waited_before = 0.0

    def restart(self) -> None:
        self._earlier += self.spent_s()
        self._wall, self._cpu, self._waited = time.monotonic(), self._usage()[0], 0.0
        self._waited_before = self._waited_s(str(self._pid))

    def spent_s(self) -> float:
        """Wall seconds at work or asleep."""
        waited = max(self._waited, self._waited_s(str(self._pid)) - self._waited_before)
        return max(0.0, time.monotonic() - self._wall - waited)

    def over(self) -> str | None:
        """Which limit is passed, if any; "starved" where it was the machine that let the time pass."""
        limits = self._limits
        cpu_s, resident_mb = self._usage()
        if resident_mb > limits["memory_mb"]:
            return "memory"
        if cpu_s - self._cpu > limits["time_s"]:
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

    def _usage(self) -> tuple[float, float]:
        """Processor seconds, those of ended processes included, and MiB of anonymous memory."""
        cpu_s, pages = _reaped_s(), 0
        for name in self._processes():
            cpu_s += _cpu_s(int(name))
            with contextlib.suppress(OSError, ValueError, IndexError):
                resident, shared = _fields(f"/proc/{name}/statm")[1:3]
                pages += int(resident) - int(shared)
        with contextlib.suppress(OSError, ValueError, IndexError):
            # What it has waited for itself; the name in brackets before these fields may hold anything.
            with open(f"/proc/{self._pid}/stat") as file:
                ended = file.read().rpartition(")")[2].split()[13:15]
            cpu_s += (int(ended[0]) + int(ended[1])) / _TICKS_PER_S
        return cpu_s, pages * _PAGE_MB

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


def _fields(path: str) -> list[str]:
    with open(path) as file:
        return file.read().split()


def _watch(
    pid: int, meter: _Meter, control: socket.socket, marks: int | None, features: dict[str, Any]
) -> str | None:
    """Wait for the child's end; kill it, and say why, when it passes a limit.

    marks  a pipe on which a byte says that another test begins, for a child that serves several
    """
    handle = os.pidfd_open(pid)
    poller = select.poll()
    for fd in (handle, control.fileno(), *((marks,) if marks is not None else ())):
        poller.register(fd, select.POLLIN)
    try:
        while True:
            ready = [fd for fd, _ in poller.poll(_TICK_MS)]
            if handle in ready:
                return None
            if marks is not None and marks in ready:
                if not os.read(marks, 64):
                    poller.unregister(marks)
                meter.restart()
                continue
            # The controller sends nothing during a test: if there is something to read, it is gone.
            reason = "hung up" if control.fileno() in ready else meter.over()
            if reason is not None:
                os.kill(pid, signal.SIGKILL)
                return reason
            if features["tier"] == "A":
                _reap_orphans(pid)
    finally:
        os.close(handle)


def _cpu_s(pid: int) -> float:
    try:
        return time.clock_gettime(
            (~pid << 3) | 2
        )  # the process clock of another process, clock_getcpuclockid(3)
    except OSError:
        return 0.0


def _reap_orphans(pid: int) -> None:
    """Collect ended processes that were left to us, but not the child: its usage is still wanted."""
    with contextlib.suppress(ChildProcessError):
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid == pid:
                return
            os.waitpid(ended.si_pid, 0)


def _kill_all() -> bool:
    """End every process of the namespace but this one; whether there was any."""
    found = False
    while True:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        found = True
        if pid == 0:
            time.sleep(0.0005)
