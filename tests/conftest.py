"""What tests share: where the test data is, what was left out, and a model of a few words."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.setdefault("R1KIT_DATA", str(ROOT.parent / "shared" / "data")))

#: A busy machine must not fail a property: examples are bounded by their number, not by the clock.
hypothesis.settings.register_profile("r1kit", deadline=None)
hypothesis.settings.load_profile("r1kit")

MARKS = ("slow", "long")
_left_out: Counter[str] = Counter()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if DATA.is_dir():
        return
    for item in items:
        if item.get_closest_marker("data"):
            item.add_marker(pytest.mark.skip(reason=f"R1KIT_DATA: there is no folder {DATA}"))


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        marks = [mark for mark in MARKS if item.get_closest_marker(mark)]
        _left_out[marks[-1] if marks else "not selected"] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line that says what this run did not test, and why."""
    skipped = terminalreporter.stats.get("skipped", [])
    no_data = sum("R1KIT_DATA" in str(report.longrepr) for report in skipped)
    parts = [f"{count} marked {mark}" for mark in MARKS if (count := _left_out[mark])]
    parts += [f"{_left_out['not selected']} not selected"] * bool(_left_out["not selected"])
    parts += [f"{no_data} without test data (R1KIT_DATA={DATA})"] * bool(no_data)
    parts += [f"{len(skipped) - no_data} skipped for other reasons"] * (len(skipped) > no_data)
    terminalreporter.write_line(f"left out: {', '.join(parts) or 'nothing'}")


#: A command called with its arguments: exit status, output, error output.
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Command]:
    """`command("r1data")` is that command line as a function."""

    def of(name: str) -> Command:
        main = importlib.import_module(f"{name}.cli").main

        def run(*arguments: str) -> tuple[int, str, str]:
            monkeypatch.setattr(sys, "argv", [name, *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            said = capsys.readouterr()
            return int(ended.value.code or 0), said.out, said.err

        return run

    return of


#: What a test's tokenizer learns its words from.
TEXTS = [f"What is {a} + {b}? <think>{a} + {b} = {a + b}</think>" for a in range(10) for b in range(10)]
TEXTS += [f"<answer>{n}</answer> The quick brown fox jumps over the lazy dog." for n in range(100)]


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The folder of a random Llama with tied embeddings, tokenizer and chat template; a seed, a model."""
    from r1train.recipe import PretrainStage, SftOptim
    from r1train.stages.pretrain import _make

    made: dict[int, Path] = {}
    stage = PretrainStage(
        kind="pretrain",
        vocabulary=320,
        hidden=64,
        layers=2,
        heads=2,
        max_length=256,
        optim=SftOptim(learning_rate=1.0),
    )

    def make(seed: int) -> Path:
        if seed not in made:
            made[seed] = tmp_path_factory.mktemp("model") / f"seed-{seed}"
            _make(made[seed], stage, TEXTS, seed)
        return made[seed]

    return make


@pytest.fixture(scope="session")
def tiny_model(make_model: Callable[[int], Path]) -> Iterator[Path]:
    yield make_model(0)


#: `vllm serve` of a model folder, with further arguments, for a `with` block; gives the address of its API.
VllmServe = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="session")
def vllm_serve(tmp_path_factory: pytest.TempPathFactory) -> VllmServe:
    """The real server on the CPU, under the model name `served`."""
    pytest.importorskip("vllm", reason="vLLM is not installed", exc_type=ImportError)
    return lambda model, *arguments: _serving(tmp_path_factory.mktemp("vllm") / "log", model, *arguments)


@contextlib.contextmanager
def _serving(log: Path, model: Path, *arguments: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "served", *arguments]
    command.append("--enforce-eager")
    # vLLM 0.31 on the CPU dies where a request with a seed is prefilled in more than one piece
    command += ["--max-num-batched-tokens", "16384"]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    with log.open("w") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file, env=environment, start_new_session=True)
    try:
        until = time.monotonic() + 600
        while not _listens(port):
            assert server.poll() is None and time.monotonic() < until, log.read_text()[-2000:]
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _listens(port: int) -> bool:
    import httpx

    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/v1/models").status_code == 200
    return False
