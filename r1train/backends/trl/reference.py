"""The reference model: made equal to the policy, kept beside a checkpoint, and read back on resume.

TRL builds its reference from the start model, also on resume. Weights that are sharded over processes
(DeepSpeed's ZeRO-3, FSDP) are copied, saved and read shard by shard: policy and reference are cut alike, and
a checkpoint of shards is resumed by as many processes as wrote it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file


def shards(model: Any) -> dict[str, torch.Tensor]:
    """What this process holds of each parameter; writing into it writes into the model."""
    held = {}
    for name, value in model.named_parameters():
        if hasattr(value, "ds_tensor"):  # ZeRO-3 leaves an empty parameter, and its part beside it
            held[name] = value.ds_tensor
        else:
            held[name] = value.to_local() if hasattr(value, "to_local") else value.data
    return held


def copy(source: Any, target: Any) -> None:
    """Give `target` the weights of `source`."""
    ours = shards(source)
    with torch.no_grad():
        for name, value in shards(target).items():
            value.copy_(ours[name])


def save(model: Any, folder: Path, *, rank: int, sharded: bool) -> None:
    if sharded or rank == 0:
        weights = {name: value.detach().contiguous() for name, value in shards(model).items()}
        save_file(weights, _file(folder, rank, sharded))


def restore(model: Any, folder: Path, *, rank: int, sharded: bool) -> None:
    saved = load_file(_file(folder, rank, sharded))
    with torch.no_grad():
        for name, value in shards(model).items():
            value.copy_(saved[name])


def _file(folder: Path, rank: int, sharded: bool) -> Path:
    return folder / (f"reference-{rank:05d}.safetensors" if sharded else "reference.safetensors")
