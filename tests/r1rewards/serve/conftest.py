"""A real server: the command `r1rewards serve` in a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

SPEC = """
rewards:
  math: {required: true}
  choice: {required: true}
  code: {required: true}
  format: {weight: 0.5}
"""


@dataclass(frozen=True)
class Running:
    """Where it listens, and its process."""

    host: str
    port: int
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@contextlib.contextmanager
def started(folder: Path, *options: str, spec: str = SPEC) -> Iterator[Running]:
    (folder / "spec.yaml").write_text(spec)
    argv = [sys.executable, "-m", "r1rewards", "serve", str(folder / "spec.yaml"), "--port", "0", *options]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            raise AssertionError(process.communicate()[1])
        host, _, port = line.partition("http://")[2].partition(";")[0].strip().rpartition(":")
        yield Running(host, int(port), process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def start() -> Callable[..., AbstractContextManager[Running]]:
    """`start(folder, *options, spec=...)` runs a server for a `with` block."""
    return started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for the tests of a module: small bodies, two seconds to send them, no default task."""
    folder = tmp_path_factory.mktemp("server")
    with started(folder, "--body", "4", "--body-timeout", "2") as running:
        yield running
