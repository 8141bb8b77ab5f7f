"""Environments of trainers that pin other versions than ours: `make test-backends` makes and uses them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
ENVIRONMENTS = Path(os.environ.get("R1KIT_BACKENDS", ROOT / ".backends"))


def run_in(trainer: str, *arguments: object, script: Path | None = None) -> Any:
    """What `in_TRAINER.py` prints in that trainer's environment; skips the test where there is none.

    script  another one than that beside this file
    """
    python = ENVIRONMENTS / trainer / "bin" / "python"
    if not python.exists():
        pytest.skip(f"there is no environment {ENVIRONMENTS / trainer}; `make test-backends` makes it")
    argv = [python, script or Path(__file__).with_name(f"in_{trainer}.py"), *arguments]
    done = subprocess.run(
        list(map(str, argv)),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
