"""Our tokenised rows as a data set of verl's SFT trainer, in verl's own environment.

verl would apply the chat template to each turn apart. Ours are the tokens of generation, with the end of
text, so that SFT on verl trains on what SFT on TRL trains on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import Dataset

from r1rewards.core.store import read_rows


class TokenRows(Dataset[dict[str, torch.Tensor]]):
    """`{"prompt_ids", "completion_ids"}` of Parquet files, with the loss on the completion only."""

    def __init__(
        self, parquet_files: Any, tokenizer: Any, config: Any, processor: Any = None, max_samples: int = -1
    ) -> None:
        files = [parquet_files] if isinstance(parquet_files, str) else list(parquet_files)
        self._rows = [
            (list(row["prompt_ids"]), list(row["completion_ids"]))
            for file in files
            for row in read_rows(file)
        ]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        prompt, completion = self._rows[index]
        return {
            "input_ids": torch.tensor(prompt + completion),
            "position_ids": torch.arange(len(prompt) + len(completion)),
            "loss_mask": torch.tensor([0] * len(prompt) + [1] * len(completion)),
        }
