"""SIGKILL at any moment of any step: run again, and the result is, byte for byte, that of one whole run."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r1rewards.core.store import write_rows

# Every step in one process, in a folder of its own; small shards, so that kills fall between two of them.
PIPELINE = """
from pathlib import Path
from r1data import code_tests, table
from r1data.code_tests import make_tests
from r1data.curate import curate
from r1data.decontaminate import Benchmark, decontaminate
from r1data.dedup import dedup
from r1data.mix import mix
from r1data.select import select_responses
from r1data.split import split

table.CHUNK_ROWS = 200
code_tests._SHARD = 3
spec = {"rewards": {"format": {}}}
curate("rows.jsonl", "general", "1-curate", spec=spec)
dedup("1-curate/kept.parquet", "2-dedup", by="response")
exam = Benchmark(name="exam", path="exam.jsonl")
decontaminate("2-dedup/kept.parquet", "3-clean", against=[exam])
select_responses("3-clean/kept.parquet", "4-select", k=2)
mix(["4-select/kept.parquet"], "5-mix", total="fit")
split("5-mix/kept.parquet", "6-split", heldout=0.2)
make_tests("problems.jsonl", "7-tests", submissions="submissions.jsonl")
"""


def prepare(folder: Path) -> None:
    """Rows that every step drops some of."""
    dice = random.Random(0)
    words = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "lmnrst"]
    rows = []
    for number in range(1500):
        text = " ".join(dice.choices(words, k=dice.randint(20, 120)))
        if number % 7 == 0 and rows:
            text = rows[-1]["text"].split("</think>")[0].removeprefix("<think>") + " more"
        rows.append(
            {
                "id": f"p{number // 3}",
                "uid": f"u{number - (number % 100 == 99)}",
                "task": "general",
                "domain": ["math", "writing"][number // 3 % 2],
                "prompt": f"Tell me about {words[number // 3 % 300]} and {words[number // 4 % 300]}.",
                "text": f"<think>{text}</think>" + ("<answer>fine</answer>" if number % 11 else ""),
            }
        )
    write_rows(folder / "rows.jsonl", rows)
    exam = [row["text"].removeprefix("<think>").split("</think>")[0] for row in rows[5::200]]
    write_rows(folder / "exam.jsonl", [{"prompt": text} for text in exam])
    given = {"input": "3\n4 -2 9", "output": "9"}
    problem = {"task": "code", "prompt": "The largest?", "source": "here", "reference": {"tests": [given]}}
    write_rows(folder / "problems.jsonl", ({"id": f"c{n}", **problem} for n in range(9)))
    programs = {"max(numbers)": 1, "sorted(numbers)[-1]": 1, "numbers[-1]": 0}
    submissions = (
        {
            "id": f"c{n}",
            "program": f"input()\nnumbers = [*map(int, input().split())]\nprint({said})",
            "correct": c,
        }
        for n in range(9)
        for said, c in programs.items()
    )
    write_rows(folder / "submissions.jsonl", submissions)


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PIPELINE], cwd=folder)


def contents(folder: Path) -> dict[str, str]:
    """Every file under the folder, hidden ones too, by its hash."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def kill_and_compare(tmp_path: Path, kills: int) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
        prepare(folder)
    began = time.monotonic()
    assert start(whole).wait() == 0
    length = time.monotonic() - began
    expected = contents(whole)
    assert len([name for name in expected if name.endswith("ledger.parquet")]) == 7
    dice = random.Random(1)
    done = 0
    while done < kills:
        process = start(broken)
        try:
            process.wait(timeout=dice.uniform(0.2, 1.0) * length)
        except subprocess.TimeoutExpired:
            process.kill()
            done += 1
        if process.wait() == 0:
            assert contents(broken) == expected
            for step in broken.glob("*-*"):
                shutil.rmtree(step)
    assert start(broken).wait() == 0
    assert contents(broken) == expected


@pytest.mark.slow
def test_a_few_kills_change_nothing(tmp_path: Path) -> None:
    kill_and_compare(tmp_path, 4)


@pytest.mark.long
def test_fifty_kills_change_nothing(tmp_path: Path) -> None:
    kill_and_compare(tmp_path, 50)
