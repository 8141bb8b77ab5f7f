"""Reward models: pairwise with TRL's RewardTrainer (helpfulness), point-wise safe/unsafe (harmlessness).

Both put one scalar head on a causal model and read what `r1rewards.reward_model.encode` lays out, as scoring
will. DeepSeek-R1 (arXiv 2501.12948) trains the second with a point-wise loss, which TRL does not have: it is
binary cross-entropy on the same trainer of transformers that TRL's own is built on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)
from transformers.modeling_outputs import SequenceClassifierOutput
from trl import RewardConfig, RewardTrainer

from r1rewards.core.formats import dump_json
from r1rewards.core.store import read_rows, replacing
from r1rewards.reward_model import encode
from r1train.backends.trl.arguments import accumulation, common
from r1train.backends.trl.checkpoints import Recorder
from r1train.backends.trl.packed import packable, sequence_logits
from r1train.job import Job


def pack(model: Any) -> None:
    """Let the model compute its logits without padding and without computing a shared prompt twice."""
    if not packable(model):
        return

    def forward(input_ids: Any, attention_mask: Any, **_: Any) -> SequenceClassifierOutput:
        rows = [ids[mask].tolist() for ids, mask in zip(input_ids, attention_mask.bool(), strict=True)]
        return SequenceClassifierOutput(logits=sequence_logits(model, rows))

    model.forward = forward


class PointwiseTrainer(Trainer):  # type: ignore[misc]
    """Binary cross-entropy between the head's logit and the label 1 (safe) or 0 (unsafe)."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        labels = inputs.pop("labels").float()
        logits = model(**inputs).logits[:, 0].float()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        loss = loss / (len(labels) if num_items_in_batch is None else num_items_in_batch)
        return (loss, logits) if return_outputs else loss


def make_trainer(job: Job) -> Trainer:
    tokenizer = AutoTokenizer.from_pretrained(job.model)
    model = AutoModelForSequenceClassification.from_pretrained(job.model, num_labels=1, dtype=torch.float32)
    model.config.pad_token_id = tokenizer.pad_token_id
    torch.manual_seed(job.seed)
    torch.nn.init.zeros_(model.score.weight)  # every response starts equal, whatever the seed
    pack(model)
    rows = list(read_rows(str(job.data)))
    cuts: list[int] = []

    def ids(prompt: Any, text: str) -> list[int]:
        tokens, cut = encode(tokenizer, prompt, text, job.optim["max_length"])
        cuts.append(cut)
        return tokens

    shared = {
        "model": model,
        "processing_class": tokenizer,
        "callbacks": [Recorder(Path(job.output), recipe=job.recipe)],
    }
    if job.kind == "pairs":
        data = [
            {
                "chosen_ids": ids(row["prompt"], row["chosen"]),
                "rejected_ids": ids(row["prompt"], row["rejected"]),
            }
            for row in rows
        ]
        _tell(cuts, job)
        config = RewardConfig(**settings(job), max_length=None, disable_dropout=True)
        return RewardTrainer(args=config, train_dataset=Dataset.from_list(data), **shared)
    labelled: list[dict[str, Any]] = [
        {"input_ids": ids(row["prompt"], row["text"]), "labels": int(row["label"])} for row in rows
    ]
    _tell(cuts, job)
    return PointwiseTrainer(
        args=TrainingArguments(**settings(job), remove_unused_columns=False),
        train_dataset=Dataset.from_list(labelled),
        data_collator=DataCollatorWithPadding(tokenizer),
        **shared,
    )


def settings(job: Job) -> dict[str, Any]:
    """The job as the arguments that both kinds of trainer share."""
    micro, steps = accumulation(job.optim["batch_size"], job.optim["micro_batch"])
    return {
        **common(job),
        "num_train_epochs": job.optim["epochs"],
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": steps,
    }


def _tell(cuts: list[int], job: Job) -> None:
    """Leave in `texts.json` how many texts were longer than the model is shown."""
    counts = {"texts": len(cuts), "cut": sum(cut > 0 for cut in cuts), "tokens_cut": sum(cuts)}
    with replacing(Path(job.output) / "texts.json") as part:
        part.write_bytes(dump_json(counts))
