"""Rows as tokens: exactly those of generation, with the end of text, and what is too long dropped by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.ledger import DROPPED, KEPT, fates, run_step
from r1data.sample import ask
from r1data.table import Table
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows
from r1train.run import Model, RunFolder

if TYPE_CHECKING:
    import polars as pl


def fit(run: RunFolder, folder: Path, model: Model, rows: Sequence[Path], *, max_length: int) -> Path:
    """Tokenised rows `{"uid", "prompt_ids", "completion_ids"}`.

    The prompt is the chat template up to where the model begins; the completion is the response and the
    end-of-text token. A row of more than `max_length` tokens is dropped as `too_long`, never cut: a response
    without its end teaches the model not to stop.
    """

    def decide(table: Table) -> pl.DataFrame:
        tokenizer = load_tokenizer(model.path)
        encoded = [
            {"uid": row["uid"], **encode(tokenizer, ask(row, run.template), row["text"])}
            for row in read_rows(table.path)
        ]
        lengths = [len(row["prompt_ids"]) + len(row["completion_ids"]) for row in encoded]
        fitting = [row for row, length in zip(encoded, lengths, strict=True) if length <= max_length]
        if not fitting:
            raise UserError(f"{folder}: no row fits into {max_length} tokens; raise optim.max_length")
        write_rows(table.work / "tokens.jsonl", fitting)
        return fates(
            table,
            fate=[KEPT if length <= max_length else DROPPED for length in lengths],
            rule=[None if length <= max_length else "too_long" for length in lengths],
            value=[float(length) for length in lengths],
            threshold=[float(max_length)] * len(lengths),
        )

    config = {"model": model.key, "max_length": max_length, "template": run.template.name}
    run_step("fit", list(rows), folder, decide, config=config)
    return folder / "tokens.jsonl"


def load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def encode(tokenizer: Any, conversation: Sequence[Any], text: str) -> dict[str, list[int]]:
    """The tokens of a prompt as generation sees it, and of its completion with the end of text."""
    prompt = tokenizer.apply_chat_template(list(conversation), add_generation_prompt=True, return_dict=False)
    completion = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return {"prompt_ids": list(prompt), "completion_ids": [*completion, tokenizer.eos_token_id]}
