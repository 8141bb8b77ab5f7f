"""Nothing outlives its time: processes, descriptors, mounts and files, also when somebody is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from r1rewards import code
from r1rewards.code.pool import POOL
from r1rewards.code.server import Server
from r1rewards.code.zygote import APART
from r1rewards.core.verdict import Verdict

SQUARES = {"tests": [{"input": "3", "output": "9"}]}
SQUARE = "print(int(input()) ** 2)"

pytestmark = pytest.mark.skipif("POOL.best_tier()[0] == 'C'", reason="no safe sandbox on this machine")


def processes() -> dict[int, list[int]]:
    """The children of every process."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    return children


def descendants(pid: int) -> set[int]:
    children = processes()
    found: set[int] = set()
    new = [pid]
    while new:
        new = [child for parent in new for child in children.get(parent, ())]
        found.update(new)
    return found


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def eventually(condition: Callable[[], bool]) -> bool:
    ends = time.monotonic() + 30
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_nothing_survives_a_program() -> None:
    code.check(SQUARE, SQUARES)
    before = descendants(os.getpid())
    stay = "import os, time\nfor _ in range(5):\n    if os.fork() == 0: os.setsid(); time.sleep(99)\n"
    code.check(stay + SQUARE, SQUARES)
    assert eventually(lambda: descendants(os.getpid()) <= before)


@pytest.mark.parametrize(
    "program",
    [
        "import os\nos.kill(0, 9)",
        "import os\nos.killpg(os.getpgrp(), 19)",
        "import os\nos.kill(-1, 9)",
        "import os\nos.mkdir('x', 0)\nos.chmod('/tmp', 0)",
        "import os\nos.closerange(0, 256)\nos._exit(1)",
    ],
)
def test_a_program_cannot_harm_its_server(program: str) -> None:
    code.check(SQUARE, SQUARES)
    servers = processes().get(os.getpid(), [])
    verdict = code.check(program, SQUARES, limits={"time_s": 0.5})
    assert (verdict.status, verdict.value) == ("value", 0.0), verdict
    assert processes().get(os.getpid(), []) == servers


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_survives_the_grading_process(number: signal.Signals) -> None:
    script = (
        "from r1rewards import code\n"
        "program = 'import os, time\\nos.fork()\\nos.setsid()\\ntime.sleep(99)'\n"
        "code.check(program, {'tests': [{'input': '', 'output': ''}]}, limits={'time_s': 90})"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        assert eventually(lambda: len(descendants(process.pid)) >= 3)
        started = descendants(process.pid)
    finally:
        process.send_signal(number)
        process.wait()
    assert eventually(lambda: not any(map(alive, started)))


def test_a_killed_server_costs_no_verdict() -> None:
    """What was in flight runs once more on a new server; the batch ends."""
    slow = "import time\ntime.sleep(0.2)\n" + SQUARE
    verdicts: list[Verdict] = []
    thread = threading.Thread(
        target=lambda: verdicts.extend(code.check_many([(slow, SQUARES)] * 6, workers=2))
    )
    before = descendants(os.getpid())
    thread.start()
    assert eventually(lambda: len(descendants(os.getpid()) - before) >= 2)
    servers = processes().get(os.getpid(), [])
    for pid in servers:
        os.kill(pid, signal.SIGKILL)
    thread.join(60)
    assert not thread.is_alive()
    assert [verdict.status for verdict in verdicts] == ["value"] * 6
    assert all(verdict.value == 1 for verdict in verdicts)


def test_a_kept_box_that_was_killed_costs_no_verdict() -> None:
    if POOL.best_tier()[0] not in APART:
        pytest.skip("boxes are kept only in namespaces of their own")
    reference = {"asserts": ["assert f() == 1"]}
    assert code.check("def f(): return 1", reference).value == 1
    boxes = descendants(os.getpid()).difference(processes()[os.getpid()])
    assert boxes
    for pid in boxes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    verdict = code.check("def f(): return 1", reference)
    assert (verdict.status, verdict.value) == ("value", 1), verdict


def test_servers_that_keep_dying_are_an_error_never_a_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    def spawn_and_die(self: Server, fds: object, limits: object) -> int:
        os.kill(self.pid, signal.SIGKILL)
        return spawn(self, fds, limits)  # type: ignore[arg-type]

    spawn = Server.spawn
    POOL.best_tier()
    monkeypatch.setattr(Server, "spawn", spawn_and_die)
    assert code.check(SQUARE, SQUARES).status == "error"


def test_descriptors_and_mounts_stay_flat() -> None:
    reference = {"asserts": ["assert f(1) == 1"]}

    def work() -> None:
        for _ in range(20):
            code.check(SQUARE, SQUARES)
            code.check("def f(n): return n", reference)
            code.check("def f(:", SQUARES)

    work()
    counts = descriptors(), Path("/proc/self/mountinfo").read_text()
    work()
    assert (descriptors(), Path("/proc/self/mountinfo").read_text()) == counts


def test_closing_ends_the_servers() -> None:
    code.check(SQUARE, SQUARES)
    POOL.close()
    assert eventually(lambda: not any("zygote" in command(pid) for pid in descendants(os.getpid())))
    assert code.check(SQUARE, SQUARES).value == 1


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.mark.long
def test_ten_thousand_programs() -> None:
    """A tenth of them hostile: memory, processes, descriptors and mounts stay where they were."""
    hostile = [
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: break",
        "x = 'a' * 10 ** 12",
        "import os\nos.kill(-1, 9)",
        "open('/tmp/x', 'w').write('x' * 10 ** 6)\nraise SystemExit(1)",
        "def f(:",
    ]

    def work(count: int) -> None:
        items = [(hostile[i // 10 % len(hostile)] if i % 10 == 0 else SQUARE, SQUARES) for i in range(count)]
        verdicts = code.check_many(items)
        assert [v.value for v in verdicts] == [float(i % 10 > 0) for i in range(count)]

    def state() -> tuple[int, int, int]:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return descriptors(), len(descendants(os.getpid())), pages

    work(500)
    fds, children, pages = state()
    work(10_000)
    after = state()
    assert after[0] <= fds + 4
    assert after[1] <= children + 4
    assert after[2] - pages < 20_000  # 80 MiB; the verdicts themselves take some
