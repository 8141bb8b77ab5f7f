"""Scoring a file: the same rows whoever grades them, and nothing lost or done twice after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from r1rewards import score_file as module
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows
from r1rewards.score_file import Source, score_file
from r1rewards.spec import load_spec

SPEC = "rewards:\n  math: {required: true}\n  choice: {required: true}\n  format: {weight: 0.5}\n"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    file = tmp_path / "spec.yaml"
    file.write_text(SPEC)
    return file


def rows(count: int) -> list[dict[str, Any]]:
    """Right, wrong and malformed responses in turn; every row is different."""
    forms = [
        "<think>t</think><answer>{}</answer>",
        "<think>t</think><answer>{}1</answer>",
        "The answer is {}.",
    ]
    return [
        {"id": f"r{n}", "task": "math", "reference": str(n), "response": forms[n % 3].format(n)}
        for n in range(count)
    ]


def graded(path: Path) -> list[dict[str, Any]]:
    """The scored rows without their timings."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: timeless(inner) for key, inner in value.items() if key != "seconds"}
        return value

    return [timeless(row) for row in read_rows(path)]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"])
def test_many_shards_become_one_file_in_order(
    tmp_path: Path, spec: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARD_ROWS", 100)
    given = rows(1234)
    given[700]["note"] = "a column that the first shards do not have"
    write_rows(tmp_path / f"in{suffix}", given)
    summary = score_file(tmp_path / f"in{suffix}", spec, tmp_path / f"out{suffix}", workers=1)
    out = list(read_rows(tmp_path / f"out{suffix}"))
    assert [row["id"] for row in out] == [row["id"] for row in given]
    assert [row["reward"] for row in out] == [[1.5, 0.5, 1.0][n % 3] for n in range(1234)]
    assert [row["note"] for row in out if row.get("note")] == [given[700]["note"]]
    assert summary.rows == summary.total.values == 1234
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"in{suffix}", f"out{suffix}", "spec.yaml"]


@pytest.mark.slow
def test_processes_grade_as_one_does(tmp_path: Path, spec: Path) -> None:
    write_rows(tmp_path / "in.jsonl", rows(5 * module.SHARD_ROWS + 7))
    one = score_file(tmp_path / "in.jsonl", spec, tmp_path / "one.jsonl", workers=1)
    three = score_file(tmp_path / "in.jsonl", spec, tmp_path / "three.jsonl", workers=3)
    assert graded(tmp_path / "one.jsonl") == graded(tmp_path / "three.jsonl")
    # which rows were slow depends on what else the machine does
    assert one.to_dict() | {"slowest": []} == three.to_dict() | {"slowest": []}
    with load_spec(spec) as loaded:  # and as the engine does without a file
        totals = [score.total for score in loaded.score(read_rows(tmp_path / "in.jsonl"))]
    assert totals == [row["reward"] for row in read_rows(tmp_path / "three.jsonl")]


_RUN = """
import sys
from r1rewards import score_file
score_file.SHARD_ROWS = 64
spec, source, output, workers = sys.argv[1:]
print(score_file.score_file(source, spec, output, workers=int(workers), say=print).rows)
"""


def start(spec: Path, source: Path, output: Path, workers: int) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", _RUN, *map(str, (spec, source, output, workers))]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "workers"), [(".jsonl", 1), (".jsonl.gz", 2), (".parquet", 2)])
def test_kill_9_at_any_moment_and_the_same_command_goes_on(
    tmp_path: Path, spec: Path, suffix: str, workers: int
) -> None:
    source, output = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    write_rows(source, rows(6000))
    parts = tmp_path / f".out{suffix}.shards.part"
    seen, kills = 0, 0
    while not output.exists() and kills < 5:
        process = start(spec, source, output, workers)
        while process.poll() is None and not output.exists():
            if len(list(parts.glob("shard-*"))) >= seen + 10:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.002)
        process.wait()
        now = len(list(parts.glob("shard-*"))) if parts.exists() else seen
        assert now >= seen  # nothing that was done is done again
        seen = now
    assert kills >= 2
    last = start(spec, source, output, workers)
    said, _ = last.communicate()
    assert said.splitlines()[-1] == "6000"
    score_file(source, spec, tmp_path / f"whole{suffix}", workers=1)
    assert graded(output) == graded(tmp_path / f"whole{suffix}")
    assert not parts.exists()


def test_what_another_spec_or_input_left_is_not_gone_on_with(
    tmp_path: Path, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARD_ROWS", 10)
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, [*rows(35), {"task": "math"}])
    with pytest.raises(UserError, match=r"in.jsonl, line 36: no 'response' text"):
        score_file(source, spec, output, workers=1)
    assert len(list((tmp_path / ".out.jsonl.shards.part").glob("shard-*"))) == 3
    said: list[str] = []
    with pytest.raises(UserError, match="line 36"):
        score_file(source, spec, output, workers=1, say=said.append)
    assert said == [f"going on with {output}: 30 rows are scored already"]
    spec.write_text(SPEC.replace("0.5", "0.25"))
    write_rows(source, rows(35))
    score_file(source, spec, output, workers=1, say=said.append)
    assert len(said) == 1
    assert {row["reward"] for row in read_rows(output)} == {1.25, 0.25, 1.0}


@pytest.mark.slow
def test_a_worker_that_is_killed_is_told_and_the_rest_is_kept(tmp_path: Path, spec: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, rows(6000))
    process = start(spec, source, output, 2)
    parts = tmp_path / ".out.jsonl.shards.part"
    while len(list(parts.glob("shard-*"))) < 3:
        time.sleep(0.002)
        assert process.poll() is None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    graders = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(int(graders[0]), signal.SIGKILL)
    assert process.wait(timeout=60) == 1
    last = start(spec, source, output, 2)
    said, _ = last.communicate()
    assert [line.split(":")[0] for line in said.splitlines()] == [f"going on with {output}", "6000"]
    assert [row["id"] for row in read_rows(output)] == [f"r{n}" for n in range(6000)]


def test_a_folder_of_dumps_is_read_by_the_numbers_of_its_files(tmp_path: Path, spec: Path) -> None:
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for step in (1, 2, 10):
        write_rows(dumps / f"{step}.jsonl", [{"output": "\\boxed{4}", "gts": "4", "step": step}])
    (dumps / "readme.txt").write_text("not rows")
    source = Source(dumps, columns={"response": "output", "reference": "gts"}, task="math")
    score_file(source, spec, tmp_path / "out.jsonl", workers=1)
    out = list(read_rows(tmp_path / "out.jsonl"))
    assert [(row["step"], row["rewards"]["math"]) for row in out] == [(1, 1.0), (2, 1.0), (10, 1.0)]


def test_responses_without_an_id_find_their_problem_by_what_it_asks(tmp_path: Path, spec: Path) -> None:
    ask = [{"role": "system", "content": "Think."}, {"role": "user", "content": "2 + 2?"}]
    said = [{"role": "assistant", "content": "\\boxed{4}"}]
    write_rows(
        tmp_path / "problems.jsonl", [{"id": "p", "task": "math", "prompt": "2 + 2?", "reference": "4"}]
    )
    write_rows(tmp_path / "in.jsonl", [{"prompt": ask, "completion": said}])
    source = Source(tmp_path / "in.jsonl", tmp_path / "problems.jsonl", {"response": "completion"})
    score_file(source, spec, tmp_path / "out.jsonl")
    assert next(read_rows(tmp_path / "out.jsonl"))["rewards"]["math"] == 1.0
    write_rows(tmp_path / "in.jsonl", [{"prompt": "3 + 3?", "completion": said}])
    with pytest.raises(UserError, match=r"line 1: the problem '3 \+ 3\?' is not in"):
        score_file(source, spec, tmp_path / "out.jsonl")
