"""The whole of recipes/tiny as a user runs it: killed, resumed, and then complete, with nothing twice."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from r1rewards.core.store import read_rows
from r1train.report import table

ROOT = Path(__file__).parents[2]
MODELS = ("base", "1-cold-start", "2-reasoning-rl", "3-rejection-sft", "4-all-scenarios-rl")
RL_STEPS, ROLLOUT = 6, 64


def start(out: Path) -> subprocess.Popen[bytes]:
    """`r1train run recipes/tiny` in a session of its own, so that whatever it leaves behind can be found."""
    command = [sys.executable, "-m", "r1train", "run", "recipes/tiny", "--out", str(out)]
    with out.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)


def finish(out: Path) -> str:
    """Run to the end and return what this last try printed."""
    log = out.with_suffix(".log")
    before = log.stat().st_size if log.exists() else 0
    status = start(out).wait()
    said = log.read_bytes()[before:].decode()
    assert status == 0, said[-4000:]
    return said


def kill_when(out: Path, ready: Callable[[], bool], delay: float = 0.0) -> bool:
    """Run until `ready` and then SIGKILL the command, nothing else; False where it ended before."""
    process = start(out)
    try:
        while not ready():
            if process.poll() is not None:
                assert process.returncode == 0, out.with_suffix(".log").read_text()[-4000:]
                return False
            time.sleep(0.02)
        time.sleep(delay)
    finally:
        process.kill()
        process.wait()
    wait_for_the_end_of(process.pid)
    return True


def wait_for_the_end_of(session: int) -> None:
    """Engine, trainer and graders must die with the command that started them, however it died."""
    for _ in range(600):
        left = [name for name, number in processes() if number == session]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"still alive a minute after their parent's death: {left}")


def processes() -> Iterator[tuple[str, int]]:
    """Name and session of every live process."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _, _, session, *_ = rest.split()
        if state != "Z":
            yield name, int(session)


def lines(path: Path) -> list[bytes]:
    """The complete lines of a file that may be in the making."""
    data = path.read_bytes() if path.exists() else b""
    return data[: data.rfind(b"\n") + 1].splitlines()


def reached(path: Path, step: int) -> Callable[[], bool]:
    return lambda: any(json.loads(line)["step"] >= step for line in lines(path))


def finished_steps(out: Path) -> dict[Path, tuple[int, str]]:
    """When each finished step was finished, and what its manifest says."""
    return {
        path: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in out.rglob("step.json")
        if not any(part.startswith(".") for part in path.relative_to(out).parts)
    }


def records(out: Path) -> dict[str, Any]:
    """Every set of records of a run by its file, the steps of every training, and what it trained, hashed.

    Equal weights at the end say that optimizer, order of the data and reference went on as they were.
    """
    found: dict[str, Any] = {}
    for name in ("responses.jsonl", "scored.jsonl", "ledger.parquet", "step-*.parquet"):
        for path in sorted(out.rglob(name)):
            found[str(path.relative_to(out))] = sorted(row["uid"] for row in read_rows(path))
    for path in sorted(out.rglob("metrics.jsonl")):
        found[str(path.relative_to(out))] = [row["step"] for row in read_rows(path)]
    for path in sorted(out.rglob("model.safetensors")):
        found[str(path.relative_to(out))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def check_complete(out: Path) -> None:
    """Every record once, every step once, every fate told."""
    for path in out.rglob("responses.jsonl"):
        rows = list(read_rows(path))
        by_problem: dict[str, list[int]] = {}
        for row in rows:
            by_problem.setdefault(row["problem_id"], []).append(row["sample"])
        counts = {tuple(sorted(samples)) for samples in by_problem.values()}
        assert len({row["uid"] for row in rows}) == len(rows), path
        assert counts == {tuple(range(len(rows) // len(by_problem)))}, path
    for path in out.rglob("ledger.parquet"):
        ledger = pl.read_parquet(path)
        assert ledger["index"].to_list() == list(range(ledger.height)), path
        assert ledger["fate"].null_count() == 0, path
    trainings = list(out.rglob("metrics.jsonl"))
    assert len(trainings) == 7  # pre-training, four stages, two reward models
    for path in trainings:
        steps = [row["step"] for row in read_rows(path)]
        total = json.loads((path.parent / "step.json").read_text())["counts"]["steps"]
        assert steps == list(range(1, total + 1)), path
        assert not (path.parent / "checkpoints").exists()
        assert (path.parent / "model" / "chat_template.jinja").exists()
    for stage in ("2-reasoning-rl", "4-all-scenarios-rl"):
        files = sorted((out / stage / "train" / "rollouts").glob("*"))
        assert [file.name for file in files] == [f"step-{n:06d}.parquet" for n in range(1, RL_STEPS + 1)]
        rows = [row for file in files for row in read_rows(file)]
        assert len({row["uid"] for row in rows}) == len(rows) == RL_STEPS * ROLLOUT
        assert all(row["verdicts"] and row["advantage"] is not None for row in rows)
        for row in rows:
            assert row["reward"] is not None or row["advantage"] == 0.0
    chosen = {row["id"] for row in read_rows(out / "2-reasoning-rl" / "select" / "chosen" / "kept.parquet")}
    assert {row["problem_id"] for row in read_rows(next((out / "2-reasoning-rl").rglob("step-*")))} <= chosen
    graded = json.loads((out / "4-all-scenarios-rl" / "general" / "summary.json").read_text())
    assert tuple(graded["models"]) == MODELS and tuple(graded["compare"]) == MODELS[1:]
    assert all(figures["reward"] and not figures["errors"] for figures in graded["models"].values())
    assert not list(out.rglob(".*.part")), "something is left half-made"


@pytest.mark.slow
def test_two_kills_and_a_complete_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    training = out / "2-reasoning-rl" / ".train.part"
    assert kill_when(out, reached(training / "metrics.jsonl", 3))
    finished = finished_steps(out)
    safe = {file.name: file.read_bytes() for file in (training / "rollouts").glob("step-00000[12].parquet")}
    steps = [line for line in lines(training / "metrics.jsonl") if json.loads(line)["step"] <= 2]
    assert len(safe) == len(steps) == 2

    sampling = out / "3-rejection-sft" / "sampled" / ".sample.part" / "responses.jsonl"
    assert kill_when(out, lambda: len(lines(sampling)) >= 40)
    trained = out / "2-reasoning-rl" / "train"
    assert lines(trained / "metrics.jsonl")[:2] == steps, "steps before the checkpoint were repeated"
    assert {name: (trained / "rollouts" / name).read_bytes() for name in safe} == safe
    sampled = lines(sampling)

    said = finish(out)
    responses = out / "3-rejection-sft" / "sampled" / "sample" / "responses.jsonl"
    assert lines(responses)[: len(sampled)] == sampled, "samples were lost or changed"
    now = finished_steps(out)
    assert {path: now[path] for path in finished} == finished, "a finished step was repeated"
    check_complete(out)

    state = json.loads((out / "state.json").read_text())
    assert [stage["status"] for stage in state["stages"]] == ["done"] * len(state["stages"])
    assert len(table(out)) == len(MODELS)
    assert said.splitlines()[-1] == f"report: {out / 'report.html'}"
    page = (out / "report.html").read_text()
    assert all(model.partition("-")[0] in page for model in MODELS)

    assert "train" not in finish(out).partition("report:")[0].split(), "a finished run trained again"
    assert finished_steps(out) == now


#: Steps of a stage that are killed, each once, while they are at work.
KILLED = {
    f".{name}.part"
    for name in ("problems", "start", "sample", "judge", "dataset", "tried", "train", "evaluation", "general")
}


#: A training is also killed some time after the first of its steps from each of these on.
KILLED_FROM = (2, 5, 11)


def at_work(out: Path) -> set[tuple[Path, int]]:
    """The steps that are being made just now, and how far trainings are; folders come and go meanwhile."""
    found = {
        (Path(folder) / name, 0) for folder, names, _ in os.walk(out) for name in KILLED.intersection(names)
    }
    for path, _ in list(found):
        taken = len(lines(path / "metrics.jsonl")) if path.name == ".train.part" else 0
        found.update((path, step) for step in KILLED_FROM if taken >= step)
    return found


@pytest.mark.long
def test_kills_at_random_moments_change_no_record_and_no_weight(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(whole)
    dice = random.Random(0)
    killed: set[tuple[Path, int]] = set()

    def a_new_moment() -> bool:
        fresh = at_work(broken) - killed
        killed.update(fresh)
        return bool(fresh)

    while kill_when(broken, a_new_moment, delay=dice.uniform(0.0, 3.0)):
        pass
    assert {path.relative_to(broken).parts[0] for path, _ in killed} == {"0-data", "0-base", *MODELS}
    trainings = {path for path, step in killed if step}
    assert len(trainings) == 7, "pre-training, four stages and two reward models are killed while they train"
    check_complete(whole)
    check_complete(broken)
    assert records(broken) == records(whole)
