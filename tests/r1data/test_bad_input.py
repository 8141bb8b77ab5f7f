"""Bad input has a named fate, or one sentence with file and place; never a traceback, never silence."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from r1data.dedup import dedup
from r1data.flat import flatten
from r1data.ledger import fates, run_step
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows


def row(number: int, **more: Any) -> dict[str, Any]:
    made = {"id": f"p{number}", "task": "math", "prompt": f"question {number}", "reference": "1"}
    return {**made, "text": f"<think>a {number}</think><answer>1</answer>", **more}


LINES = [json.dumps(row(number)) for number in range(4)]


def damaged(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.jsonl"
    text = "\n".join(LINES)
    if kind == "middle":
        path.write_text(text.replace(LINES[2], LINES[2][:30]) + "\n")
    elif kind == "utf8":
        path.write_bytes(text.encode().replace(b"question 2", b"caf\xe9"))
    elif kind == "null":
        path.write_text(text.replace('"question 2"', "null"))
    elif kind == "null-text":
        path.write_text(text.replace(json.dumps(row(2)["text"]), "null"))
    elif kind == "list":
        path.write_text(text.replace(LINES[2], "[1, 2]"))
    elif kind == "csv-utf8":
        path = path.with_suffix(".csv")
        lines = [f"p{n},math,question {n},1,a {n}\n".encode() for n in range(4)]
        path.write_bytes(b"id,task,prompt,reference,text\n" + b"".join(lines).replace(b"a 2", b"caf\xe9"))
    elif kind == "parquet-utf8":
        path = path.with_suffix(".parquet")
        write_rows(path, [row(number) for number in range(4)])
        table = pq.read_table(path)
        broken = pa.array([b"one", b"two", b"caf\xe9", b"four"]).view(pa.string())
        pq.write_table(table.set_column(table.column_names.index("text"), "text", broken), path)
    elif kind == "torn-gzip":
        path = path.with_suffix(".jsonl.gz")
        path.write_bytes(gzip.compress(text.encode())[:60])
    else:
        path = path.with_suffix(".parquet")
        write_rows(path, [row(number) for number in range(4)])
        whole = path.read_bytes()
        third = len(whole) // 3
        broken = whole[:third] if kind == "truncated" else whole[:third] + bytes(99) + whole[third + 99 :]
        path.write_bytes(broken)
    return path


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("middle", "middle.jsonl, line 3: not JSON"),
        ("utf8", "utf8.jsonl, line 3: not JSON .*UTF-8"),
        ("null", "null.jsonl, line 3: no 'prompt'"),
        ("null-text", "null-text.jsonl, line 3: the response is null"),
        ("csv-utf8", "csv-utf8.csv, line 4: not UTF-8"),
        ("parquet-utf8", "parquet-utf8.parquet, rows 1 to 4: .*UTF8"),
        ("list", "list.jsonl, line 3: a row is a JSON object"),
        ("torn-gzip", "torn-gzip.jsonl.gz: cannot be decompressed"),
        ("truncated", "truncated.parquet: not a complete Parquet file"),
        ("overwritten", "overwritten.parquet: .*make it again"),
    ],
)
def test_a_damaged_file_is_one_sentence_and_leaves_nothing(tmp_path: Path, kind: str, why: str) -> None:
    path = damaged(kind, tmp_path)
    with pytest.raises(UserError, match=why):
        dedup(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_of_an_earlier_step_is_named(tmp_path: Path) -> None:
    run_step("one", [row(n, text="word " * 300) for n in range(999)], tmp_path / "one", fates, config={})
    path = tmp_path / "one" / "kept.parquet"
    whole = bytearray(path.read_bytes())
    for at in range(200, len(whole) // 2, 97):
        whole[at] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(UserError, match=r"kept\.parquet: .*make it again"):
        dedup(path, tmp_path / "two", by="response")


def test_text_that_is_no_unicode_is_named_in_the_file_of_an_earlier_step(tmp_path: Path) -> None:
    run_step("one", [row(n) for n in range(4)], tmp_path / "one", fates, config={})
    path = tmp_path / "one" / "kept.parquet"
    table = pq.read_table(path)
    broken = pa.array([b"one", b"two", b"caf\xe9", b"four"]).view(pa.string())
    pq.write_table(table.set_column(table.column_names.index("text"), "text", broken), path)
    with pytest.raises(UserError, match=r"kept\.parquet, rows 1 to 4: .*UTF8"):
        dedup(path, tmp_path / "two", by="response")


# RLIMIT_FSIZE stands in for a full disk, as in tests/r1rewards/core/test_store.py; each meets another file.
_FULL = """
import errno, resource, signal, sys
from pathlib import Path
from r1data.dedup import dedup
from r1rewards.core.errors import UserError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
errno.ENOSPC = errno.EFBIG
for limit in map(int, sys.argv[1:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        dedup("one/kept.parquet", "out", by="response")
    except UserError as error:
        print(error)
    assert not Path("out").exists()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
dedup("one/kept.parquet", "out", by="response")
"""


def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(tmp_path: Path) -> None:
    dice = random.Random(0)
    texts = [" ".join(str(dice.random()) for _ in range(60)) for _ in range(200)]
    rows = [row(n, text=text) for n, text in enumerate([*texts, *texts[:50]])]
    run_step("one", rows, tmp_path / "one", fates, config={})
    limits = ["100", "20000", "80000"]  # the manifest, what is measured, the rows that stay
    done = subprocess.run(
        [sys.executable, "-c", _FULL, *limits], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the disk is full; make room") == len(limits), done.stdout
    dedup(tmp_path / "one" / "kept.parquet", tmp_path / "whole", by="response")
    for name in ("kept.parquet", "ledger.parquet"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_problems_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    problems = [{"id": "a", "task": "math", "prompt": "1 + 1?", "reference": "2"}] * 2
    responses = [{"problem_id": "a", "text": "2", "uid": "u"}]
    with pytest.raises(UserError, match="problem 2 is another one with the id 'a'"):
        list(flatten(problems, responses))
    with pytest.raises(UserError, match="problem 1 has no id"):
        list(flatten([{"task": "math"}], responses))


def test_ids_that_stand_there_twice_are_told(tmp_path: Path) -> None:
    problems = [{name: value for name, value in row(n % 2).items() if name != "text"} for n in range(3)]
    write_rows(tmp_path / "problems.jsonl", problems)
    counts = dedup(tmp_path / "problems.jsonl", tmp_path / "out")
    assert counts["rules"] == {"repeated_uid": 1}
    assert [one["id"] for one in read_rows(tmp_path / "out" / "kept.parquet")] == ["p0", "p1"]
