"""Several processes that do one kind of work, for as long as the one that started them lives."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from r1rewards.core.errors import UserError
from r1rewards.core.lifetime import die_with

Result = TypeVar("Result")


@contextmanager
def processes(workers: int, begin: Callable[..., None], *arguments: Any) -> Iterator[ProcessPoolExecutor]:
    """A pool of new processes, in each of which `begin(*arguments)` is called first.

    Where the block ends with an error they are killed, whatever they are at.
    """
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers,
        multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(os.getpid(), begin, arguments),
    )
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - before:
            process.kill()  # what they are at may take long, and is done again
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def outcome(future: Future[Result]) -> Result:
    """What a process made of its work; one that died is a `UserError`."""
    try:
        return future.result()
    except BrokenProcessPool:
        raise UserError(
            "a process died, of too little memory perhaps; "
            "the same command goes on where it stopped, with fewer --workers if need be"
        ) from None


def cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin(parent: int, begin: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    begin(*arguments)
