"""Starts a backend's process, follows its metrics, and says what went wrong when it dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.lifetime import die_with
from r1train.backends import Launch

Metrics = dict[str, Any]

#: Words in a trainer's log, and what to do about them.
HINTS = {
    "out of memory": "lower optim.micro_batch or rollout.max_tokens",
    "Cannot allocate memory": "lower optim.micro_batch or engine.memory_gb",
    "No space left on device": "free some disk space and run again: it goes on from the last checkpoint",
    "Address already in use": "another run holds the port; wait for it or end it",
    "NaN": "lower optim.learning_rate",
}


class TrainerError(UserError):
    """The trainer's process failed; the text holds its last words and the hint that fits."""


def run(launch: Launch, *, log: Path, metrics: Path, on_metrics: Callable[[Metrics], None]) -> None:
    """Run to the end. SIGTERM and SIGINT are forwarded; the child dies with this process however that dies.

    Raises TrainerError when the process fails, KeyboardInterrupt when it was told to stop.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            launch.argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **launch.env},
            preexec_fn=partial(die_with, os.getpid()),
        )
    follow = _follow(metrics)
    with _forwarding(process) as stopped:
        while process.poll() is None:
            for line in next(follow):
                on_metrics(line)
            time.sleep(0.2)
    for line in next(follow):
        on_metrics(line)
    if stopped:
        raise KeyboardInterrupt
    if process.returncode != 0:
        raise TrainerError(explain(log, process.returncode))


def explain(log: Path, status: int) -> str:
    """The failure as a sentence: the trainer's last line, the hint that fits, and where the whole log is."""
    lines = [line for line in log.read_text(errors="replace").splitlines()[-60:] if line.strip()]
    text = "\n".join(lines)
    if status == 2 and lines and lines[-1].startswith("error: "):
        return lines[-1].removeprefix("error: ")  # the trainer's own sentence about a user's mistake
    reason = next((line.strip() for line in reversed(lines) if "Error" in line), lines[-1] if lines else "")
    hint = next((advice for word, advice in HINTS.items() if word in text), None)
    if status == -signal.SIGKILL:
        reason, hint = "it was killed, most likely for memory", HINTS["out of memory"]
    advice = f"; {hint}" if hint else ""
    return f"the trainer stopped with status {status}: {reason[:400]}{advice}; its log is {log}"


def _follow(path: Path) -> Iterator[list[Metrics]]:
    """Each time it is asked, the complete lines that were added since; a rewritten file starts over."""
    offset = 0
    while True:
        found: list[Metrics] = []
        if path.exists():
            offset = 0 if path.stat().st_size < offset else offset
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read()
            complete = data.rfind(b"\n") + 1
            offset += complete
            found = [json.loads(line) for line in data[:complete].splitlines()]
        yield found


@contextmanager
def _forwarding(process: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """While open, SIGTERM and SIGINT go to the child, and the list holds those that came."""
    came: list[int] = []

    def forward(number: int, _: FrameType | None) -> None:
        came.append(number)
        process.send_signal(signal.SIGTERM)

    before = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
