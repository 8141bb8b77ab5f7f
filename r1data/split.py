"""Split rows into training and held-out parts that share no question.

Rows with the same normalized question (`r1data.words.question_key`) go the same way, and so do rows with the
same `meta.key`, by which a source says that two problems are one in other words. Within each domain the
questions are taken in the order of their hash with the seed, so the split depends on nothing but the rows.
Near-equal questions are `decontaminate`'s: run it on the training part against the held-out one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.flat import uid_hash
from r1data.ledger import fates, run_step
from r1data.table import Rows, Table
from r1data.words import question_key
from r1rewards.core.errors import UserError
from r1rewards.core.rows import derived_name, question_of
from r1rewards.core.store import read_rows

if TYPE_CHECKING:
    import polars as pl

TRAIN, HELD_OUT = "train", "heldout"


def split(
    rows: Rows, out: str | Path, *, heldout: float | int = 0.1, seed: int = 0, **reading: Any
) -> dict[str, Any]:
    """Write `train.parquet` and `heldout.parquet` into the folder `out` and return the counts.

    heldout   below 1 the share of each domain's questions that is held out, from 1 on their number
    reading   `columns` and `defaults`, as `run_step` takes them
    """
    if heldout <= 0:
        raise UserError(f"heldout is {heldout}; give a share such as 0.1 or a number of questions per domain")
    config = {"heldout": heldout, "seed": seed}
    return run_step("split", rows, out, lambda table: _decide(table, heldout, seed), config=config, **reading)


def _decide(table: Table, heldout: float | int, seed: int) -> pl.DataFrame:
    import polars as pl

    rows = table.keys.select("domain").with_columns(question=pl.Series(_questions(table)))
    # a question that two domains ask counts for the one that is first by name
    questions = rows.group_by("question").agg(pl.col("domain").min())
    hashes = [uid_hash(question, seed) for question in questions["question"]]
    questions = questions.with_columns(hash=pl.Series(hashes, dtype=pl.UInt64))
    size = pl.len().over("domain")
    wanted = (size * heldout).ceil() if heldout < 1 else pl.min_horizontal(pl.lit(heldout), size)
    held = set(questions.filter(pl.col("hash").rank("ordinal").over("domain") <= wanted)["question"])
    return fates(table, fate=[HELD_OUT if question in held else TRAIN for question in rows["question"]])


def _questions(table: Table) -> list[str]:
    """One name per row, equal for rows that must stay together."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while (above := parent.setdefault(name, name)) != name:
            parent[name] = parent[above]
            name = above
        return name

    keys = []
    for row in read_rows(table.path):
        question = derived_name("question", question_key(question_of(row["prompt"])))
        keys.append(question)
        if (row.get("meta") or {}).get("key"):
            low, high = sorted((root(question), root(derived_name("key", str(row["meta"]["key"])))))
            parent[high] = low
    return [root(question) for question in keys]
