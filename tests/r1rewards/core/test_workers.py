"""The worker processes: results, deadline, memory, environment, threads, asyncio, forks, orphans."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from r1rewards.core.errors import GraderError
from r1rewards.core.workers import Workers


@pytest.fixture
def gcd() -> Iterator[Workers]:
    workers = Workers("math:gcd", size=2)
    yield workers
    workers.close()


def test_a_result_comes_back_and_the_worker_stays() -> None:
    workers = Workers("os:getpid")
    assert workers.call() == workers.call() != os.getpid()
    workers.close()


def test_a_missed_deadline_raises_and_the_worker_is_replaced() -> None:
    workers = Workers("time:sleep", deadline_s=0.3)
    with pytest.raises(GraderError, match="deadline"):
        workers.call(60)
    assert workers.call(0) is None
    workers.close()


def test_a_computation_in_c_is_killed_too() -> None:
    # 10**8 digits in one bytecode: no Python signal handler would get a turn.
    workers = Workers("operator:pow", deadline_s=0.3)
    with pytest.raises(GraderError, match="deadline"):
        workers.call(10, 10**9)
    workers.close()


def test_memory_is_limited_and_the_next_call_works() -> None:
    workers = Workers("operator:mul", memory_mb=256)
    with pytest.raises(GraderError, match="256 MB"):
        workers.call("x", 10**9)
    assert workers.call("x", 3) == "xxx"
    workers.close()


def test_an_exception_is_a_grader_error_and_the_worker_lives() -> None:
    workers = Workers("math:sqrt")
    with pytest.raises(GraderError, match="ValueError"):
        workers.call(-1)
    assert workers.call(4) == 2.0
    workers.close()


def test_a_death_is_a_grader_error() -> None:
    workers = Workers("os:_exit")
    for _ in range(2):
        with pytest.raises(GraderError, match="died"):
            workers.call(3)
    workers.close()


def test_a_function_that_does_not_exist_says_so() -> None:
    with pytest.raises(GraderError, match="does not load"):
        Workers("math:nonsense").call()


def test_no_secret_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    workers = Workers("os:getenv")
    assert workers.call("API_KEY") is None
    assert workers.call("PATH")
    workers.close()


def test_what_a_function_prints_does_not_disturb_the_answers() -> None:
    workers = Workers("builtins:print")
    assert workers.call("\x00\x00\x00\x02{}" * 100) is None
    assert workers.call("again") is None
    workers.close()


def test_map_keeps_the_order_and_the_failures(gcd: Workers) -> None:
    outcomes = gcd.map([(12, 18), ("x", 1), (7, 21), (5, 3)])
    assert isinstance(outcomes[1], GraderError)
    assert [outcomes[i] for i in (0, 2, 3)] == [6, 7, 1]


def test_many_threads_share_two_workers(gcd: Workers) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: gcd.call(n * 6, n * 9), range(1, 60))) == [n * 3 for n in range(1, 60)]


def test_a_worker_outlives_the_thread_that_first_called_it() -> None:
    workers = Workers("os:getpid")
    pids: list[int] = []
    thread = threading.Thread(target=lambda: pids.append(workers.call()))
    thread.start()
    thread.join()
    time.sleep(0.05)
    assert workers.call() == pids[0]
    workers.close()


def test_it_works_inside_asyncio(gcd: Workers) -> None:
    async def main() -> int:
        return int(gcd.call(10, 4)) + int(await asyncio.to_thread(gcd.call, 9, 6))

    assert asyncio.run(main()) == 5


def _in_a_fork(workers: Workers, pipe: multiprocessing.connection.Connection) -> None:
    pipe.send((workers.call(), workers.call()))


def test_a_forked_daemon_process_gets_workers_of_its_own() -> None:
    workers = Workers("os:getpid")
    mine = workers.call()
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=_in_a_fork, args=(workers, there), daemon=True)
    process.start()
    first, second = here.recv()
    process.join()
    assert first == second != mine
    assert workers.call() == mine
    workers.close()


def test_a_worker_dies_with_its_parent() -> None:
    program = (
        "from r1rewards.core.workers import Workers\n"
        "import os, threading\n"
        "print(Workers('os:getpid').call(), flush=True)\n"
        "sleeper = Workers('time:sleep', deadline_s=600)\n"
        "threading.Thread(target=sleeper.call, args=(600,), daemon=True).start()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )
    pid = int(done.stdout)
    for _ in range(100):
        if not _alive(pid):
            return
        time.sleep(0.05)
    pytest.fail("the worker is still there five seconds after its parent was killed")


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
