"""The Linux calls that Python has no function for, through ctypes.

Every call raises OSError with the kernel's errno; nothing here knows what a program or a test is.
"""

# This runs inside, where pathlib is not loaded.
# ruff: noqa: PTH112, PTH123

from __future__ import annotations

import _socket
import ctypes
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:  # a server holds no typing: what it holds, each fork pays for
    from collections.abc import Sequence

MACHINE = os.uname().machine

#: Numbers of the system calls made here: (x86_64, aarch64).
NUMBERS = {
    "clone": (56, 220),
    "capset": (126, 91),
    "close_range": (436, 436),
    "pivot_root": (155, 41),
    "mount_setattr": (442, 442),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}
_COLUMN = {"x86_64": 0, "aarch64": 1}

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME = 0x2, 0x4, 0x8, 0x400
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV = 0x1, 0x2, 0x4
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_KEEPCAPS, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 8, 22, 38, 47
CAP_SYS_ADMIN = 21
_SECCOMP_MODE_FILTER = 2
_SIGKILL, _SIGCHLD = 9, 17  # `signal` makes enumerations of all, which every fork would carry
_M_ARENA_MAX = -8

_libc = ctypes.CDLL(None, use_errno=True)
# `clone` must not release the interpreter lock: the child would wait for it for ever.
_libc_locked = ctypes.PyDLL(None, use_errno=True)


def supported() -> bool:
    """Whether the numbers above are known for this machine."""
    return os.uname().sysname == "Linux" and MACHINE in _COLUMN


def _checked(result: int, what: str) -> int:
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{what}: {os.strerror(errno)}")
    return result


def _call(name: str, *args: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    number = NUMBERS[name][_COLUMN[MACHINE]]
    typed = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return _checked(_libc.syscall(ctypes.c_long(number), *typed), name)


def clone(flags: int) -> int:
    """`os.fork` into new namespaces: 0 in the child, the child's pid in the parent."""
    ctypes.pythonapi.PyOS_BeforeFork()
    number = NUMBERS["clone"][_COLUMN[MACHINE]]
    zero = ctypes.c_long(0)
    pid = _libc_locked.syscall(ctypes.c_long(number), ctypes.c_long(flags | _SIGCHLD), zero, zero, zero, zero)
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    return _checked(pid, "clone")


def unshare(flags: int) -> None:
    """Move this process into new namespaces."""
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = [None if text is None else text.encode() for text in (source, target, kind, data)]
    _checked(
        _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3]), f"mount {target}"
    )


def make_read_only(target: str, *, devices: bool = False, recursive: bool = True) -> None:
    """Make a mount (and, recursive, every mount below) read-only without set-uid; `devices` keeps devices."""
    bits = _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID | (0 if devices else _MOUNT_ATTR_NODEV)
    attributes = struct.pack("QQQQ", bits, 0, 0, 0)
    _call(
        "mount_setattr",
        _AT_FDCWD,
        target.encode(),
        _AT_RECURSIVE if recursive else 0,
        attributes,
        len(attributes),
    )


def pivot_root(new_root: str) -> None:
    """Make `new_root`, a mount, the root, and let go of the old one."""
    os.chdir(new_root)
    _call("pivot_root", b".", b".")
    _checked(_libc.umount2(b".", MNT_DETACH), "umount2")
    os.chdir("/")


def keep_heaps_few() -> None:
    """Let threads share two heaps: each would reserve addresses for one of its own, which a limit counts."""
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(_M_ARENA_MAX, 2)


def flush_c_streams() -> None:
    """Write out what this process has buffered in streams of C, as `exit` does and `os._exit` does not."""
    _libc.fflush(None)


def close_from(first: int) -> None:
    """Close every descriptor from `first` on."""
    _call("close_range", first, 0xFFFFFFFF, 0)


def _prctl(what: str, option: int, *args: int) -> None:
    values = [ctypes.c_ulong(arg) for arg in (*args, 0, 0, 0, 0)[:4]]
    _checked(_libc.prctl(option, *values), what)


def set_title(title: bytes) -> None:
    """Show `title` as this process' command line, and nothing of the true one, as far as that is long."""
    begin, end = _laid_out(45)  # arg_start and arg_end
    ctypes.memmove(begin, title[: end - begin - 1].ljust(end - begin, b"\0"), end - begin)


def erase_environment(names: Sequence[str]) -> None:
    """Forget variables, also in what /proc shows of the environment that this process was started with."""
    for name in names:
        os.environ.pop(name, None)
    begin, end = _laid_out(47)  # env_start and env_end
    for entry in ctypes.string_at(begin, end - begin).split(b"\0"):
        if entry.partition(b"=")[0].decode(errors="replace") in names:
            ctypes.memset(begin, 0, len(entry))
        begin += len(entry) + 1


def _laid_out(field: int) -> tuple[int, int]:
    """Two neighbouring fields of this process' /proc/self/stat, counted from the one after its name."""
    with open("/proc/self/stat") as file:
        first, second = map(int, file.read().rpartition(")")[2].split()[field : field + 2])
    return first, second


def die_with_parent() -> None:
    """Be killed when the thread that started this process ends."""
    _prctl("PR_SET_PDEATHSIG", _PR_SET_PDEATHSIG, _SIGKILL)


def set_dumpable(dumpable: bool) -> None:
    """Whether others of the same user may trace this process and read its /proc files."""
    _prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE, int(dumpable))


def no_new_privileges() -> None:
    _prctl("PR_SET_NO_NEW_PRIVS", _PR_SET_NO_NEW_PRIVS, 1)


def drop_bounding_set() -> None:
    """Let no later exec bring a capability back; the present ones stay."""
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            break  # past the last capability of this kernel, or there is nothing to drop


def keep_capabilities() -> None:
    """Let the next change of user take none of the permitted capabilities away."""
    _prctl("PR_SET_KEEPCAPS", _PR_SET_KEEPCAPS, 1)


def set_capabilities(*kept: int) -> None:
    """Give up every capability but those that are named, which must be permitted."""
    _libc.prctl(_PR_CAP_AMBIENT, ctypes.c_ulong(4), 0, 0, 0)
    bits = sum(1 << capability for capability in kept)
    halves = [part for half in (bits & 0xFFFFFFFF, bits >> 32) for part in (half, half, 0)]
    _call("capset", struct.pack("Ii", 0x20080522, 0), struct.pack("6I", *halves))


class _FilterProgram(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def seccomp(program: bytes) -> None:
    """Install a filter, given as packed BPF instructions, on this process and its children."""
    holder = _FilterProgram(len(program) // 8, program)
    _checked(
        _libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(holder), 0, 0),
        "seccomp",
    )


# --- descriptors over a socket: as in `socket`, which is large ----------------------------------------


def receive(control: _socket.socket, size: int, count: int) -> tuple[bytes, list[int]]:
    """A message of at most `size` bytes and the descriptors, at most `count`, that came with it."""
    data, ancillary, _, _ = control.recvmsg(size, _socket.CMSG_LEN(4 * count))
    return data, [fd for _, _, part in ancillary for fd in struct.unpack(f"{len(part) // 4}i", part)]


def send(control: _socket.socket, data: bytes, fd: int) -> None:
    """Send a message and a descriptor with it."""
    control.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", fd))])


# --- Landlock -------------------------------------------------------------------------------------

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
READ = READ_FILE | READ_DIR
#: Everything a program may do in its scratch folder: all but making device nodes (bits 6 and 11).
SCRATCH = 0x7FFF & ~(1 << 6) & ~(1 << 11)
_IOCTL_DEV = 1 << 15
_NET_TCP = 0x3
_SCOPES = 0x3


def landlock_abi() -> int:
    """The Landlock version of this kernel, 0 where there is none."""
    try:
        return _call("landlock_create_ruleset", None, 0, 1)
    except OSError:
        return 0


def landlock(abi: int, rules: Sequence[tuple[str, int]], *, scoped: bool = True) -> None:
    """Forbid every path and TCP port but what `rules` allow.

    rules   folders or files, each with the rights that hold in and below it
    scoped  no signals or sockets to outside
    """
    handled = 0x1FFF | (1 << 13 if abi >= 2 else 0) | (1 << 14 if abi >= 3 else 0)
    handled |= _IOCTL_DEV if abi >= 5 else 0
    attributes = struct.pack(
        "QQQ", handled, _NET_TCP if abi >= 4 else 0, _SCOPES if abi >= 6 and scoped else 0
    )
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _call("landlock_create_ruleset", attributes[:size], size, 0)
    try:
        for path, granted in rules:
            target = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rights = granted & handled
                if not os.path.isdir(path):
                    rights &= EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | _IOCTL_DEV
                _call("landlock_add_rule", ruleset, 1, struct.pack("=Qi", rights, target), 0)
            finally:
                os.close(target)
        _call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
