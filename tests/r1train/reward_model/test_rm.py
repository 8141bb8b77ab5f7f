"""`r1train rm`: pair-wise and point-wise, on a tiny model with the real trainers, and what is said of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows
from r1rewards.judge.labelled import prompt_key
from r1rewards.spec import load_spec
from r1train.recipe import SftOptim
from r1train.reward_model import R1, train_reward_model

#: Quick enough to learn one word in seconds.
QUICK = SftOptim(learning_rate=3e-3, epochs=4, batch_size=16, micro_batch=8, max_length=96, precision="fp32")

GOOD, BAD = "The quick brown fox jumps.", "The lazy dog jumps."


def pairs(prompts: int = 60) -> list[dict[str, Any]]:
    """Two pairs to each prompt: the fox wins, once as the longer answer and once as the shorter."""
    made = []
    for n in range(prompts):
        prompt = f"What is {n % 10} + {n // 10}?"
        made.append({"prompt": prompt, "chosen": GOOD + " The quick" * 3, "rejected": BAD})
        made.append({"prompt": prompt, "chosen": GOOD, "rejected": BAD + " The quick" * 3})
    return made


def labels(prompts: int = 60) -> list[dict[str, Any]]:
    return [
        {"prompt": f"What is {n % 10} + {n // 10}?", "response": f"<think>{n}</think>{text}", "label": label}
        for n in range(prompts)
        for text, label in ((GOOD, "safe"), (BAD, "unsafe"))
    ]


def trained(folder: Path, rows: list[dict[str, Any]], model: Path, **more: Any) -> tuple[Any, list[str]]:
    write_rows(folder / "rows.jsonl", rows)
    said: list[str] = []
    given = {"optim": QUICK, "heldout": 0.3, "say": said.append, **more}
    report = train_reward_model(folder / "rows.jsonl", folder / "out", model=model, **given)
    return report, said


def test_the_defaults_are_the_papers() -> None:
    assert (R1.learning_rate, R1.epochs, R1.batch_size, R1.max_length) == (6e-6, 1, 256, 8192)


@pytest.mark.slow
def test_pairs_are_learned_and_measured_on_other_prompts(tiny_model: Path, tmp_path: Path) -> None:
    report, said = trained(tmp_path, pairs(), tiny_model)
    parts = {
        name: list(read_rows(tmp_path / "out" / "data" / f"{name}.jsonl")) for name in ("train", "heldout")
    }
    assert not {prompt_key(row) for row in parts["train"]} & {prompt_key(row) for row in parts["heldout"]}
    assert len(parts["train"]) + len(parts["heldout"]) == 120
    figures = report.figures["out"]
    assert figures["accuracy"] > 0.9 and figures["low"] > 0.5
    assert report.figures["length rule"]["accuracy"] == report.figures["chance"]["accuracy"] == 0.5
    assert report.figures["TF-IDF"]["accuracy"] > 0.9
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["graders"]["out"] == figures
    assert said == [
        f"{len(parts['train'])} pairs to train on, {len(parts['heldout'])} of other prompts held out"
    ]
    again, _ = trained(tmp_path, pairs(), tiny_model)  # all of it stands already
    assert again.figures == report.figures


@pytest.mark.slow
def test_labels_are_learned_and_served(
    tiny_model: Path, tmp_path: Path, start: Callable[..., AbstractContextManager[Any]]
) -> None:
    report, _ = trained(tmp_path, labels(), tiny_model)
    figures = report.figures["out"]
    assert figures["accuracy"] > 0.9 and figures["kappa"] > 0.8
    assert report.figures["chance"]["accuracy"] <= 0.5
    model = tmp_path / "out" / "train" / "model"
    spec = {
        "rewards": {
            "harmless": {
                "use": "reward-model",
                "tasks": ["safety"],
                "scope": "response",
                "options": {"model": str(model), "output": "sigmoid", "max_length": 96},
            }
        }
    }
    rows = [
        {"task": "safety", "prompt": "What is 1 + 1?", "response": f"<think>2</think>{text}"}
        for text in (GOOD, BAD)
    ]
    with load_spec(spec) as loaded:
        good, bad = (score.total for score in loaded.score(rows))
    assert good is not None and bad is not None and good > 0.5 > bad
    with start(tmp_path, spec=json.dumps(spec)) as running:
        scores = httpx.post(f"{running.url}/score", json={"rows": rows}, timeout=120).json()["scores"]
    assert [one["reward"] for one in scores] == pytest.approx([good, bad], abs=1e-5)


@pytest.mark.slow
def test_what_is_left_out_or_cut_is_said(tiny_model: Path, tmp_path: Path) -> None:
    rows = [row for n, row in enumerate(pairs(20)) if n % 2 == 0 or n < 10]  # the longer answer wins 20 of 25
    rows.append({"prompt": "What is 9 + 9?", "chosen": "", "rejected": "x"})
    short = QUICK.model_copy(update={"max_length": 32, "epochs": 1.0})
    report, said = trained(tmp_path, rows, tiny_model, optim=short, heldout=0.0)
    assert report is None
    assert [sentence.split(":")[0].split(",")[0] for sentence in said] == [
        "1 rows were left out; the first",
        "15 pairs were left out",
        "10 pairs to train on",
        "20 of 20 texts were longer than 32 tokens",
    ]


@pytest.mark.slow
def test_the_command(tiny_model: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"q": row.pop("prompt"), **row} for row in labels(20)])
    argv = [sys.executable, "-m", "r1train", "rm", "rows.jsonl", "--model", str(tiny_model), "-o", "out"]
    argv += [
        "--map",
        "prompt=q",
        "--heldout",
        "0.3",
        "--max-length",
        "96",
        "--batch-size",
        "8",
        "--lr",
        "0.003",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "TF-IDF" in done.stdout and "reward model: out/train/model" in done.stdout
    job = json.loads((tmp_path / "out" / "train" / "job.json").read_text())
    assert (job["kind"], job["optim"]["learning_rate"], job["optim"]["epochs"]) == ("labels", 0.003, 1.0)


@pytest.mark.parametrize(
    ("rows", "more", "why"),
    [
        ([], {}, "there are no rows"),
        ([{"prompt": "a", "chosen": "b"}], {}, "needs 'rejected'"),
        ([{"prompt": "a", "response": "b", "label": "perhaps"}], {}, "neither good nor bad"),
        (pairs(1), {"heldout": 1.0}, "between 0 and 1"),
        ([{"prompt": "a", "response": "<think>b", "label": 1}], {"scope": "answer"}, "no rows are left"),
    ],
)
def test_mistakes(tmp_path: Path, rows: list[dict[str, Any]], more: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=why):
        trained(tmp_path, rows, tmp_path, **more)
