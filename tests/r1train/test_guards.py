"""The guards of reinforcement learning: what is told, and what it makes of a run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from r1train.backends import Launch
from r1train.backends.runner import TrainerError, run
from r1train.guards import Alarm, Watch
from r1train.recipe import Guards


def watch(**changes: Any) -> Watch:
    return Watch(Guards(**changes).model_dump())


def texts(alarms: list[Alarm]) -> str:
    return " | ".join(alarm.text for alarm in alarms)


def line(step: int, **more: Any) -> dict[str, Any]:
    sound = {"loss": 0.1, "grad_norm": 1.0, "kl": 0.01, "frac_reward_zero_std": 0.2}
    return {"step": step, **sound, "completions/mean_length": 100.0, **more}


def test_a_sound_run_is_not_disturbed() -> None:
    seen = watch()
    assert [seen(line(step)) for step in range(1, 30)] == [[]] * 29


@pytest.mark.parametrize(
    ("change", "told", "broken"),
    [
        ({"frac_reward_zero_std": 0.95}, "in 95% of the groups all responses score the same", False),
        ({"kl": 11.0}, "11 nats from its reference (guards.kl 10)", False),
        ({"loss": None}, "loss is not a number", True),
        ({"grad_norm": None}, "grad_norm is not a number", True),
    ],
)
def test_each_sign_is_a_sentence(change: dict[str, Any], told: str, broken: bool) -> None:
    [alarm] = watch()(line(7, **change))
    assert told in alarm.text and alarm.step == 7
    assert (alarm.stops, alarm.broken) == (False, broken)
    assert watch(then="stop")(line(7, **change))[0].stops


def test_lengths_are_compared_with_the_first_steps() -> None:
    seen = watch(length=3)
    for step in range(1, 6):
        assert not seen(line(step, **{"completions/mean_length": 100.0 + step}))
    assert not seen(line(6, **{"completions/mean_length": 300.0}))
    assert "400 tokens, and had 103 at first" in texts(seen(line(7, **{"completions/mean_length": 400.0})))


def test_what_is_not_watched_is_not_told() -> None:
    blind = watch(zero_variance=None, length=None, kl=None, nan=False)
    assert not blind(line(1, loss=None, kl=99.0, frac_reward_zero_std=1.0))
    assert not Watch({})(line(1, loss=None)), "other kinds of jobs have no guards"


TRAINER = """
import json, os, signal, sys, time
def stop(*_):
    open("checkpoint", "w").close()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
with open("metrics.jsonl", "a", buffering=1) as file:
    for step in range(1, 4):
        kl = 99.0 if step == 3 else 0.0
        file.write(json.dumps({"step": step, "of": 99, "loss": 1.0, "kl": kl}) + "\\n")
    file.write(json.dumps({"step": 4, "of": 99, "loss": None}) + "\\n") if sys.argv[1] == "nan" else None
time.sleep(600)
"""


def start(folder: Path, what: str, seen: Watch, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(folder)
    launch = Launch([sys.executable, "-c", TRAINER, what])
    with pytest.raises(TrainerError) as ended:
        run([launch], folder, resume=False, on_metrics=lambda _: None, watch=seen)
    return str(ended.value)


def test_a_guard_that_stops_leaves_a_checkpoint_and_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = start(tmp_path, "kl", watch(then="stop"), monkeypatch)
    assert "stopped at step 3 by the recipe's guards" in said and "goes on from the last checkpoint" in said
    assert (tmp_path / "checkpoint").exists()
    [warning] = [json.loads(text) for text in (tmp_path / "warnings.jsonl").read_text().splitlines()]
    assert warning["step"] == 3 and "nats from its reference" in warning["warning"]


def test_no_checkpoint_is_made_of_weights_that_are_no_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = start(tmp_path, "nan", watch(then="stop", kl=None), monkeypatch)
    assert "stopped at step 4" in said and "lower optim.learning_rate" in said
    assert not (tmp_path / "checkpoint").exists()
