"""The recipe's settings as the arguments that every trainer of this backend shares."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from r1train.job import Job


def common(job: Job) -> dict[str, Any]:
    """What TRL's GRPO, SFT and reward configurations have in common, from the job's `optim` and `run`."""
    optim = job.optim
    gpu = torch.cuda.is_available()
    falls = optim["final_ratio"] < 1
    return {
        "output_dir": str(Path(job.output) / "checkpoints"),
        "learning_rate": optim["learning_rate"],
        "lr_scheduler_type": "cosine_with_min_lr" if falls else "constant_with_warmup",
        "lr_scheduler_kwargs": {"min_lr_rate": optim["final_ratio"]} if falls else {},
        "warmup_steps": optim["warmup_steps"],
        "weight_decay": optim["weight_decay"],
        "max_grad_norm": optim["max_grad_norm"],
        "bf16": autocast(job),
        "use_cpu": not gpu,
        "gradient_checkpointing": gpu,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a loss that is no number is to be seen, not smoothed away
        "save_strategy": "steps",
        "save_steps": job.save_steps,
        "save_total_limit": 2,
        "seed": job.seed,
        "data_seed": job.seed,
        "report_to": list(job.trackers) or "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": gpu,
        **job.native.get("args", {}),
    }


def autocast(job: Job) -> bool:
    """Whether to compute in bfloat16 over float32 weights: as said, or where the processor has bfloat16."""
    if job.optim["precision"] != "auto":
        return bool(job.optim["precision"] == "bf16")
    return has_bfloat16()


def has_bfloat16() -> bool:
    """Whether this machine computes in bfloat16 by itself."""
    return bool(torch.cuda.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported())


def processes() -> int:
    """How many processes share this job; accelerate says it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def accumulation(batch: int, micro_batch: int) -> tuple[int, int]:
    """(micro batch, micro batches a step) of each process, which over all of them make up `batch`."""
    share = batch // processes()
    micro = next(size for size in range(min(share, micro_batch), 0, -1) if share % size == 0)
    return micro, share // micro


def adapters(job: Job) -> Any:
    """The recipe's LoRA as TRL's trainers take it; None where all weights are trained."""
    lora = job.optim.get("lora")
    if lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=lora["targets"],
        task_type="CAUSAL_LM",
    )
