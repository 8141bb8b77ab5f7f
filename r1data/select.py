"""Choose among samples and among problems by what the samples showed.

`select_responses` is rejection sampling (DeepSeek-R1, stage 3): of the responses of a problem that got this
far, at most `k`, different ones. `select_problems` chooses prompts for reinforcement learning by pass rate: a
problem that is always or never solved teaches nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from r1data import words
from r1data.flat import uid_hash, unflatten
from r1data.ledger import DROPPED, KEPT, fates, run_step
from r1data.minhash import ShingleSets
from r1data.table import Rows, Table
from r1rewards.core.errors import UserError
from r1rewards.core.rows import CHECKED_TASKS
from r1rewards.core.store import numbered_rows, read_rows, write_rows

if TYPE_CHECKING:
    import polars as pl

Rates = Mapping[str, tuple[int, int]]


def select_responses(
    rows: Rows,
    out: str | Path,
    *,
    k: int = 4,
    similarity: float = 0.9,
    seed: int = 0,
    problems: str | Path | None = None,
    **reading: Any,
) -> dict[str, Any]:
    """Keep at most `k` responses of each problem in the folder `out` and return the counts.

    The first is the one with the best `reward` (where there is one), ties by the hash of its uid with the
    seed. Each next one is the least similar to those chosen; one that is more similar to a chosen one than
    `similarity` (Jaccard over runs of five words) is dropped as `too_similar`, the others as `enough`.

    problems  the file of problems that were sampled: those of which fewer than `k` responses stay are written
              to `resample.parquet` in the folder, to be sampled again
    reading   `columns` and `defaults`, as `run_step` takes them
    """
    if k < 1:
        raise UserError(f"k is {k}; keep at least one response of each problem")

    def decide(table: Table) -> pl.DataFrame:
        return _responses(table, k, similarity, seed)

    def finish(_: Table, ledger: pl.DataFrame, folder: Path) -> None:
        if problems is not None:
            kept = Counter(ledger.filter(fate=KEPT)["id"])
            few = (unflatten(row) for row in read_rows(problems) if kept[str(row["id"])] < k)
            write_rows(folder / "resample.parquet", few)

    config = {"k": k, "similarity": similarity, "seed": seed}
    inputs = [] if problems is None else [problems]
    return run_step(
        "select-responses", rows, out, decide, config=config, inputs=inputs, finish=finish, **reading
    )


def select_problems(
    rows: Rows,
    out: str | Path,
    *,
    rates: Rates,
    lowest: float = 0.1,
    highest: float = 0.9,
    **reading: Any,
) -> dict[str, Any]:
    """Keep the problems with a pass rate (see `pass_rates`) from `lowest` to `highest`; returns the counts.

    The fates of the others: `never_solved` (sample those again), `always_solved`, `too_hard`, `too_easy`, and
    `no_pass_rate` where there is no response, or none that could be graded.
    """
    if not 0 <= lowest <= highest <= 1:
        raise UserError(
            f"pass rates lie between 0 and 1, the lowest first, which {lowest} and {highest} do not"
        )

    def decide(table: Table) -> pl.DataFrame:
        return _problems(table, rates, lowest, highest)

    config = {"lowest": lowest, "highest": highest, "rates": sorted(rates.items())}
    return run_step("select-problems", rows, out, decide, config=config, **reading)


def pass_rates(files: Iterable[str | Path]) -> dict[str, tuple[int, int]]:
    """How many responses to each problem were right, and how many could be graded, by problem id.

    Each file holds scored responses (`rewards`, as `r1rewards score` writes them) or the signals of
    `r1data curate` (`correct`). A response that no accuracy reward could grade counts in neither number.
    """
    right: Counter[str] = Counter()
    graded: Counter[str] = Counter()
    for file in files:
        for where, row in numbered_rows(file):
            name = row.get("problem_id") or row.get("id")
            if name is None or ("correct" not in row and "rewards" not in row):
                raise UserError(f"{where}: a pass rate needs the problem's id and `rewards` or `correct`")
            rewards = {"correct": row["correct"]} if "correct" in row else row["rewards"]
            known = [
                rewards[reward] for reward in ("correct", *CHECKED_TASKS) if rewards.get(reward) is not None
            ]
            if known:
                graded[str(name)] += 1
                right[str(name)] += min(known) >= 1
    return {name: (right[name], total) for name, total in graded.items()}


def histogram(rates: Rates, bins: int = 10) -> list[tuple[str, int]]:
    """How many problems have a pass rate of 0, of 1, and within each of the equal intervals between."""
    counts = [0] * bins
    ends = [0, 0]
    for right, graded in rates.values():
        if right in (0, graded):
            ends[right > 0] += 1
        else:
            counts[right * bins // graded] += 1
    middle = [(f"{i / bins:.1f} to {(i + 1) / bins:.1f}", n) for i, n in enumerate(counts)]
    return [("0", ends[0]), *middle, ("1", ends[1])]


@dataclass(frozen=True, slots=True)
class _Responses:
    """The responses of a table, as `ShingleSets` reads them."""

    table: Table

    def __len__(self) -> int:
        return self.table.keys.height

    def __iter__(self) -> Iterator[Sequence[str]]:
        for batch in self.table.batches("text"):
            yield from words.batches(batch.column("text").to_pylist())


def _responses(table: Table, k: int, similarity: float, seed: int) -> pl.DataFrame:
    import polars as pl

    if "text" not in table.columns:
        raise UserError("there are no responses in these rows; give the file that curate kept")
    groups = _groups(table, seed)
    size = table.keys.height
    wanted = np.zeros(size, np.bool_)
    wanted[[row for group in groups if len(group) > 1 for row in group]] = True
    sets = ShingleSets(_Responses(table), wanted, table.work / "shingles.bin")
    uids = table.keys["uid"]
    frame: dict[str, list[Any]] = {
        "fate": [DROPPED] * size,
        "rule": ["enough"] * size,
        "value": [None] * size,
        "threshold": [float(k)] * size,
        "match": [None] * size,
    }
    for group in groups:
        nearest = dict.fromkeys(group, (0.0, -1))
        chosen = 0
        while nearest and chosen < k:
            row = min(nearest, key=lambda one: nearest[one][0])  # the first of equals: best reward, then hash
            frame["fate"][row], frame["rule"][row], frame["threshold"][row] = KEPT, None, None
            del nearest[row]
            chosen += 1
            for other in list(nearest):
                nearest[other] = max(nearest[other], (sets.similarity(row, other), row))
                close, like = nearest[other]
                if close > similarity:
                    frame["rule"][other], frame["value"][other] = "too_similar", close
                    frame["threshold"][other], frame["match"][other] = similarity, uids[like]
                    del nearest[other]
    sets.close()
    return fates(table, **{name: pl.Series(values, strict=False) for name, values in frame.items()})


def _groups(table: Table, seed: int) -> list[list[int]]:
    """The rows of each problem, in the order of preference."""
    import polars as pl

    hashes = [uid_hash(uid, seed) for uid in table.keys["uid"]]
    keys = table.keys.with_columns(hash=pl.Series(hashes, dtype=pl.UInt64), reward=pl.lit(0.0))
    if "reward" in table.columns:
        keys = keys.with_columns(pl.read_parquet(table.path, columns=["reward"])["reward"].cast(pl.Float64))
    keys = keys.filter(~pl.col("repeated")).sort("reward", "hash", descending=[True, False], nulls_last=True)
    groups: list[list[int]] = keys.group_by("id", maintain_order=True).agg("index")["index"].to_list()
    return groups


def _problems(table: Table, rates: Rates, lowest: float, highest: float) -> pl.DataFrame:
    rule: list[str | None] = []
    value: list[float | None] = []
    for name in table.keys["id"]:
        right, graded = rates.get(name, (0, 0))
        rate = right / graded if graded else None
        value.append(rate)
        if rate is None:
            rule.append("no_pass_rate")
        elif rate < lowest:
            rule.append("too_hard" if right else "never_solved")
        elif rate > highest:
            rule.append("too_easy" if right < graded else "always_solved")
        else:
            rule.append(None)
    return fates(
        table,
        fate=[KEPT if broken is None else DROPPED for broken in rule],
        rule=rule,
        value=value,
        threshold=[
            highest if broken in ("too_easy", "always_solved") else lowest if broken else None
            for broken in rule
        ],
    )
