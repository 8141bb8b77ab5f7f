"""The fork server: an interpreter warmed once, which clones a box for each program.

It is started as a fresh interpreter (never a fork of the caller, who may hold threads and gigabytes),
leaves the host, imports what programs commonly import, and then only clones and reaps. No program runs
in it. It ends with its parent, and its boxes end with it.
"""

# This runs inside, where pathlib is not loaded.
# ruff: noqa: PTH120, PTH123

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
from typing import Any

from r1rewards.code import box, kernel, root

_STACK = 256 << 20
_MAX_FDS = 3


def main(control_fd: int, parent: int) -> None:
    """Serve until the parent is gone or closes its end."""
    _widen_stack()
    control = socket.socket(fileno=control_fd)
    watcher = os.pidfd_open(parent)
    if os.getppid() != parent:
        return
    config = json.loads(control.recv(1 << 16))
    try:
        features = _prepare(config)
    except OSError as error:
        control.send(json.dumps({"error": str(error)}).encode())
        return
    control.send(json.dumps(features).encode())
    _serve(control, watcher, features)


def _widen_stack() -> None:
    """Start this interpreter again with a deep stack: the kernel lays memory out for it at exec."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = _STACK if hard == resource.RLIM_INFINITY else min(_STACK, hard)
    if "R1KIT_BOX_STACK" not in os.environ and soft != wanted:
        resource.setrlimit(resource.RLIMIT_STACK, (wanted, wanted))
        os.environ["R1KIT_BOX_STACK"] = str(wanted)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    os.environ.pop("R1KIT_BOX_STACK", None)


def _prepare(config: dict[str, Any]) -> dict[str, Any]:
    """Leave the host as far as the tier says, and warm up; what holds here goes to the controller."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.umask(0o022)
    sys.executable = os.path.realpath(sys.executable)  # a virtual environment's link is not inside
    tier = config["tier"]
    paths: list[str] = config["paths"]
    abi = kernel.landlock_abi() if tier != "C" else 0
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory runs out, programs go first
    if tier == "A":
        root.enter(paths)
    elif tier == "B" and abi < 1:
        raise OSError("this kernel has no Landlock")
    kernel.drop_bounding_set()
    sys.path.extend(config["folders"])
    for name in config["preload"]:
        importlib.import_module(name)
    box.warm_up()
    gc.collect()
    gc.freeze()
    return {"tier": tier, "landlock": abi, "paths": paths}


def _serve(control: socket.socket, watcher: int, features: dict[str, Any]) -> None:
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
            data, fds, _, _ = socket.recv_fds(control, 1, _MAX_FDS)
            if not data:
                return
            pid = kernel.clone(flags)
            if pid == 0:
                _become_box(fds, features)
            for fd in fds:
                os.close(fd)
            handle = os.pidfd_open(pid)
            socket.send_fds(control, [b"p"], [handle])
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
        box.main(features)
    finally:
        os._exit(70)


def command(control_fd: int) -> list[str]:
    """The command line that starts a server whose socket is the inherited `control_fd`."""
    # The packages are stubs there: their own `__init__` imports more than a server needs.
    packages = {
        "r1rewards": os.path.dirname(os.path.dirname(__file__)),
        "r1rewards.code": os.path.dirname(__file__),
    }
    start = (
        "import sys,types\n"
        f"for name,path in {packages!r}.items():\n"
        " module=sys.modules[name]=types.ModuleType(name); module.__path__=[path]\n"
        "from r1rewards.code import zygote\n"
        f"zygote.main({control_fd},{os.getpid()})"
    )
    return [sys.executable, "-I", "-S", "-X", "utf8", "-W", "ignore", "-c", start]
