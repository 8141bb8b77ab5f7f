"""Stage 0: problems from sources, and the held-out ones that nothing is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1data.decontaminate import Benchmark, decontaminate
from r1data.dedup import dedup
from r1data.sources import load_source
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows
from r1train.recipe import DataStage
from r1train.run import RunFolder, seed_of


def run_data(run: RunFolder, folder: Path, stage: DataStage) -> None:
    """Leave `heldout.parquet` and `train.parquet`, disjoint: duplicates and overlaps go, each with a ledger.

    Each source gives its held-out problems first; a training problem that repeats one of them, or shares too
    many n-grams with one, is dropped by the decontamination step and named in its ledger.
    """
    config = stage.model_dump(mode="json") | {"seed": run.recipe.seed}
    with run.step(folder / "problems", config) as step:
        if step is not None:
            run.warm_up()
            with run.progress.bar("make problems") as bar:
                heldout, train = _problems(run, stage, bar)
            if not train:
                raise UserError("0-data: the sources give no training problem; raise one of their `train`")
            counts = {
                "heldout": write_rows(step.path / "heldout.parquet", heldout),
                "train": write_rows(step.path / "train.parquet", train),
            }
            step.finish(counts)
    made = folder / "problems"
    dedup(made / "train.parquet", folder / "dedup", by="problem", near=False)
    settings = stage.decontaminate
    heldout_file = made / "heldout.parquet"
    decontaminate(
        folder / "dedup" / "kept.parquet",
        folder / "decontaminate",
        against=[Benchmark(name="heldout", path=heldout_file, question="prompt")],
        n=settings.ngram,
        coverage=settings.coverage,
    )
    train = list(read_rows(folder / "decontaminate" / "kept.parquet"))
    if not train:
        raise UserError(f"{folder}: no training problem is left after decontamination; see its ledger")
    write_rows(folder / "train.parquet", train)
    write_rows(folder / "heldout.parquet", read_rows(heldout_file))


def _problems(run: RunFolder, stage: DataStage, bar: Any) -> tuple[list[Any], list[Any]]:
    heldout: list[Any] = []
    train: list[Any] = []
    for done, source in enumerate(stage.sources):
        bar(done, len(stage.sources), source.name)
        wanted = source.heldout + source.train
        seed = seed_of(run.recipe.seed, source.name)
        rows = load_source(source.source, count=wanted, seed=seed, **source.options)
        if len(rows) < wanted:
            raise UserError(
                f"0-data: the source {source.name!r} has {len(rows)} problems, and {wanted} are wanted; "
                "lower its train or heldout"
            )
        heldout += rows[: source.heldout]
        train += rows[source.heldout :]
    return heldout, train
