"""A generation engine in a process of its own: vLLM, or transformers where vLLM has no build.

One engine serves a whole run: sampling, reinforcement learning, judging and evaluation all connect to it, and
`load` swaps the weights in place (about 0.3 s for 135M parameters) instead of starting another. A process of
its own keeps vLLM's thread settings, memory and crashes away from the trainer, and both away from each other.

    with Engine(folder, log=Path("engine.log")) as engine:
        for index, completion in engine.generate(requests): ...

Another process (a trainer) joins with `Connection(engine.address)`. Messages are pickled between processes of
the same user over a Unix socket in a private folder; model-written text travels only as strings in them.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Client
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, Self

from r1rewards.core.errors import UserError
from r1rewards.llm import Completion, Request

START_TIMEOUT_S = 600.0
_READY = "ready"


class EngineError(UserError):
    """The engine failed or died while it was asked; the text says so, its log says why."""


class Connection:
    """A client of a running engine. Not thread-safe: one per thread."""

    def __init__(self, address: str) -> None:
        """`address` is what `Engine.address` says; it holds the key, so keep it out of logs."""
        path, key = address.rsplit("#", 1)
        self._pipe: Pipe = Client(path, family="AF_UNIX", authkey=bytes.fromhex(key))

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield `(index, completion)` as they finish. Raises EngineError when the engine failed."""
        self._pipe.send(("generate", list(requests)))
        finished = False
        try:
            while (answer := self._receive()) is not None:
                yield answer
            finished = True
        finally:
            if not finished:
                self._pipe.close()  # an abandoned stream cannot be resynchronised

    def load(self, model: Path) -> None:
        """Put the weights (and the tokenizer, where the folder has one) of this folder into the engine.

        The architecture must be the one that the engine was started with; see `Engine.fits`.
        """
        self._pipe.send(("load", str(model)))
        self._receive()

    def _receive(self) -> Any:
        try:
            kind, value = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise EngineError("the generation engine died; see engine.log in the run folder") from error
        if kind == "error":
            raise EngineError(f"the generation engine failed: {value}")
        return value

    def close(self) -> None:
        self._pipe.close()


class Engine:
    """Starts, feeds and stops the engine process. Starting is lazy and can be begun early with `start`.

    model        a Hugging Face model folder
    backend      "vllm", "transformers", or "auto" (vLLM where it is installed)
    max_length   longest prompt plus completion, in tokens
    max_batch    most sequences in flight
    dtype        "bfloat16" or "float32"
    memory_gb    room for the key-value cache
    log          where the engine's own output goes
    """

    def __init__(
        self,
        model: Path,
        *,
        log: Path,
        backend: str = "auto",
        max_length: int = 2048,
        max_batch: int = 64,
        dtype: str = "bfloat16",
        memory_gb: float = 1.0,
    ) -> None:
        self.model = Path(model)
        self.log = log
        self.backend = _choose_backend(backend)
        self._settings: dict[str, Any] = {
            "backend": self.backend,
            "max_length": max_length,
            "max_batch": max_batch,
            "dtype": dtype,
            "memory_gb": memory_gb,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._folder: Path | None = None
        self._key = ""
        self._architecture = _architecture(self.model)

    def fits(self, model: Path) -> bool:
        """Whether `load` can put this model's weights into the engine: same shape, so the same program."""
        return _architecture(Path(model)) == self._architecture

    def start(self) -> None:
        """Begin loading and return at once; the first request waits for it."""
        if self._process is not None:
            return
        check_memory(self.model, float(self._settings["memory_gb"]))
        self._folder = Path(tempfile.mkdtemp(prefix="r1kit-engine-"))
        self._key = secrets.token_hex(16)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "r1rewards.llm.engine_server", str(self.model), str(self._folder)]
        command += [f"{name}={value}" for name, value in self._settings.items()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=os.environ | _environment(self._settings),
            )
        assert self._process.stdin is not None
        self._process.stdin.write(
            self._key.encode() + b"\n"
        )  # not on the command line, where others can read it
        self._process.stdin.flush()

    @property
    def address(self) -> str:
        """Where another process of the same user reaches the engine; waits until it is up."""
        self.start()
        assert self._folder is not None and self._process is not None
        socket, deadline = self._folder / "socket", time.monotonic() + START_TIMEOUT_S
        while not (self._folder / _READY).exists():
            if self._process.poll() is not None:
                raise UserError(_explain_death(self.log, self._process.returncode))
            if time.monotonic() > deadline:
                raise UserError(
                    f"the generation engine did not start in {START_TIMEOUT_S:.0f} s; see {self.log}"
                )
            time.sleep(0.05)
        return f"{socket}#{self._key}"

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = Connection(self.address)
        return self._connection

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield `(index, completion)` as they finish."""
        return self._connect().generate(requests)

    def load(self, model: Path) -> None:
        """Swap in the weights of another folder of the same architecture."""
        self._connect().load(model)
        self.model = Path(model)

    def close(self) -> None:
        """End the process and remove its socket; safe to call twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _choose_backend(backend: str) -> str:
    from importlib.util import find_spec

    if backend == "auto":
        return "vllm" if find_spec("vllm") else "transformers"
    if backend not in ("vllm", "transformers"):
        raise UserError(f"there is no generation backend {backend!r}; use vllm, transformers or auto")
    if find_spec(backend) is None:
        extra = "r1kit[cpu] or r1kit[gpu]" if backend == "vllm" else "r1kit[train]"
        raise UserError(f"the generation backend {backend} is not installed; pip install '{extra}'")
    return backend


def _architecture(model: Path) -> dict[str, Any]:
    """The part of the configuration that decides the shapes of the weights."""
    import json

    try:
        config: dict[str, Any] = json.loads((model / "config.json").read_text())
    except FileNotFoundError:
        raise UserError(f"{model} is not a model folder: it has no config.json") from None
    names = ("architectures", "hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers")
    more = ("num_key_value_heads", "head_dim", "vocab_size", "tie_word_embeddings", "max_position_embeddings")
    return {name: config.get(name) for name in names + more}


def _environment(settings: dict[str, Any]) -> dict[str, str]:
    """Settings that vLLM reads from the environment; the caller's own values win where they are a choice."""
    gigabytes = max(1, round(float(settings["memory_gb"])))
    wanted = {
        "VLLM_CPU_KVCACHE_SPACE": str(gigabytes),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "KMP_BLOCKTIME": "1",  # idle threads must not spin while the trainer works
        "TOKENIZERS_PARALLELISM": "false",
    }
    forced = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}  # this is already a process of its own
    return {name: os.environ.get(name, value) for name, value in wanted.items()} | forced


def check_memory(model: Path, cache_gb: float) -> None:
    """Refuse to start an engine where the machine plainly has no room, before anything is half done."""
    weights = sum(file.stat().st_size for file in model.glob("*.safetensors")) / 2**30
    needed = weights * 2 + cache_gb + 1.0
    with contextlib.suppress(
        OSError, StopIteration, ValueError
    ):  # no /proc: not Linux, let the system decide
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) / 2**20
        if free < needed:
            raise UserError(
                f"no memory for the generation engine: it needs about {needed:.1f} GB, {free:.1f} are free; "
                "close other programs or lower engine.memory_gb"
            )


def _explain_death(log: Path, status: int) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    text = "\n".join(lines[-80:])
    if status == -9 or "MemoryError" in text or "Cannot allocate memory" in text or "out of memory" in text:
        return (
            f"no memory for the generation engine (status {status}); lower engine.memory_gb; its log is {log}"
        )
    reason = next((line.strip() for line in reversed(lines) if "Error" in line), "it said nothing")
    return f"the generation engine did not start (status {status}): {reason[:300]}; its log is {log}"
