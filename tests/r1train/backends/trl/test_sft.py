"""Supervised training: which tokens are learned, the loss against the plain one, what it leaves behind."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from r1rewards.core.store import write_rows
from r1train.job import Job

pytestmark = pytest.mark.slow

ROWS: list[dict[str, Any]] = [
    {"uid": "a", "prompt_ids": [5, 6, 7], "completion_ids": [8, 9, 1]},
    {"uid": "b", "prompt_ids": [5, 6], "completion_ids": [10, 1]},
    {"uid": "c", "prompt_ids": [5, 6, 7, 8], "completion_ids": [8, 9, 10, 11, 12, 1]},
    {"uid": "d", "prompt_ids": [9], "completion_ids": [1]},
]


@pytest.fixture
def job(tiny_model: Path, tmp_path: Path) -> Job:
    write_rows(tmp_path / "tokens.jsonl", ROWS)
    return Job(
        stage="1-test",
        kind="sft",
        model=str(tiny_model),
        output=str(tmp_path / "out"),
        seed=1,
        template="think-answer",
        save_steps=1,
        optim={
            "learning_rate": 0.01,
            "final_ratio": 0.1,
            "warmup_steps": 0,
            "weight_decay": 0.0,
            "max_grad_norm": 1.0,
            "micro_batch": 2,
            "precision": "fp32",
            "epochs": 2.0,
            "batch_size": 4,
            "max_length": 64,
        },
        data=str(tmp_path / "tokens.jsonl"),
    )


def mean_loss(folder: str) -> Any:
    """The mean over every completion token of all rows, computed row by row."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    losses = []
    for row in ROWS:
        prompt, completion = row["prompt_ids"], row["completion_ids"]
        table = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        losses.append(-table[torch.arange(len(completion)), torch.tensor(completion)])
    return torch.cat(losses).mean()


def test_only_completions_are_learned_the_end_of_text_too(job: Job) -> None:
    from r1train.backends.trl.sft import make_trainer

    trainer = make_trainer(job)
    for row, given in zip(trainer.train_dataset, ROWS, strict=True):
        assert row["input_ids"] == given["prompt_ids"] + given["completion_ids"]
        assert row["labels"] == [-100] * len(given["prompt_ids"]) + given["completion_ids"]
    batch = trainer.data_collator(list(trainer.train_dataset))
    learned = [labels[labels != -100].tolist() for labels in batch["labels"]]
    assert learned == [row["completion_ids"] for row in ROWS]
    assert all(tokens[-1] == 1 for tokens in learned)


def test_training_leaves_a_whole_model_its_template_and_every_step(job: Job) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from r1train.backends.trl.main import train

    out = Path(job.output)
    out.mkdir()
    train(job, resume=False)
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["of"]) for line in metrics] == [(1, 2), (2, 2)]
    assert metrics[0]["loss"] == pytest.approx(float(mean_loss(job.model).detach()), rel=1e-3)
    assert (out / "steps").read_text() == "2"
    tokenizer = AutoTokenizer.from_pretrained(out / "model")
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(job.model).chat_template
    assert mean_loss(str(out / "model")) < mean_loss(job.model)
    AutoModelForCausalLM.from_pretrained(out / "model")
    assert not (out / "checkpoints").exists()

    # killed while the checkpoints were being removed: one that looks whole is not
    left = out / "checkpoints" / "checkpoint-2"
    left.mkdir(parents=True)
    (left / "complete").touch()
    train(job, resume=True)
    assert not (out / "checkpoints").exists()
    assert [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()] == metrics


def test_a_resumed_training_ends_where_a_whole_one_does(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after the first step, as SIGTERM does it, and then killed in the second."""
    from safetensors.torch import load_file

    from r1train.backends.trl import checkpoints
    from r1train.backends.trl.main import train

    out = Path(job.output)
    out.mkdir()
    train(job, resume=False)
    whole, lines = load_file(out / "model" / "model.safetensors"), (out / "metrics.jsonl").read_text()
    shutil.rmtree(out)
    out.mkdir()

    begin = checkpoints.Recorder.on_train_begin

    def stop_at_once(self: Any, *arguments: Any, **more: Any) -> None:
        begin(self, *arguments, **more)
        self.stopping = True

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(checkpoints.Recorder, "on_train_begin", stop_at_once)
        train(job, resume=False)
    assert ended.value.code == 143 and not (out / "model").exists()
    torn = out / "checkpoints" / "checkpoint-2"
    shutil.copytree(out / "checkpoints" / "checkpoint-1", torn)
    (torn / "complete").unlink()
    with (out / "metrics.jsonl").open("a") as file:
        file.write(lines.splitlines()[1])
    train(job, resume=True)
    for name, value in load_file(out / "model" / "model.safetensors").items():
        torch.testing.assert_close(value, whole[name])
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2]


def test_rows_laid_end_to_end_give_the_loss_that_they_give_alone(job: Job) -> None:
    """Packed sequences hold several rows; each of them sees only itself."""
    from r1train.backends.trl.sft import make_trainer, rows_of

    packed = make_trainer(replace(job, optim={**job.optim, "packing": "best-fit", "batch_size": 1}))
    plain = make_trainer(job)
    assert len(packed.train_dataset) < len(plain.train_dataset)
    given: list[Any] = []
    for batch in packed.get_train_dataloader():
        given += [(ids.tolist(), labels.tolist()) for ids, labels in rows_of(batch)]
    alone = [(row["input_ids"], row["labels"]) for row in plain.train_dataset]
    assert sorted(ids for ids, _ in given) == sorted(ids for ids, _ in alone)
    batch = next(iter(packed.get_train_dataloader()))
    rows = [{"input_ids": i.tolist(), "labels": labels.tolist()} for i, labels in rows_of(batch)]
    with torch.no_grad():
        together = packed.compute_loss(packed.model, dict(batch))
        apart = plain.compute_loss(plain.model, plain.data_collator(rows))
    assert float(together) == pytest.approx(float(apart), rel=1e-5)


def test_adapters_are_trained_alone_and_end_inside_the_model(job: Job) -> None:
    from safetensors.torch import load_file

    from r1train.backends.trl.main import train

    pytest.importorskip("peft")
    lora = {"rank": 2, "alpha": 4.0, "dropout": 0.0, "targets": "all-linear"}
    job = replace(job, optim=job.optim | {"lora": lora})
    Path(job.output).mkdir()
    train(job, resume=False)
    before = load_file(Path(job.model) / "model.safetensors")
    after = load_file(Path(job.output) / "model" / "model.safetensors")
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert set(after) == set(before)
    assert changed and all("_proj." in name for name in changed)
    for name in changed:
        difference = (after[name] - before[name]).double()
        assert torch.linalg.matrix_rank(difference, rtol=1e-3) <= 2
    assert mean_loss(f"{job.output}/model") < mean_loss(job.model)
