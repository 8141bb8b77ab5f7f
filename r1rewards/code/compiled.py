"""Programs of languages other than Python: compiled once, in a box, and kept by what they were made of."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from r1rewards.code.server import Box, Server, memfd, read_back
from r1rewards.code.task import Task, TestResult, judge_outcome
from r1rewards.core.errors import GraderError

_ENVIRONMENT = {"HOME": "/tmp", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TMPDIR": "/tmp"}
_KEPT_BYTES = 256 << 20


class _Cache:
    """Compiled programs by hash, the latest used first to stay; failures are kept as well."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, bytes | TestResult] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | TestResult | None:
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
            return self._made.get(key)

    def put(self, key: str, made: bytes | TestResult) -> None:
        with self._lock:
            self._made[key] = made
            while sum(len(kept) for kept in self._made.values() if isinstance(kept, bytes)) > _KEPT_BYTES:
                self._made.popitem(last=False)


_CACHE = _Cache()


@contextmanager
def ready(task: Task, server: Server) -> Iterator[dict[str, Any] | TestResult]:
    """What a `Box` needs to run this program; or how compiling it failed."""
    language = task.language
    if not language.run:
        yield {"source": task.program}
        return
    for tool, package in language.tools.items():
        if not os.access(tool, os.X_OK):
            raise GraderError(f"{tool} is missing: install the package {package}")
    if not server.apart:
        raise GraderError(f"{language.name} starts processes, which sandbox tier {task.tier} refuses")
    options: dict[str, Any] = {
        "argv": language.run,
        "env": _ENVIRONMENT | language.env,
        "address_space": language.memory_by_address_space,
    }
    if not language.compile:
        yield options | {"files": {f"/box/{language.source}": task.program}}
        return
    made = _compiled(task, server)
    if isinstance(made, TestResult):
        yield made
        return
    writable = memfd(made)
    program = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY)  # a file open for writing cannot be run
    os.close(writable)
    try:
        yield options | {"program": program}
    finally:
        os.close(program)


def _compiled(task: Task, server: Server) -> bytes | TestResult:
    language = task.language
    key = hashlib.sha256("\0".join([*language.compile, task.program]).encode(errors="replace")).hexdigest()
    made = _CACHE.get(key)
    if made is None:
        made = _compile(task, server)
        _CACHE.put(key, made)
    return made


def _compile(task: Task, server: Server) -> bytes | TestResult:
    language = task.language
    compile_s = task.limits.compile_s
    limits = replace(
        task.limits, time_s=compile_s, program_s=2 * compile_s + 1, memory_mb=2048, output_mb=128, procs=64
    )
    fds = [memfd() for _ in range(4)]
    try:
        with Box(
            server,
            limits,
            role="compile",
            argv=language.compile,
            env=_ENVIRONMENT | language.env,
            files={f"/box/{language.source}": task.program},
            cutoff=task.cutoff,
        ) as box:
            box.start(fds)
            box.wait_ready()
            outcome = box.outcome()
        result = judge_outcome(outcome, limits, fds[1], fds[2])
        made = read_back(fds[3])
        if result.status == "ok" and made:
            return made
        return TestResult("compile", result.reason or "the compiler made nothing")
    finally:
        for fd in fds:
            os.close(fd)
