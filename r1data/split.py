"""Split rows into training and held-out parts that share no question.

Rows with the same normalized question (`r1data.words.question_key`) go the same way. Within each domain the
questions are taken in the order of their hash with the seed, so the split depends on nothing but the
questions. Near-equal questions are `decontaminate`'s: run it on the training part against the held-out one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.ledger import Rows, Table, fates, run_step
from r1data.words import question_key
from r1rewards.core.errors import UserError
from r1rewards.core.rows import question_of

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
    import xxhash

    keys = []
    for batch in table.batches("prompt"):
        for prompt in batch.column("prompt").to_pylist():
            key = question_key(question_of(prompt)).encode("utf-8", "replace")
            keys.append(xxhash.xxh3_64_intdigest(key, seed))
    rows = table.keys.select("domain").with_columns(key=pl.Series(keys, dtype=pl.UInt64))
    # a question that two domains ask belongs to the one that is first by name
    questions = rows.group_by("key").agg(pl.col("domain").min())
    place = pl.col("key").rank("ordinal").over("domain")
    size = pl.len().over("domain")
    wanted = (size * heldout).ceil() if heldout < 1 else pl.min_horizontal(pl.lit(heldout), size)
    questions = questions.with_columns(out=place <= wanted)
    held = set(questions.filter("out")["key"].to_list())
    return fates(table, fate=[HELD_OUT if key in held else TRAIN for key in keys])
