"""Control groups: found in every version, made where this user may, holding what other limits do not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from r1rewards import code
from r1rewards.code import cgroup
from r1rewards.code.pool import POOL

SQUARES = {"tests": [{"input": "3", "output": "9"}]}

needs_groups = pytest.mark.skipif("cgroup.fault() is not None", reason="this user can make no control groups")


def process(folder: Path, groups: str, mounts: str) -> Path:
    (folder / "cgroup").write_text(groups)
    (folder / "mountinfo").write_text(mounts)
    return folder


def unified(folder: Path, own: str, *, controllers: dict[str, str]) -> Path:
    """A process in a group of a version 2 tree whose groups hand on these controllers."""
    for name, handed in controllers.items():
        (folder / "tree" / name).mkdir(parents=True, exist_ok=True)
        (folder / "tree" / name / "cgroup.subtree_control").write_text(handed)
    mount = f"30 23 0:26 / {folder}/tree rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
    return process(folder, f"0::{own}\n", f"29 1 0:5 / / rw - ext4 /dev/vda rw\n{mount}")


def test_version_2_beside_the_own_group(tmp_path: Path) -> None:
    """A group with processes hands nothing on, so a user's service manager leaves room beside it."""
    tree = {"user.slice": "cpu memory pids", "user.slice/app.scope": ""}
    found = cgroup.parents_of(unified(tmp_path, "/user.slice/app.scope", controllers=tree))
    assert found == (2, (tmp_path / "tree/user.slice",) * 2)


def test_version_2_below_the_own_group(tmp_path: Path) -> None:
    found = cgroup.parents_of(unified(tmp_path, "/", controllers={"": "memory pids"}))
    assert found == (2, (tmp_path / "tree",) * 2)


def test_version_2_without_controllers(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="hands on no memory"):
        cgroup.parents_of(unified(tmp_path, "/a", controllers={"": "cpu", "a": ""}))


def test_version_1_in_a_container(tmp_path: Path) -> None:
    """There the own group is the root of what is mounted."""
    groups = "5:memory:/docker/77\n4:pids:/docker/77/inner\n1:name=systemd:/\n0::/\n"
    mounts = "".join(
        f"{number} 23 0:26 /docker/77 /sys/fs/cgroup/{name} ro - cgroup cgroup rw,{name}\n"
        for number, name in enumerate(("cpu", "memory", "pids"))
    )
    version, parents = cgroup.parents_of(process(tmp_path, groups, mounts))
    assert version == 1
    assert parents == (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup/pids/inner"))


def test_no_groups_at_all(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no control group"):
        cgroup.parents_of(process(tmp_path, "", ""))
    with pytest.raises(OSError, match="mounted"):
        cgroup.parents_of(process(tmp_path, "0::/elsewhere\n", "1 1 0:5 / / rw - ext4 /dev/vda rw\n"))


@needs_groups
def test_the_verdict_and_the_doctor_say_so() -> None:
    assert code.check("print(9)", SQUARES).details["tier"].endswith("+cgroup")
    (row,) = (row for row in code.doctor() if row.name == "cgroup")
    assert row.ok


@needs_groups
def test_groups_go_with_their_servers() -> None:
    def groups() -> set[Path]:
        _, parents = cgroup.parents_of(Path("/proc/self"))
        return {found for parent in parents for found in parent.glob(f"r1rewards-{os.getpid()}-*")}

    POOL.close()
    assert code.check("print(9)", SQUARES).value == 1
    assert groups()
    POOL.close()
    assert not groups()


#: Fills the buffers of sockets, which are no process's memory: a gigabyte or two.
SOCKETS = """
import os, socket, time
children = []
for _ in range(40):
    pid = os.fork()
    if pid == 0:
        pairs = []
        try:
            while True:
                pairs.append(socket.socketpair())
        except OSError:
            pass
        for end in (end for pair in pairs for end in pair):
            end.setblocking(False)
            try:
                while True:
                    end.send(bytes(65536))
            except OSError:
                pass
        time.sleep(3)
        os._exit(0)
time.sleep(3)
print(9)
"""


@needs_groups
@pytest.mark.slow
def test_memory_of_the_kernel_counts() -> None:
    verdict = code.check(SOCKETS, SQUARES, limits={"memory_mb": 200, "time_s": 20})
    assert verdict.details["tests"] == ["memory"], verdict
    assert code.check("print(9)", SQUARES).value == 1
