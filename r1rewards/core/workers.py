"""Worker processes that can be killed: a hard deadline, a memory limit, no secrets, no pickle.

What they run is a plain function named "module:name", whose arguments and result are JSON values:

    workers = Workers("r1rewards.math.symbolic_worker:equal", deadline_s=5)
    workers.call("x+1", "1+x")      # its result, or GraderError at the deadline, on death, out of memory

They are started with `subprocess`, not `multiprocessing`, so they serve any thread, asyncio, and daemon or
forked processes (each forked process starts workers of its own). A worker sees a clean environment, may
use `memory_mb` of address space, dies with its parent, and is killed and replaced when it fails. Between
failures it is kept, so that its imports are paid once.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import resource
import select
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from r1rewards.core.errors import GraderError
from r1rewards.core.lifetime import die_with

#: Seconds that a worker may take to start and import its function; not part of the deadline of a call.
START_S = 120.0
#: Bytes of one message, either way.
MESSAGE_LIMIT = 64 * 1024 * 1024
#: How many times the deadline a worker may take that is ready to run and does not get the processor.
_CROWDED = 10
_HEADER = struct.Struct("<I")
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
_BOOT = "import sys; sys.path.append(sys.argv[1]); from r1rewards.core.workers import serve; serve()"


class Workers:
    """Up to `size` processes running one function; started when first needed, safe from any thread.

    function    "module:name"; the module is imported when a worker starts, outside the deadline.
    deadline_s  wall-clock seconds of one call, after which the worker is killed. One that is ready to run
                but got less processor time than this, on a crowded machine, has up to ten times as long,
                so that a result does not depend on what else runs.
    memory_mb   address space of one worker (RLIMIT_AS), in MiB.
    """

    def __init__(
        self, function: str, *, size: int = 1, deadline_s: float = 5.0, memory_mb: int = 2048
    ) -> None:
        self.function, self.size = function, size
        self.deadline_s, self.memory_mb = deadline_s, memory_mb
        self._empty()
        _ALL.add(self)

    def _empty(self) -> None:
        """Forget every worker, also when a fork copied this object: the parent's pipes are not ours."""
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(self.size):
            self._idle.put(None)

    def call(self, *args: Any) -> Any:
        """The function's result. Raises GraderError when it raises, dies, or misses the deadline."""
        worker = self._idle.get()
        try:
            if worker is not None and worker.served:
                try:
                    return worker.call(args, self.deadline_s)
                except _DiedError:
                    # What earlier calls left behind may have filled it; a fresh worker decides.
                    worker.kill()
            if worker is None or worker.dead:
                worker = _spawn(self.function, self.memory_mb)
            return worker.call(args, self.deadline_s)
        finally:
            self._idle.put(worker if worker is not None and not worker.dead else None)

    def map(self, items: Sequence[tuple[Any, ...]]) -> list[Any | GraderError]:
        """The result, or the GraderError, of every item, in order; uses all workers."""
        if self.size == 1 or len(items) < 2:
            return [self._outcome(item) for item in items]
        with ThreadPoolExecutor(min(self.size, len(items))) as pool:
            return list(pool.map(self._outcome, items))

    def _outcome(self, item: tuple[Any, ...]) -> Any | GraderError:
        try:
            return self.call(*item)
        except GraderError as error:
            return error

    def close(self) -> None:
        """End the idle workers; a later call starts new ones."""
        idle, self._idle = self._idle, queue.LifoQueue()
        for _ in range(self.size):
            worker = idle.get()
            if worker is not None:
                worker.kill()
            self._idle.put(None)


_ALL: weakref.WeakSet[Workers] = weakref.WeakSet()


class KilledError(GraderError):
    """The call did not end: it missed its deadline, ran out of memory, or took its process down.

    What it was asked is at fault, rather than the installation; a caller may call that undecided.
    """


class _DiedError(KilledError):
    """The process ended or ran out of memory, which earlier calls may have prepared."""


class _Worker:
    """One child process and its two pipes."""

    def __init__(self, function: str, memory_mb: int) -> None:
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        # A fixed hash seed makes symbolic results repeatable; one thread each, the pool is the parallelism.
        environment |= {
            "PYTHONHASHSEED": "0",
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        root = str(Path(__file__).parents[2])
        arguments = [root, function, str(memory_mb), str(os.getpid())]
        # -s -P and an environment of our own are what -I does, except that the hash seed counts.
        self._process = subprocess.Popen(
            [sys.executable, "-s", "-P", "-c", _BOOT, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd="/",
            bufsize=0,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        self.served = 0
        self.dead = False
        self._exchange(None, START_S)

    def call(self, args: Sequence[Any], deadline_s: float) -> Any:
        self.served += 1
        return self._exchange(json.dumps(args).encode(), deadline_s)

    def _exchange(self, message: bytes | None, deadline_s: float) -> Any:
        """The result of one message; of none, the greeting of a worker that has loaded its function."""
        now = time.monotonic()
        end, self._latest = now + deadline_s, now + _CROWDED * deadline_s
        self._processor_end = self._processor_time()[1] + deadline_s
        # A finally, not an except: an interrupt must not leave half a message in the pipe either.
        intact = False
        try:
            if message is not None:
                self._send(message, end)
            reply = self._receive(end)
            intact = True
        finally:
            if not intact:
                self.kill()
        if "result" in reply:
            return reply["result"]
        if reply.get("out_of_memory"):
            self.kill()
            raise _DiedError(reply["error"])
        if message is None:
            self.kill()
        raise GraderError(reply["error"])

    def _send(self, message: bytes, end: float) -> None:
        if len(message) > MESSAGE_LIMIT:
            raise GraderError(f"the arguments take {len(message)} bytes, more than a worker accepts")
        data = memoryview(_HEADER.pack(len(message)) + message)
        while data:
            self._wait(self._in, select.POLLOUT, end)
            try:
                data = data[os.write(self._in, data) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise _DiedError("the worker died") from None

    def _receive(self, end: float) -> Any:
        (size,) = _HEADER.unpack(self._read(_HEADER.size, end))
        if size > MESSAGE_LIMIT:
            raise GraderError(f"the worker's answer takes {size} bytes")
        return json.loads(self._read(size, end))

    def _read(self, size: int, end: float) -> bytes:
        parts = []
        while size:
            self._wait(self._out, select.POLLIN, end)
            part = os.read(self._out, min(size, 1 << 20))
            if not part:
                raise _DiedError("the worker died")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _wait(self, descriptor: int, event: int, end: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        while not poll.poll(max(0.0, end - time.monotonic()) * 1000):
            ready, used = self._processor_time()
            missing = self._processor_end - used
            end = min(time.monotonic() + max(missing, 0.01), self._latest)
            if not ready or missing <= 0 or time.monotonic() >= self._latest:
                raise KilledError("the worker missed its deadline and was killed")

    def _processor_time(self) -> tuple[bool, float]:
        """Whether the process is ready to run (or waits for the disk), and its processor seconds so far."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False, 0.0
        return fields[0] in "RD", (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        self.dead = True
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


# The kernel ties a child's parent-death signal to the *thread* that started it, so one thread, which
# lives as long as the process, starts them all.
_spawner: ThreadPoolExecutor | None = None
_spawner_lock = threading.Lock()


def _spawn(function: str, memory_mb: int) -> _Worker:
    global _spawner
    with _spawner_lock:
        if _spawner is None:
            _spawner = ThreadPoolExecutor(1, thread_name_prefix="r1rewards-workers")
        started: Future[_Worker] = _spawner.submit(_Worker, function, memory_mb)
    return started.result()


def _after_fork() -> None:
    global _spawner, _spawner_lock
    _spawner, _spawner_lock = None, threading.Lock()
    for workers in list(_ALL):
        workers._empty()


os.register_at_fork(after_in_child=_after_fork)


def serve() -> None:
    """The whole life of a worker process: limits, one import, then a call per message until end of input."""
    _, function, memory_mb, parent = sys.argv[1:]
    die_with(int(parent))
    limit = int(memory_mb) << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Prints of the function must not reach the pipe of the answers, nor its reads eat the questions.
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    try:
        module, _, name = function.partition(":")
        target = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, MemoryError) as error:
        _reply(sink, {"error": f"{function} does not load: {error}"})
        return
    _reply(sink, {"result": None})
    while header := source.read(_HEADER.size):
        args = json.loads(source.read(_HEADER.unpack(header)[0]))
        try:
            message = {"result": target(*args)}
            encoded = json.dumps(message)
        except MemoryError:
            _reply(sink, {"error": f"the worker used more than {memory_mb} MB", "out_of_memory": True})
            return
        except Exception as error:  # noqa: BLE001 - whatever it raises is the caller's to hear
            encoded = json.dumps({"error": f"{type(error).__name__}: {error}"[:500]})
        _write(sink, encoded.encode())


def _reply(sink: BinaryIO, message: dict[str, Any]) -> None:
    _write(sink, json.dumps(message).encode())


def _write(sink: BinaryIO, message: bytes) -> None:
    sink.write(_HEADER.pack(len(message)) + message)
    sink.flush()
