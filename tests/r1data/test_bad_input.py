"""Bad input has a named fate, or one sentence with file and place; never a traceback, never silence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from r1data.dedup import dedup
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


def test_ids_that_stand_there_twice_are_told(tmp_path: Path) -> None:
    problems = [{name: value for name, value in row(n % 2).items() if name != "text"} for n in range(3)]
    write_rows(tmp_path / "problems.jsonl", problems)
    counts = dedup(tmp_path / "problems.jsonl", tmp_path / "out")
    assert counts["rules"] == {"repeated_uid": 1}
    assert [one["id"] for one in read_rows(tmp_path / "out" / "kept.parquet")] == ["p0", "p1"]
