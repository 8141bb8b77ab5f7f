"""The command line, as the tests of r1data call it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Command


@pytest.fixture
def r1data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[[str], Command]) -> Command:
    """The command, run in a folder of its own; its exit status, output and error output."""
    monkeypatch.chdir(tmp_path)
    return command("r1data")
