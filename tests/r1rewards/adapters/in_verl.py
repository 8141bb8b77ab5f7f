"""What verl itself makes of r1rewards' adapter: its configuration, its Ray workers, its dump of rollouts.

    .backends/verl/bin/python tests/r1rewards/adapters/in_verl.py SPEC FOLDER

Prints one JSON object. It runs in verl's environment, on the CPU, without its trainers of weights.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from omegaconf import OmegaConf
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from verl import DataProto
from verl.experimental.reward_loop.reward_loop import RewardLoopManager
from verl.trainer.ppo.metric_utils import process_validation_metrics
from verl.trainer.ppo.ray_trainer import RayPPOTrainer

LETTERS = "abcdefghijklmnopqrstuvwxyz 0123456789<>/?"
PROMPT = "two and two?"
RESPONSES = [
    "<think>sum</think><answer>4</answer>",
    "<think>sum</think><answer>5</answer>",
    "it is 4",
    "fail",
]


def tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<eos>", "<unk>", *LETTERS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    from tokenizers import decoders

    inner.decoder = decoders.Fuse()
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    made.save_pretrained(folder)
    return made


def batch(tokens: PreTrainedTokenizerFast) -> DataProto:
    """The responses as rollouts: prompts padded on the left, responses on the right, closed by <eos>."""
    width = max(map(len, RESPONSES)) + 1
    ids = [[*tokens.encode(text), tokens.eos_token_id] for text in RESPONSES]
    responses = torch.tensor([row + [tokens.pad_token_id] * (width - len(row)) for row in ids])
    seen = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
    prompt = torch.tensor([tokens.encode(PROMPT)] * len(ids))
    count = len(ids)
    return DataProto.from_dict(
        tensors={
            "prompts": prompt,
            "responses": responses,
            "attention_mask": torch.cat([torch.ones_like(prompt), seen], dim=1),
        },
        non_tensors={
            "data_source": np.array(["sums"] * count, dtype=object),
            "reward_model": np.array([{"ground_truth": "4"}] * count, dtype=object),
            "extra_info": np.array([{"index": i, "question": PROMPT} for i in range(count)], dtype=object),
        },
    )


def main(spec: str, folder: Path) -> dict[str, Any]:
    tokens = tokenizer(folder / "tokenizer")
    custom = {
        "path": "pkg://r1rewards.adapters.verl",
        "name": "compute_score",
        "reward_kwargs": {"spec": spec, "tasks": {"sums": "math"}},
    }
    config = OmegaConf.create(
        {
            "actor_rollout_ref": {"model": {"tokenizer_path": str(folder / "tokenizer"), "path": None}},
            "reward": {
                "num_workers": 2,
                "custom_reward_function": custom,
                "reward_manager": {"source": "register", "name": "naive"},
                "reward_model": {"enable": False, "enable_resource_pool": False},
                "sandbox_fusion": None,
            },
        }
    )
    data = batch(tokens)
    try:
        scored = RewardLoopManager(config).compute_rm_score(data)
    except ray.exceptions.RayTaskError as error:
        return {"stopped": str(error.cause)}
    rewards = scored.batch["rm_scores"]
    extra = {name: scored.non_tensor_batch[name].tolist() for name in scored.meta_info["reward_extra_keys"]}
    totals = rewards.sum(-1).tolist()
    RayPPOTrainer._write_generations(
        [PROMPT] * len(totals), RESPONSES, ["4"] * len(totals), totals, extra, str(folder / "dumps"), 10
    )
    metrics = process_validation_metrics(["sums"] * len(totals), ["one"] * len(totals), extra)
    return {
        "totals": totals,
        "last": rewards.ne(0).sum(-1).tolist(),
        "extra": extra,
        "metrics": metrics["sums"],
    }


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    sys.stdout.write(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
