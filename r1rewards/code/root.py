"""The small root that programs see, and the namespaces around it: done once, when a server starts."""

# This runs inside, where pathlib is not loaded.
# ruff: noqa: PTH102, PTH103, PTH110, PTH114, PTH115, PTH118, PTH120, PTH211

from __future__ import annotations

import _socket
import os
import stat

from r1rewards.code import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: The user and group of programs when the server is started by root. It must not be root's own: the
#: process limit does not bind root, in whatever namespace.
BOX_ID = 64997

_ROOT = "/tmp"  # any folder that is always there; the mount on it is private to the server
DEVICES = ("null", "zero", "full", "random", "urandom")
LINKS = {
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "fd": "/proc/self/fd",
    "shm": "/tmp",
}


def enter(paths: Iterable[str]) -> None:
    """Leave the host: new namespaces, a read-only root that holds `paths` and no privilege outside.

    Raises OSError where the kernel, or a container around this process, does not allow it.
    """
    uid, gid = os.getuid(), os.getgid()
    spaces = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    spaces |= kernel.CLONE_NEWCGROUP
    if uid == 0:
        privileged = _unshared(spaces)
        if privileged:
            _Places(paths).build()
        uid = gid = BOX_ID
        give_up_root(keep=kernel.CAP_SYS_ADMIN if privileged else None)
        if privileged:
            # Some systems let only an administrator make user namespaces; all is given up with this one.
            kernel.unshare(kernel.CLONE_NEWUSER)
            _map_user(uid, gid)
            return
        check_readable()
    kernel.unshare(kernel.CLONE_NEWUSER | spaces)
    _map_user(uid, gid)
    _Places(paths).build()


def give_up_root(keep: int | None = None) -> None:
    """Become the user of programs, with no capability but `keep`."""
    if keep is not None:
        kernel.keep_capabilities()
    os.setgroups([])
    os.setresgid(BOX_ID, BOX_ID, BOX_ID)
    os.setresuid(BOX_ID, BOX_ID, BOX_ID)
    kernel.set_capabilities(*(() if keep is None else (keep,)))
    kernel.set_dumpable(True)  # the change of user took it away, and with it our own /proc files


def check_readable() -> None:
    """Raise OSError where the user of programs cannot read the interpreter."""
    if not os.access(os.__file__, os.R_OK):
        raise OSError(f"{os.path.dirname(os.__file__)} must be readable by every user")


def _unshared(spaces: int) -> bool:
    """Whether this root could leave the namespaces; that of a plain container may not."""
    try:
        kernel.unshare(spaces)
    except PermissionError:
        return False
    return True


def _map_user(uid: int, gid: int) -> None:
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{BOX_ID} {uid} 1"),
        ("gid_map", f"{BOX_ID} {gid} 1"),
    ):
        file = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)


class _Places:
    """What the new root will hold: open handles, taken before it covers whatever lies below it."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._real: dict[str, int] = {}
        self._links = {f"/dev/{name}": text for name, text in LINKS.items()}
        for path in (*paths, *(f"/dev/{name}" for name in DEVICES)):
            self._resolve(path)
        for path in [
            path for path in self._real if any(path.startswith(f"{other}/") for other in self._real)
        ]:
            os.close(self._real.pop(path))  # it comes with the folder that it lies in

    def _resolve(self, path: str) -> None:
        """Note how to rebuild `path`: each link on the way as a link, and a handle on what it leads to."""
        for _ in range(40):
            done = ""
            for part in path.strip("/").split("/"):
                done += "/" + part
                if os.path.islink(done):
                    self._links[done] = os.readlink(done)
                    joined = os.path.join(os.path.dirname(done), self._links[done])
                    path = os.path.normpath(joined) + path[len(done) :]
                    break
            else:
                break
        if path not in self._real and os.path.exists(path):
            self._real[path] = os.open(path, os.O_PATH | os.O_CLOEXEC)

    def build(self) -> None:
        """Make the new root of this mount namespace, and enter it."""
        kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
        _socket.sethostname("box")
        kernel.mount("box", _ROOT, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=755")
        for folder in ("proc", "tmp", "box", "dev"):
            os.mkdir(f"{_ROOT}/{folder}")
        for path in sorted(self._real):
            target, handle = _ROOT + path, self._real[path]
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                os.makedirs(target, exist_ok=True)
            else:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
            kernel.mount(f"/proc/self/fd/{handle}", target, None, kernel.MS_BIND | kernel.MS_REC)
            os.close(handle)
        for path, text in self._links.items():
            os.makedirs(os.path.dirname(_ROOT + path), exist_ok=True)
            if not os.path.lexists(_ROOT + path):
                os.symlink(text, _ROOT + path)
        kernel.make_read_only(_ROOT, devices=True)
        for path in self._real:
            if not path.startswith("/dev/"):
                kernel.make_read_only(_ROOT + path)
        # Not for programs: each box covers it with its own. But the kernel gives a user namespace a /proc
        # of its own only where it can already see a whole one.
        kernel.mount("/proc", f"{_ROOT}/proc", None, kernel.MS_BIND | kernel.MS_REC)
        kernel.pivot_root(_ROOT)
