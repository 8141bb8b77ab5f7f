"""Checkpoints that are whole or do not count, and records that match them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from r1rewards.core.store import write_rows
from r1train.backends.trl.checkpoints import COMPLETE, Recorder, last, rewind


def checkpoint(folder: Path, step: int, *, complete: bool = True) -> Path:
    path = folder / "checkpoints" / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"weights")
    if complete:
        (path / COMPLETE).touch()
    return path


def record(folder: Path, steps: list[int]) -> None:
    lines = [json.dumps({"step": step, "loss": step / 10}) + "\n" for step in steps]
    (folder / "metrics.jsonl").write_text("".join(lines))
    for step in steps:
        write_rows(folder / "rollouts" / f"step-{step:06d}.parquet", [{"uid": f"u{step}"}])


def steps(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_newest_whole_checkpoint_counts(tmp_path: Path) -> None:
    assert last(tmp_path / "checkpoints") is None
    checkpoint(tmp_path, 20, complete=False)
    assert last(tmp_path / "checkpoints") is None
    expected = checkpoint(tmp_path, 10)
    checkpoint(tmp_path, 9)
    assert last(tmp_path / "checkpoints") == expected, "by number, not by name"


def test_what_was_recorded_after_the_checkpoint_goes(tmp_path: Path) -> None:
    record(tmp_path, [1, 2, 3, 4, 5])
    kept = (tmp_path / "metrics.jsonl").read_bytes().splitlines(keepends=True)[:3]
    rewind(tmp_path, checkpoint(tmp_path, 3))
    assert (tmp_path / "metrics.jsonl").read_bytes() == b"".join(kept)
    names = sorted(path.name for path in (tmp_path / "rollouts").iterdir())
    assert names == ["step-000001.parquet", "step-000002.parquet", "step-000003.parquet"]
    rewind(tmp_path, None)
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""
    assert not list((tmp_path / "rollouts").iterdir())


def test_a_line_cut_by_the_kill_goes(tmp_path: Path) -> None:
    record(tmp_path, [1, 2])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    rewind(tmp_path, checkpoint(tmp_path, 2))
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [
        1,
        2,
    ]


def test_nothing_recorded_is_nothing_to_drop(tmp_path: Path) -> None:
    rewind(tmp_path, None)
    assert list(tmp_path.iterdir()) == []


def test_the_recorder_writes_finite_short_lines_and_marks_checkpoints(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.extra = {"segment": 1}
    state = SimpleNamespace(global_step=4, max_steps=9, is_world_process_zero=True)
    logs: dict[str, Any] = {
        "loss": 0.5,
        "rewards/math/mean": 1.0,
        "rewards/math/errors": 0.0,
        "kl": float("nan"),
    }
    recorder.on_log(None, state, None, logs)
    recorder.on_log(None, state, None, {"train_runtime": 3.0})
    [line] = [json.loads(text) for text in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert line.pop("seconds") >= 0
    assert line == {
        "step": 4,
        "of": 9,
        "loss": 0.5,
        "rewards/math": 1.0,
        "rewards/math/errors": 0.0,
        "kl": None,
        "segment": 1,
    }
    checkpoint(tmp_path, 4, complete=False)
    recorder.on_save(SimpleNamespace(output_dir=tmp_path / "checkpoints"), state, None)
    assert last(tmp_path / "checkpoints") is not None


@pytest.mark.parametrize(
    ("told", "rollout", "step", "stops"),
    [(False, 1, 1, False), (True, 1, 1, True), (True, 4, 3, False), (True, 4, 8, True)],
)
def test_a_stop_saves_and_ends_after_the_rollout(
    tmp_path: Path, told: bool, rollout: int, step: int, stops: bool
) -> None:
    recorder = Recorder(tmp_path, rollout=rollout)
    recorder.stopping = told
    control = SimpleNamespace(should_save=False, should_training_stop=False)
    recorder.on_step_end(None, SimpleNamespace(global_step=step), control)
    assert (control.should_save, control.should_training_stop) == (stops, stops)
