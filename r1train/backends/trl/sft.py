"""Supervised fine-tuning and pre-training with TRL's SFTTrainer, loss on the completion only.

Rows come tokenised, `{"prompt_ids", "completion_ids"}`, so that training sees exactly the tokens of
generation: the chat template up to where the model begins, then the response and its end-of-text token.
Deviation from TRL on the CPU: the loss is computed without padding and without logits for prompt tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer, pack_dataset

from r1rewards.core.store import read_rows
from r1train.backends.trl.arguments import accumulation, adapters, common
from r1train.backends.trl.checkpoints import Recorder
from r1train.backends.trl.packed import completion_logprobs, packable
from r1train.job import Job


class PackedSFTTrainer(SFTTrainer):  # type: ignore[misc]
    """TRL's trainer with the packed loss where no fused kernel runs."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        if not packable(model):
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        pairs = []
        for ids, labels in rows_of(inputs):
            learned = int((labels != -100).int().argmax())
            pairs.append((ids[:learned].tolist(), ids[learned:].tolist()))
        with self.accelerator.autocast():
            logprobs, _ = completion_logprobs(model, pairs)
        tokens = sum(len(completion) for _, completion in pairs)
        loss = -logprobs.sum() / (tokens if num_items_in_batch is None else num_items_in_batch)
        return (loss, None) if return_outputs else loss


def rows_of(inputs: dict[str, Any]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Tokens and labels of each row of a batch, whether padded or laid end to end."""
    if "attention_mask" in inputs:
        for ids, mask, labels in zip(
            inputs["input_ids"], inputs["attention_mask"].bool(), inputs["labels"], strict=True
        ):
            yield ids[mask], labels[mask]
        return
    ids, labels = inputs["input_ids"][0], inputs["labels"][0]
    starts = (inputs["position_ids"][0] == 0).nonzero()[:, 0].tolist()
    for start, end in pairwise([*starts, len(ids)]):
        yield ids[start:end], labels[start:end]


def make_trainer(job: Job) -> PackedSFTTrainer:
    tokenizer = AutoTokenizer.from_pretrained(job.model)
    packing = bool(job.optim.get("packing"))
    # rows end to end need attention that knows where each begins; on the CPU `packed` does
    attention = {"attn_implementation": "flash_attention_2"} if packing and torch.cuda.is_available() else {}
    model = AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32, **attention)
    rows = Dataset.from_list(
        [
            {
                "input_ids": row["prompt_ids"] + row["completion_ids"],
                "labels": [-100] * len(row["prompt_ids"]) + row["completion_ids"],
            }
            for row in read_rows(str(job.data))
        ]
    )
    if packing:
        rows = pack_dataset(rows, job.optim["max_length"], strategy="bfd")
    return PackedSFTTrainer(
        model=model,
        args=SFTConfig(**settings(job)),
        train_dataset=rows,
        processing_class=tokenizer,
        peft_config=adapters(job),
        callbacks=[Recorder(Path(job.output), recipe=job.recipe)],
    )


def settings(job: Job) -> dict[str, Any]:
    """The job as arguments of TRL's SFTConfig."""
    micro, steps = accumulation(job.optim["batch_size"], job.optim["micro_batch"])
    return {
        **common(job),
        "num_train_epochs": job.optim["epochs"],
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": steps,
        "max_length": None,  # rows that are too long were dropped, by name, before
        "padding_free": bool(job.optim.get("packing")),
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "shuffle_dataset": True,
    }
