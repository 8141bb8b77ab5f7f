"""The box: process 1 of a new pid and mount namespace, which runs one program on its tests.

No program code runs in this process. It closes the box around itself, so that all its children are born
inside, compiles, and then for each test forks a child, watches it, and kills whatever is left.
"""

# This runs inside, where pathlib is not loaded.
# ruff: noqa: PTH102, PTH110, PTH123, PTH208

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import contextlib
import marshal
import os
import resource
import select
import stat
import sys
import time

from r1rewards.code import kernel, python_program, root, seccomp
from r1rewards.code.meter import Meter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Descriptors of a box: its socket, its job, and the compiled program if there is one.
CONTROL, JOB, PROGRAM = 3, 4, 5
#: In place of a command: the compiled program that the controller sent.
BINARY = "{program}"
_TICK_MS = 20
_MIB = 1 << 20
_MAX_FILES = 256
_WALL = 0x40000000  # wait for children of every kind
#: What a box says once the program is compiled, and a server once it stands; anything else is why not.
READY = b"ready"
#: Address space that an interpreter takes beside the program's own memory, and what a thread's stack does.
_ADDRESSES_MB, _STACK_MB = 768, 16
_FILTER = b""
#: Where this box may say how soon the kernel kills it when memory runs out; what it starts inherits that.
_oom_file: int | None = None


def warm_up() -> None:
    """Called once in the server: what every box would otherwise do again."""
    global _FILTER
    _FILTER = seccomp.build()
    kernel.keep_heaps_few()
    python_program.settle()
    for _ in range(python_program.REHEARSALS):
        kernel.set_dumpable(True)
        Meter(os.getpid(), {"limits": {}, "role": "program"}, alone=True).spent_s()
    for name in ("served", "tester"):
        if module := sys.modules.get(f"r1rewards.code.{name}"):
            module.rehearse()


def main(features: dict[str, Any]) -> None:
    """Run the job: enter, compile, then one test for each message until the controller hangs up."""
    control = _socket.socket(fileno=CONTROL)
    job = marshal.loads(read_all(JOB))
    os.close(JOB)
    _enter(job, features)
    try:
        prepared = _prepare(job)
    except Exception as error:  # noqa: BLE001 - whatever the compiler says of a hostile text is the program's
        control.send(f"{type(error).__name__}: {error}"[:2000].encode(errors="replace"))
        control.recv(1)  # whatever the controller has sent meanwhile: it must not find the box gone
        return
    control.send(READY)
    once = job["role"] == "serve"  # nobody asks what its one run has left
    before = None if once else _scratch(job)
    while True:
        data, fds = kernel.receive(control, 1, 6)
        if not data:
            return
        outcome = _run(prepared, job, fds, control, features)
        if outcome is None:
            return
        after = None if once else _scratch(job)
        control.send(f"{outcome} {after != before:d}".encode())
        before = after


def read_all(fd: int) -> bytes:
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
    global _oom_file
    limits, tier, scratch = job["limits"], features["tier"], job["scratch"]
    with contextlib.suppress(OSError):
        _oom_file = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    if tier == "A":
        os.setsid()  # else a program that signals its own group means the server too
        _mount(limits["output_mb"], files=bool(job["files"]))
    for path, text in job["files"].items():
        with open(path, "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(text)
    os.chdir(scratch)
    _set_limits(limits)
    if job["address_space"]:
        # A program that is started anew has threads whose stacks are as deep as its first may become.
        stack_mb = resource.getrlimit(resource.RLIMIT_STACK)[0] // _MIB if job["argv"] else _STACK_MB
        _put_limit(
            resource.RLIMIT_AS, (limits["memory_mb"] + _ADDRESSES_MB + limits["procs"] * stack_mb) * _MIB
        )
    kernel.set_dumpable(False)
    if tier == "C":
        return
    kernel.set_capabilities()
    kernel.no_new_privileges()
    if features["landlock"]:
        kernel.landlock(features["landlock"], _rules(features, scratch), scoped=True)
    if features["apart"]:
        kernel.seccomp(_FILTER)


def _mount(size_mb: int, *, files: bool) -> None:
    """A working folder, a /proc and, for source files, a /box that are this box's own."""
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    _cover("/tmp", f"size={size_mb}m,nr_inodes=4096,mode=700")
    if files:
        _cover("/box", "size=64m,nr_inodes=64,mode=700")
    try:
        kernel.mount("proc", "/proc", "proc", flags | kernel.MS_NOEXEC)
    except OSError:  # a container that masks parts of /proc; the server's own must not show through
        kernel.mount("none", "/proc", "tmpfs", flags | kernel.MS_NOEXEC, "size=0,nr_inodes=1,mode=555")


def _cover(folder: str, options: str) -> None:
    """A new file system on `folder`, which shows again what the root holds there: perhaps the interpreter."""
    held = [(name, os.open(f"{folder}/{name}", os.O_PATH | os.O_CLOEXEC)) for name in os.listdir(folder)]
    kernel.mount("box", folder, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOATIME, options)
    for name, handle in held:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            os.mkdir(f"{folder}/{name}")
        else:
            os.close(os.open(f"{folder}/{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
        kernel.mount(f"/proc/self/fd/{handle}", f"{folder}/{name}", None, kernel.MS_BIND | kernel.MS_REC)
        os.close(handle)


def _rules(features: dict[str, Any], scratch: str) -> list[tuple[str, int]]:
    scratched = (scratch, kernel.SCRATCH | kernel.EXECUTE)
    writable = kernel.READ_FILE | kernel.WRITE_FILE
    if features["apart"]:
        return [("/", kernel.READ | kernel.EXECUTE), ("/dev", writable), scratched]
    rules = [(path, kernel.READ | kernel.EXECUTE) for path in features["paths"]]
    rules += [(f"/dev/{name}", writable) for name in root.DEVICES]
    return [(path, rights) for path, rights in rules if os.path.exists(path)] + [scratched]


def _set_limits(limits: dict[str, Any]) -> None:
    _put_limit(resource.RLIMIT_CORE, 0)
    _put_limit(resource.RLIMIT_NOFILE, _MAX_FILES)
    _put_limit(resource.RLIMIT_NPROC, limits["procs"] + 2)  # the server and this process count as well
    _put_limit(resource.RLIMIT_FSIZE, limits["output_mb"] * _MIB)
    _put_limit(resource.RLIMIT_MEMLOCK, 0)
    _put_limit(resource.RLIMIT_MSGQUEUE, 0)
    _put_limit(resource.RLIMIT_SIGPENDING, 256)


def _put_limit(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _prepare(job: dict[str, Any]) -> Callable[[], None]:
    """What a child does once it stands in its place."""
    if job["argv"]:
        return lambda: _execute(job["argv"], job["env"])
    # What only tests of asserts need is loaded by the servers for them.
    if job["role"] == "test":
        from r1rewards.code import tester

        return tester.run
    code = python_program.compiled(job["source"])
    if job["role"] == "serve":
        from r1rewards.code import served

        return lambda: served.serve(code)
    if job["role"] == "in-process":
        from r1rewards.code import in_process

        return lambda: in_process.run(code)
    return lambda: python_program.run(code)


def _execute(argv: list[str], env: dict[str, str]) -> None:
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGINT):
        _signal.signal(number, _signal.SIG_DFL)
    if argv[0] == BINARY:
        os.execve(3, ["./program", *argv[1:]], env)
    os.execve(argv[0], argv, env)


def _run(
    prepared: Callable[[], None],
    job: dict[str, Any],
    fds: list[int],
    control: _socket.socket,
    features: dict[str, Any],
) -> str | None:
    """One test, told as `server.Box` reads it; None when the controller hung up meanwhile."""
    # Beside its three streams a child gets what its role needs. Two things stay here: the marks of a
    # served program, and the file that takes what a compiler made.
    marks = fds.pop() if job["role"] == "serve" else None
    binary = fds.pop() if job["role"] == "compile" else None
    _first_to_go(True)
    pid = os.fork()
    if pid == 0:
        try:
            _become_child(fds, job, features)
            prepared()
        finally:
            os._exit(71)
    _first_to_go(False)
    for fd in fds:
        os.close(fd)
    meter = Meter(pid, job, alone=not features["apart"])
    killed = _watch(pid, meter, control, marks, features)
    spent_s = meter.spent_s()
    if marks is not None:
        os.close(marks)
    _, status, usage = os.wait4(pid, 0)
    survivors = _kill_all() if features["apart"] else False
    if binary is not None:
        if status == 0 and killed is None:
            _copy(f"{job['scratch']}/program", binary)
        os.close(binary)
    if killed == "hung up":
        return None
    code, cpu_s = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
    return f"{code} {killed} {cpu_s} {spent_s} {usage.ru_maxrss // 1024} {survivors:d}"


def _first_to_go(program: bool) -> None:
    """Where memory runs out programs are killed first, so that their boxes live to tell of it."""
    if _oom_file is not None:
        os.write(_oom_file, b"1000" if program else b"500")


def _scratch(job: dict[str, Any]) -> list[tuple[str | int, ...]]:
    """What the working folder and all in it are like: no program can set every time of what it touches.

    The clock of files stands still for some milliseconds, so names, modes and sizes are looked at as well.
    """
    folder = job["scratch"]
    try:
        found = [(name, os.lstat(f"{folder}/{name}")) for name in ("", *sorted(os.listdir(folder)))]
    except OSError:  # it was closed
        return []
    return [(name, s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in found]


def _copy(path: str, target: int) -> None:
    with contextlib.suppress(OSError):
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        while os.sendfile(target, source, None, 1 << 24):
            pass
        os.close(source)


def _become_child(fds: list[int], job: dict[str, Any], features: dict[str, Any]) -> None:
    if not features["apart"]:  # else it ends with its box, which is process 1
        kernel.die_with_parent()
        os.setsid()
    if features["tier"] == "B":
        kernel.seccomp(seccomp.build(pid=os.getpid()))
    # They came in ascending order and all lie above their places, so none is overwritten before its turn.
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    kept = len(fds)
    if job["argv"] and job["argv"][0] == BINARY:
        os.dup2(PROGRAM, kept, inheritable=False)
        kept += 1
    os.closerange(kept, _MAX_FILES)  # the socket of this box above all
    limits = job["limits"]
    seconds = int(limits["time_s"] if job["role"] == "program" else limits["program_s"]) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    kernel.set_dumpable(True)


def _watch(
    pid: int, meter: Meter, control: _socket.socket, marks: int | None, features: dict[str, Any]
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
                os.kill(pid, _signal.SIGKILL)
                return reason
            if features["apart"]:
                _reap_orphans(pid)
    finally:
        os.close(handle)


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
        try:  # orphans are ours, so there is nobody left where we have no child
            pid, _ = os.waitpid(-1, os.WNOHANG | _WALL)
        except ChildProcessError:
            return found
        found = True
        if pid == 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, _signal.SIGKILL)
            time.sleep(0.0005)
