"""The seccomp filter: what a program may not ask of the kernel.

A deny list, because honest programs use a wide and changing set of calls and every namespace, mount and
capability is already gone: the list takes away the parts of the kernel that are not namespaced, hold
memory outside the limits, reach into other processes or are known for their bugs. Denied calls return
EPERM, so that a program sees an ordinary error.
"""

from __future__ import annotations

import errno
import struct

from r1rewards.code.kernel import MACHINE

#: Denied whole: name -> (x86_64, aarch64), None where the architecture has no such call.
DENIED: dict[str, tuple[int | None, int | None]] = {
    # other namespaces, other roots
    "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51), "pivot_root": (155, 41),
    "mount": (165, 40), "umount2": (166, 39), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "open_tree_attr": (467, 467), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "fanotify_init": (300, 262),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "sched_setscheduler": (144, 119), "sched_setattr": (314, 274), "sched_setparam": (142, 118),
    "ioprio_set": (251, 30),
    # memory that no limit sees
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196),
    "shmctl": (31, 195), "semget": (64, 190), "semctl": (66, 191), "msgget": (68, 186),
    "msgsnd": (69, 189), "mq_open": (240, 180), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "setxattrat": (463, 463), "vmsplice": (278, 75),
    # parts of the kernel that a program under test has no use for
    "bpf": (321, 280), "perf_event_open": (298, 241), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "seccomp": (317, 277),
    "personality": (135, 92), "syslog": (103, 116), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "sethostname": (170, 161),
    "setdomainname": (171, 162), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "adjtimex": (159, 171), "vhangup": (153, 58),
    "sync": (162, 81), "io_setup": (206, 0),
    "lookup_dcookie": (212, 18), "nfsservctl": (180, 42), "uselib": (134, None), "ustat": (136, None),
    "sysfs": (139, None), "_sysctl": (156, None), "iopl": (172, None), "ioperm": (173, None),
    "modify_ldt": (154, None), "create_module": (174, None), "get_kernel_syms": (177, None),
    "query_module": (178, None),
}  # fmt: skip

#: Allowed for the caller itself only: name -> (x86_64, aarch64, index of the argument that must be 0).
SELF_ONLY = {
    "prlimit64": (302, 261, 0),
    "sched_setaffinity": (203, 122, 0),
    "setpriority": (141, 140, 1),
}
_CLONE, _CLONE3 = (56, 220), (435, 435)
#: Sockets of the local family only: others are the network, or are not namespaced.
_SOCKET, _SOCKETPAIR = (41, 198), (53, 199)
#: Without a pid namespace nothing else ends what a program leaves behind, so it may not fork or kill.
FORKS = {"fork": (57, None), "vfork": (58, None)}
KILLS = {
    "kill": (62, 129), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424),
}  # fmt: skip
_TGKILL = (234, 131)

_NAMESPACES = 0x7E020000  # every CLONE_NEW* flag of clone
_CLONE_THREAD = 0x00010000
_AF_UNIX = 1
_X32 = 0x40000000

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_NUMBER, _ARCHITECTURE = 0, 4


#: One BPF instruction: code, jump if true, jump if false, value.
_Instruction = tuple[int, int, int, int]


def _errno(code: int) -> int:
    return 0x00050000 | code


_EPERM, _ENOSYS = _errno(errno.EPERM), _errno(errno.ENOSYS)


def _returns(answer: int) -> list[_Instruction]:
    return [(_RETURN, 0, 0, answer)]


def _argument_equals(index: int, wanted: int) -> list[_Instruction]:
    """Allow where the low half of an argument is `wanted`; both machines are little-endian."""
    load = (_LOAD, 0, 0, 16 + 8 * index)
    return [load, (_JUMP_EQUAL, 1, 0, wanted), *_returns(_EPERM), *_returns(_ALLOW)]


def _rules(column: int, pid: int | None) -> dict[int, list[_Instruction]]:
    """What happens to each system call that is not simply allowed."""
    clone: list[_Instruction] = [
        (_LOAD, 0, 0, 16),
        (_JUMP_ANY_BIT, 0, 1, _NAMESPACES),
        *_returns(_EPERM),
    ]
    if pid is not None:
        clone += [(_JUMP_ANY_BIT, 1, 0, _CLONE_THREAD), *_returns(_EPERM)]
    rules = {
        _CLONE[column]: [*clone, *_returns(_ALLOW)],
        _CLONE3[column]: _returns(_ENOSYS),  # its flags lie in memory, where no filter can look
        # Without a mount namespace a local socket reaches the host's services by their paths.
        _SOCKET[column]: _argument_equals(0, _AF_UNIX) if pid is None else _returns(_EPERM),
        _SOCKETPAIR[column]: _argument_equals(0, _AF_UNIX),
        **{numbers[column]: _argument_equals(numbers[2], 0) for numbers in SELF_ONLY.values()},
    }
    denied = [numbers[column] for numbers in DENIED.values()]
    if pid is not None:
        denied += [numbers[column] for numbers in (*FORKS.values(), *KILLS.values())]
        rules[_TGKILL[column]] = _argument_equals(0, pid)
    return rules | {number: _returns(_EPERM) for number in denied if number is not None}


def _tree(rules: list[tuple[int, list[_Instruction]]]) -> list[_Instruction]:
    """A binary search for the call's number: the kernel runs it for every call when it is installed."""
    if len(rules) == 1:
        number, rule = rules[0]
        return [(_JUMP_EQUAL, 1, 0, number), *_returns(_ALLOW), *rule]
    middle = len(rules) // 2
    lower, upper = _tree(rules[:middle]), _tree(rules[middle:])
    return [(_JUMP_AT_LEAST, len(lower), 0, rules[middle][0]), *lower, *upper]


def build(*, pid: int | None = None) -> bytes:
    """The filter as packed BPF. With `pid` (no pid namespace): no new processes, signals to `pid` only."""
    column = 1 if MACHINE == "aarch64" else 0
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, 0xC00000B7 if column else 0xC000003E),
        *_returns(_KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if not column:
        program += [(_JUMP_AT_LEAST, 0, 1, _X32), *_returns(_ENOSYS)]
    program += _tree(sorted(_rules(column, pid).items()))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)
