"""The peers of bench/curation.py that need an environment of their own.

    make bench-env
    .bench-env/bin/python bench/curation_peers.py datatrove ROWS.jsonl FOLDER

ROWS has the columns `id` (the row's number) and `text`; FOLDER is for what the peer writes. Prints one JSON
object: `seconds`, the processor time of the whole job, with its child processes and without its imports, and
`groups`, for each row the number of its group. datatrove and text-dedup find near-duplicates by runs of five
words and 24 bands of 5 hashes, as `r1data.minhash` does, and neither verifies its candidates;
datatrove-filters are its filters of Gopher and FineWeb, which come nearest to our signals (group 1: dropped).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

BANDS, BAND_ROWS, SHINGLE, THRESHOLD = 24, 5, 5, 0.7

#: A job, after its imports; when it has run, the groups can be asked for.
Job = tuple[Callable[[], object], Callable[[], list[int]]]


def datatrove(rows: Path, folder: Path) -> Job:
    from datatrove.executor.local import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers.jsonl import JsonlWriter

    config = MinhashConfig(n_grams=SHINGLE, num_buckets=BANDS, hashes_per_bucket=BAND_ROWS)
    signatures, buckets, removed, kept = (
        str(folder / name) for name in ("signatures", "buckets", "removed", "kept")
    )

    def reader() -> JsonlReader:
        return JsonlReader(str(rows.parent), glob_pattern=rows.name)

    stages = [
        [reader(), MinhashDedupSignature(output_folder=signatures, config=config)],
        [MinhashDedupBuckets(input_folder=signatures, output_folder=buckets, config=config)],
        [
            MinhashDedupCluster(
                input_folder=buckets,
                output_folder=removed,
                config=config,
                save_cluster_id=True,
                ignore_index_matches=False,
            )
        ],
        [
            reader(),
            MinhashDedupFilter(
                input_folder=removed,
                exclusion_writer=JsonlWriter(str(folder / "gone"), compression=None),
                load_cluster_ids=True,
            ),
            JsonlWriter(kept, compression=None),
        ],
    ]

    def run() -> None:
        for number, stage in enumerate(stages):
            LocalPipelineExecutor(pipeline=stage, tasks=1, logging_dir=str(folder / f"logs-{number}")).run()

    def groups() -> list[int]:
        lines = [
            json.loads(line)
            for name in ("kept", "gone")
            for file in (folder / name).rglob("*.jsonl")
            for line in file.read_text().splitlines()
        ]
        lone = len(lines)  # a group of its own for each row without one
        found = {
            int(line["id"]): (line.get("metadata") or {}).get("minhash_cluster_id", -1) for line in lines
        }
        return [found[at] if found[at] >= 0 else lone + at for at in range(lone)]

    return run, groups


def datatrove_filters(rows: Path, folder: Path) -> Job:
    from datatrove.executor.local import LocalPipelineExecutor
    from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers.jsonl import JsonlWriter

    kept = folder / "kept"
    pipeline = [
        JsonlReader(str(rows.parent), glob_pattern=rows.name),
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        FineWebQualityFilter(),
        JsonlWriter(str(kept), compression=None),
    ]

    def run() -> None:
        LocalPipelineExecutor(pipeline=pipeline, tasks=1, logging_dir=str(folder / "logs")).run()

    def groups() -> list[int]:
        lines = [line for file in kept.rglob("*.jsonl") for line in file.read_text().splitlines()]
        here = {int(json.loads(line)["id"]) for line in lines}
        return [int(at not in here) for at in range(sum(1 for _ in rows.open()))]

    return run, groups


def text_dedup(rows: Path, folder: Path) -> Job:
    from text_dedup import minhash

    options = {
        "path": "json",
        "data_files": str(rows),
        "split": "train",
        "cache_dir": str(folder / "cache"),
        "output": str(folder / "out"),
        "column": "text",
        "ngram": SHINGLE,
        "min_length": 1,
        "num_perm": BANDS * BAND_ROWS,
        "threshold": THRESHOLD,
        "b": BANDS,
        "r": BAND_ROWS,
        "num_proc": 1,
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]

    def run() -> None:
        minhash.main(arguments, standalone_mode=False)

    def groups() -> list[int]:
        return [minhash.uf.find(at) for at in range(sum(1 for _ in rows.open()))]

    return run, groups


def _seconds() -> float:
    return sum(os.times()[:4])


def main() -> None:
    name, rows, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    jobs = {"datatrove": datatrove, "datatrove-filters": datatrove_filters, "text-dedup": text_dedup}
    run, groups = jobs[name](rows, folder)
    said, sys.stdout = sys.stdout, sys.stderr  # what they say of themselves is not for the reader
    began = _seconds()
    run()
    seconds = _seconds() - began
    json.dump({"seconds": seconds, "groups": groups()}, said)


if __name__ == "__main__":
    main()
