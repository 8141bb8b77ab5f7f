"""Starts a backend's processes, follows their metrics, and says what went wrong when one dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from r1rewards.core.errors import UserError
from r1rewards.core.lifetime import die_with
from r1rewards.core.store import replacing
from r1train.backends import Launch, Metrics
from r1train.guards import Alarm

#: Words in a trainer's log, and what to do about them; the first that is found is told.
HINTS = {
    "out of memory": "lower optim.micro_batch or rollout.max_tokens",
    "Cannot allocate memory": "lower optim.micro_batch or engine.memory_gb",
    "No space left on device": "free some disk space and run again: it goes on from the last checkpoint",
    "Address already in use": "another run holds the port; wait for it or end it",
    "EADDRINUSE": "another run holds the port; wait for it or end it",
    "NaN": "lower optim.learning_rate",
    "No module named": "install it into the environment of the trainer",
    "NCCL": "see whether every node reaches the others, and whether all hold the same versions",
}


class TrainerError(UserError):
    """The trainer's process failed; the text holds its last words and the hint that fits."""


def run(
    launches: Sequence[Launch],
    folder: Path,
    *,
    resume: bool,
    on_metrics: Callable[[Metrics], None],
    translate: Callable[[Metrics], Metrics | None] = lambda line: line,
    watch: Callable[[Metrics], Sequence[Alarm]] = lambda line: (),
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Run all of them to the end, each once: `launches.json` in the folder knows which have ended well.

    SIGTERM and SIGINT are forwarded; a child dies with this process however that dies. What the processes
    print goes to `trainer.log`, their metrics to `metrics.jsonl`, what `watch` says of them to
    `warnings.jsonl`; one of its alarms may end the process, with a checkpoint where the weights are sound.

    Raises TrainerError when a process fails or an alarm ended it, KeyboardInterrupt when it was told to stop.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "launches.json"
    done: list[str] = json.loads(state.read_text()) if resume and state.exists() else []
    for launch in launches:
        if launch.name in done:
            continue
        _run(launch, folder, on_metrics, translate, watch, say)
        done.append(launch.name)
        with replacing(state) as part:
            part.write_text(json.dumps(done))


def _run(
    launch: Launch,
    folder: Path,
    on_metrics: Callable[[Metrics], None],
    translate: Callable[[Metrics], Metrics | None],
    watch: Callable[[Metrics], Sequence[Alarm]],
    say: Callable[[str], None],
) -> None:
    log, own = folder / "trainer.log", folder / "metrics.jsonl"
    if launch.metrics is not None:
        launch.metrics.unlink(missing_ok=True)  # of an earlier try
    follow = _follow(launch.metrics or own)
    with log.open("ab") as out:
        process = subprocess.Popen(
            launch.argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **launch.env},
            preexec_fn=partial(die_with, os.getpid()),
        )
    fatal: list[Alarm] = []

    def tell() -> None:
        for line in next(follow):
            told = line if launch.metrics is None else translate(line)
            if told is None:
                continue
            if launch.metrics is not None:
                _record(own, told)
            on_metrics(told)
            for alarm in watch(told):
                say(f"  step {alarm.step}: {alarm.text}")
                with (folder / "warnings.jsonl").open("a") as out:
                    out.write(json.dumps({"step": alarm.step, "warning": alarm.text}) + "\n")
                if alarm.stops and not fatal:
                    fatal.append(alarm)
                    process.send_signal(signal.SIGKILL if alarm.broken else signal.SIGTERM)

    with _forwarding(process) as stopped:
        while process.poll() is None:
            tell()
            time.sleep(0.2)
    tell()
    if fatal:
        raise TrainerError(
            f"stopped at step {fatal[0].step} by the recipe's guards: {fatal[0].text}; "
            "after a change run again: it goes on from the last checkpoint"
        )
    if stopped:
        raise KeyboardInterrupt
    if process.returncode != 0:
        raise TrainerError(explain(log, process.returncode))


def _record(file: Path, line: Metrics) -> None:
    """Add a line; steps that are taken again after a checkpoint replace what was recorded of them."""
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    kept = [old for old in lines if old.endswith(b"\n") and json.loads(old)["step"] < line["step"]]
    new = json.dumps(line, ensure_ascii=False).encode() + b"\n"
    if len(kept) == len(lines):
        with file.open("ab") as out:
            out.write(new)
    else:
        with replacing(file) as part:
            part.write_bytes(b"".join([*kept, new]))


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
    return _lines_after(path, path.stat().st_size if path.exists() else 0)


def _lines_after(path: Path, offset: int) -> Iterator[list[Metrics]]:
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
