"""What the reward engine costs beside the rewards, and a million rows from Parquet to Parquet.

    python bench/engine.py                     both tables
    python bench/engine.py --rows 100000       a smaller file

The first table is processor time per row on one core, median of repeated runs, for rows of short arithmetic:
a plain loop that calls the checks themselves, the engine with rewards that cost nothing (so all of it is the
engine's own), the engine with real ones, and reading and writing the file. The second is the command
`r1rewards score` with `recipes/specs/zero.yaml`, as a user runs it, with the memory of all its processes
(shared pages counted once).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from r1rewards import format as layout
from r1rewards import math
from r1rewards.component import Component
from r1rewards.core.console import print_table
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.store import read_rows, write_rows
from r1rewards.core.template import get_template
from r1rewards.core.verdict import Verdict
from r1rewards.spec import Spec, load_spec

ROOT = Path(__file__).parents[1]
SPEC = ROOT / "recipes" / "specs" / "zero.yaml"
SAMPLE = 20_000
REPEATS = 5


class Nothing(Reward):
    """A reward that costs nothing, so that what is left is the engine."""

    def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
        return [_VERDICT] * len(samples)


_VERDICT = Verdict.of(1.0, "free", "free")


def row(n: int) -> dict[str, Any]:
    """A sum, its working and its answer; one in four is wrong. No two rows are alike."""
    a, b = n, 7 * n % 1000
    said = a + b + (n % 4 == 0)
    return {
        "id": f"sum-{n}",
        "task": "math",
        "prompt": f"What is {a} + {b}?",
        "reference": str(a + b),
        "response": f"<think>\nAdding {b} to {a} gives {said}.\n</think>\n<answer>{said}</answer>",
    }


def per_row(work: Callable[[], object], rows: int) -> float:
    """Microseconds of processor time for each row, the median of `REPEATS` runs."""
    times = []
    for _ in range(REPEATS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times) / rows * 1e6


def overhead() -> None:
    rows = [row(n) for n in range(SAMPLE)]
    template = get_template("think-answer")
    free = Spec([Component(name, Nothing()) for name in ("a", "b", "c")], template)
    real = load_spec({"rewards": {"math": {"options": {"policy": "strict"}}, "format": {}}})

    def loop() -> None:
        for each in rows:
            math.check(each["response"], each["reference"], policy="strict", template=template)
            layout.check(each["response"], template)

    with tempfile.TemporaryDirectory() as folder, free, real:
        file, scored = Path(folder) / "rows.parquet", Path(folder) / "scored.parquet"
        write_rows(file, rows)

        def through_files() -> None:
            given = list(read_rows(file))
            write_rows(scored, (s.to_row(r) for r, s in zip(given, free.score(given), strict=True)))

        measured = [
            ("a loop over math.check and format.check", per_row(loop, SAMPLE)),
            ("the engine, math and format", per_row(lambda: list(real.score(rows)), SAMPLE)),
            ("the engine alone", per_row(lambda: list(free.score(rows)), SAMPLE)),
            ("the engine alone, Parquet to Parquet", per_row(through_files, SAMPLE)),
        ]
    base = measured[0][1]
    print_table(["what", "us a row", "of the loop"], [[w, round(us, 1), us / base] for w, us in measured])


def million(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, scored = Path(folder) / "rows.parquet", Path(folder) / "scored.parquet"
        write_rows(file, (row(n) for n in range(count)))
        argv = [sys.executable, "-m", "r1rewards", "score", file, "--spec", SPEC, "-o", scored]
        began = time.perf_counter()
        process = subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, text=True)
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(memory, tree(process.pid))))
            time.sleep(0.2)
        seconds = time.perf_counter() - began
        assert process.stdout is not None
        print(process.stdout.read())
        right = sum(each["reward"] == 1 + (n % 4 != 0) for n, each in enumerate(read_rows(scored)))
    cores = len(os.sched_getaffinity(0))
    header = ["rows", "cores", "seconds", "rows/s", "peak MB", "rightly scored, in order"]
    print_table(header, [[count, cores, seconds, count / seconds, peak / 2**20, right]])


def tree(pid: int) -> Iterator[int]:
    """The process and all below it."""
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))
    except OSError:  # it has ended
        return


def memory(pid: int) -> int:
    """Proportional resident bytes."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(text.partition("\nPss:")[2].split()[0]) * 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the file")
    options = parser.parse_args()
    overhead()
    million(options.rows)
