"""The fork server: an interpreter warmed once, which clones a box for each program.

It is started as a fresh interpreter (never a fork of the caller, who may hold threads and gigabytes),
leaves the host, imports what programs commonly import, and then only clones and reaps. No program runs
in it. It ends with its parent, and its boxes end with it.
"""

# This runs inside, where pathlib is not loaded.
# ruff: noqa: PTH120, PTH123

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import contextlib
import fcntl
import gc
import marshal
import os
import resource
import select
import sys

from r1rewards.code import box, bubblewrap, kernel, python_program, root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STACK = 256 << 20
_MAX_FDS = 3
#: Tiers with namespaces, in which a box is process 1 and programs may start processes.
APART = ("A", bubblewrap.TIER)
#: Our package; a server knows it by a descriptor only, for what it holds its programs can see.
PACKAGE = os.path.dirname(os.path.dirname(__file__))
#: What `ps` shows of a server in place of its command line.
_TITLE = b"r1rewards zygote"


def main(control_fd: int, parent: int) -> None:
    """Serve until the parent is gone or closes its end."""
    _widen_stack()
    control = _socket.socket(fileno=control_fd)
    watcher = os.pidfd_open(parent)
    if os.getppid() != parent:
        return
    config = marshal.loads(control.recv(1 << 16))
    try:
        features = _prepare(config)
    except OSError as error:
        control.send(str(error).encode())
        return
    control.send(box.READY)
    _serve(control, watcher, features)


def _widen_stack() -> None:
    """Start this interpreter again with a deep stack: the kernel lays memory out for it at exec."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = _STACK if hard == resource.RLIM_INFINITY else min(_STACK, hard)
    if "R1KIT_BOX_STACK" not in os.environ and soft != wanted:
        resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))
        os.environ["R1KIT_BOX_STACK"] = str(wanted)
        os.environ["LD_BIND_NOW"] = "1"  # else each fork looks up the same functions of C again
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    kernel.erase_environment(("R1KIT_BOX_STACK", "LD_BIND_NOW"))


def _prepare(config: dict[str, Any]) -> dict[str, Any]:
    """Leave the host as far as the tier says, and warm up; what holds here, for the boxes."""
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    os.umask(0o022)
    tier = config["tier"]
    features = {
        "tier": tier,
        "apart": tier in APART,
        "landlock": kernel.landlock_abi() if tier != "C" else 0,
        "paths": config["paths"],
        "folders": config["folders"],
    }
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")  # where memory runs out, rather this than what it works for
    if tier == "A":
        root.enter(config["paths"])
    elif tier == bubblewrap.TIER:
        if os.getuid() == 0:
            root.give_up_root()
            root.check_readable()
        wrapper = bubblewrap.check(config["paths"])
        return features | {"bubblewrap": wrapper, "package": os.path.realpath(PACKAGE)}
    elif tier == "B" and features["landlock"] < 1:
        raise OSError("this kernel has no Landlock")
    kernel.drop_bounding_set()
    sys.path.extend(config["folders"])
    python_program.preload(config["preload"])
    _warm_up()
    return features


def _warm_up() -> None:
    kernel.set_title(_TITLE)
    box.warm_up()
    gc.collect()
    gc.freeze()


def _serve(control: _socket.socket, watcher: int, features: dict[str, Any]) -> None:
    boxes: dict[int, int] = {}
    poller = select.poll()
    poller.register(control, select.POLLIN)
    poller.register(watcher, select.POLLIN)
    flags = kernel.CLONE_NEWPID | kernel.CLONE_NEWNS if features["tier"] == "A" else 0
    while True:
        for ready, _ in poller.poll():
            if ready == watcher:
                return
            if ready in boxes:
                os.waitpid(boxes.pop(ready), 0)
                poller.unregister(ready)
                os.close(ready)
                continue
            data, fds = kernel.receive(control, 1, _MAX_FDS)
            if not data:
                return
            pid = kernel.clone(flags)
            if pid == 0:
                _become_box(fds, features)
            for fd in fds:
                os.close(fd)
            handle = os.pidfd_open(pid)
            kernel.send(control, b"p", handle)
            boxes[handle] = pid
            poller.register(handle, select.POLLIN)


def _become_box(fds: list[int], features: dict[str, Any]) -> None:
    """The child's side of the clone: keep only the box's own descriptors and never come back."""
    try:
        kernel.die_with_parent()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]
        for number, fd in enumerate(high, start=box.CONTROL):
            os.dup2(fd, number, inheritable=False)
        kernel.close_from(box.CONTROL + len(fds))
        if "bubblewrap" in features:
            _wrap(features, len(fds))
        box.main(features)
    finally:
        os._exit(70)


def _wrap(features: dict[str, Any], count: int) -> None:
    """Become bubblewrap, which starts an interpreter inside; that one goes on in `inside`."""
    for fd in range(box.CONTROL, box.CONTROL + count):
        os.set_inheritable(fd, True)
    size_mb = marshal.loads(box.read_all(box.JOB))["limits"]["output_mb"]
    program, package = features.pop("bubblewrap"), features.pop("package")
    line = bubblewrap.command(program, features["paths"], size_mb, package=package)
    os.execv(line[0], [*line, *_python(bubblewrap.PACKAGE, f"zygote.inside({features!r}, {count})")])


def inside(features: dict[str, Any], count: int) -> None:
    """Be the box that bubblewrap has made, whose descriptors are in their places."""
    os.environ.pop("PWD", None)  # bubblewrap's
    for fd in range(box.CONTROL, box.CONTROL + count):
        os.set_inheritable(fd, False)
    sys.path.extend(features["folders"])
    python_program.preload(())
    _warm_up()
    box.main(features)
    os._exit(70)


def command(control_fd: int, package_fd: int) -> list[str]:
    """The command line that starts a server, which inherits its socket and a handle on `PACKAGE`."""
    return _python(f"/proc/self/fd/{package_fd}", f"zygote.main({control_fd},{os.getpid()})")


def _python(package: str, call: str) -> list[str]:
    # The packages are stubs there: their own `__init__` imports more than a server needs.
    start = (
        "import sys,types\n"
        f"for name,path in ('r1rewards','{package}'),('r1rewards.code','{package}/code'):\n"
        " module=sys.modules[name]=types.ModuleType(name); module.__path__=[path]\n"
        "from r1rewards.code import zygote\n" + call
    )
    # Not by a virtual environment's link, which is not inside either and tells where it lies.
    return [os.path.realpath(sys.executable), "-I", "-S", "-X", "utf8", "-W", "ignore", "-c", start]
