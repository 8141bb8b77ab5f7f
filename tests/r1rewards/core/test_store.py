"""The store: what is written is read back, and no accident leaves half of anything."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1rewards.core import parquet
from r1rewards.core.errors import UserError
from r1rewards.core.store import RowLog, Step, file_hash, numbered_rows, read_manifest, read_rows, write_rows

PROBLEMS: list[dict[str, Any]] = [
    {
        "id": "m1",
        "task": "math",
        "prompt": [{"role": "user", "content": "1+1? 二"}],
        "reference": '{"looks": "like JSON"}',
        "meta": {"level": 3, "tags": ["a"]},
    },
    {
        "id": "c1",
        "task": "code",
        "prompt": [{"role": "user", "content": "add"}],
        "reference": {"tests": [{"input": "1\n", "output": "2\n"}]},
        "meta": {},
    },
    {"id": "g1", "task": "general", "prompt": [], "reference": None, "meta": {}},
]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"])
def test_rows_come_back_in_order_and_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    assert write_rows(path, PROBLEMS) == 3
    assert list(read_rows(path)) == PROBLEMS
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.fixed_dictionaries({"a": _values, "b": _values}), max_size=12), chunk=st.integers(1, 4)
)
def test_parquet_holds_any_json_and_widens_its_columns_late(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], chunk: int
) -> None:
    path = tmp_path_factory.mktemp("any") / "rows.parquet"
    with parquet.ParquetRows(path) as file:
        for start in range(0, len(rows), chunk):
            file.write(rows[start : start + chunk])
    assert file.count == len(rows)
    assert list(read_rows(path)) == json.loads(json.dumps(rows))
    assert len(list(path.parent.iterdir())) == 1


def test_a_new_column_in_a_late_row_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    rows: list[dict[str, Any]] = [{"id": str(i)} for i in range(parquet.CHUNK_ROWS + 5)]
    rows[-1]["score"] = 0.5
    write_rows(path, rows)
    back = list(read_rows(path))
    assert back[-1] == rows[-1]
    assert back[0] == {"id": "0", "score": None}
    assert [row["id"] for row in back] == [row["id"] for row in rows]


def test_columns_are_renamed_and_a_missing_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"problem": "p", "answer": "2", "prompt": "theirs"}\n\n{"problem": "q"}\n')
    rows = numbered_rows(path, columns={"prompt": "problem", "reference": "answer"})
    assert next(rows) == (f"{path}, line 1", {"prompt": "p", "reference": "2"})
    with pytest.raises(UserError, match=r"line 3: no column 'answer'"):
        next(rows)


def test_a_column_inside_an_object_is_reached_by_a_dot(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, [{"a.b": 1, "meta": {"gold": {"x": 2}}}, {"a.b": 1, "meta": {"gold": None}}])
    reading = read_rows(path, columns={"one": "a.b", "two": "meta.gold.x"})
    assert next(reading) == {"meta": {"gold": {"x": 2}}, "one": 1, "two": 2}
    with pytest.raises(UserError, match=r"line 2: no column 'meta.gold.x'; this row has a.b, meta"):
        next(reading)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"a": "\xff"}', "not JSON"),
        (b'{"a": 1', "not JSON"),
        (b"[1]", "a JSON object"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": "\\ud800"}', "not JSON"),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_a_bad_line_is_named_by_file_and_line(tmp_path: Path, line: bytes, why: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    data = b'\xef\xbb\xbf{"a": 0}\n{"a": 1}\n' + line + b'\n{"a": 3}\n'
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    rows = read_rows(path)
    assert [next(rows), next(rows)] == [{"a": 0}, {"a": 1}]
    with pytest.raises(UserError, match=rf"line 3: .*{why}"):
        next(rows)


def test_integers_beyond_64_bits_are_exact(tmp_path: Path) -> None:
    big = 12345678901234567890123
    for name in ("a.jsonl", "a.parquet"):
        write_rows(tmp_path / name, [{"reference": big}])
        assert next(read_rows(tmp_path / name)) == {"reference": big}


@pytest.mark.parametrize("group", [parquet.CHUNK_ROWS, 1 << 20])
def test_reading_holds_neither_what_was_read_nor_a_whole_row_group(tmp_path: Path, group: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = [os.urandom(1000).hex() for _ in range(16 * parquet.CHUNK_ROWS)]
    pq.write_table(pa.table({"text": text}), tmp_path / "rows.parquet", row_group_size=group)
    before, most = pa.total_allocated_bytes(), 0
    with parquet.stream(tmp_path / "rows.parquet") as file:
        for _ in file.iter_batches(parquet.CHUNK_ROWS):
            most = max(most, pa.total_allocated_bytes() - before)
    assert most < (tmp_path / "rows.parquet").stat().st_size / 2


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst", ".parquet"])
def test_a_truncated_file_is_an_error_not_fewer_rows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_rows(path, [{"id": str(i), "text": "x" * i} for i in range(5000)])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"cut off|not a complete"):
        list(read_rows(path))


def test_csv_and_json_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,text\n1,"two\nlines, here"\n2,x\n')
    assert next(read_rows(tmp_path / "a.csv")) == {"id": "1", "text": "two\nlines, here"}
    (tmp_path / "b.csv").write_text("id,text\n1,x,y\n")
    with pytest.raises(UserError, match="line 2"):
        list(read_rows(tmp_path / "b.csv"))
    (tmp_path / "a.json").write_text('[{"id": 1}]')
    assert list(read_rows(tmp_path / "a.json")) == [{"id": 1}]


def test_unknown_suffix_and_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="suffix"):
        list(read_rows(tmp_path / "a.xlsx"))
    with pytest.raises(UserError, match="there is no file"):
        list(read_rows(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_failing_writer_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_rows(path, [{"id": "old"}])

    def rows() -> Any:
        yield {"id": "new"}
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError):
        write_rows(path, rows())
    assert list(read_rows(path)) == [{"id": "old"}]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.zst", ".parquet"])
def test_text_that_is_no_unicode_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(UserError, match="cannot be"):
        write_rows(tmp_path / f"a{suffix}", [{"id": "1", "text": "\ud800"}])


# RLIMIT_FSIZE stands in for a full disk: the kernel refuses the write in the same place (EFBIG for ENOSPC).
_FULL = """
import os, resource, signal, sys, errno
from pathlib import Path
from r1rewards.core import store
from r1rewards.core.errors import UserError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
errno.ENOSPC = errno.EFBIG
path = Path(sys.argv[1])
log = store.RowLog(path / "log.jsonl")
log.append({"uid": "first"})
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
for job in (
    lambda: log.append({"uid": "second", "text": "x" * 100_000}),
    lambda: store.write_rows(path / "a.jsonl", [{"text": "x" * 100_000}]),
    lambda: store.write_rows(path / "a.parquet", [{"text": os.urandom(60_000).hex()} for _ in range(9)]),
):
    try:
        job()
    except UserError as error:
        print(error)
"""


def test_a_full_disk_is_one_sentence_and_leaves_nothing_torn(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("the disk is full; make room") == 3, done.stdout + done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["log.jsonl"]
    assert RowLog(tmp_path / "log.jsonl").keys() == {"first"}


def test_a_log_drops_a_torn_last_line_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with RowLog(path) as log:
        log.append({"uid": "a", "text": "one\ntwo"})
        log.append({"uid": "b"})
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with RowLog(path) as log:
            kept = path.read_bytes()
            assert whole.startswith(kept)
            assert kept == b"" or kept.endswith(b"\n")
            assert len(log.keys()) == whole[:cut].count(b"\n")
            log.append({"uid": "c"})
        assert path.read_bytes() == kept + b'{"uid":"c"}\n'


def test_a_log_has_one_writer(tmp_path: Path) -> None:
    with RowLog(tmp_path / "log.jsonl"), pytest.raises(UserError, match="another process"):
        RowLog(tmp_path / "log.jsonl")
    RowLog(tmp_path / "log.jsonl").close()


_WRITER = """
import sys
from r1rewards.core.store import RowLog
with RowLog(sys.argv[1]) as log:
    n = len(log.keys())
    print("ready", flush=True)
    while True:
        log.append({"uid": n, "text": "x" * (n % 977)})
        n += 1
"""


def test_a_log_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    before = b""
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.03)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert path.read_bytes().startswith(before)
        with RowLog(path) as log:
            uids = [row["uid"] for row in log.rows()]
        assert uids == list(range(len(uids)))
        before = path.read_bytes()
    assert len(before) > 0


def test_a_step_is_absent_until_finished_and_then_known(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": 1}\n')
    out = tmp_path / "out"

    def step(**config: Any) -> Step:
        return Step(out, "test", config=config, inputs=[source])

    with step(k=1) as first:
        write_rows(first.path / "shard-0.parquet", [{"id": "1"}])
    assert not out.exists()
    with step(k=1) as again:  # what a killed run left is there
        assert not again.done
        assert (again.path / "shard-0.parquet").is_file()
    with step(k=2) as other:  # but not for another configuration
        assert not (other.path / "shard-0.parquet").exists()
        write_rows(other.path / "kept.jsonl", [{"id": "1"}])
        other.finish({"kept": 1})
    with step(k=2) as finished:
        assert finished.done
        assert finished.counts == {"kept": 1}
    assert read_manifest(out)["config"] == {"k": 2}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jsonl", "out"]
    with (out / "kept.jsonl").open("a") as file:
        file.write("more")
    assert not step(k=2).done
    source.write_text('{"id": 2}\n')
    assert not step(k=2).done


def test_a_step_replaces_an_older_result(tmp_path: Path) -> None:
    for k in (1, 2):
        with Step(tmp_path / "out", "test", config={"k": k}) as step:
            assert not step.done
            (step.path / f"file-{k}").touch()
            step.finish({})
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["file-2", "step.json"]


def test_a_folder_stands_for_the_files_in_it(tmp_path: Path) -> None:
    for number in (2, 0, 1):
        write_rows(tmp_path / "set" / f"train-{number}.parquet", [{"id": f"{number}a"}, {"id": f"{number}b"}])
    (tmp_path / "set" / "dataset_info.json").write_text("{}")
    assert [row["id"] for row in read_rows(tmp_path / "set")] == ["0a", "0b", "1a", "1b", "2a", "2b"]
    before = file_hash(tmp_path / "set")
    write_rows(tmp_path / "set" / "train-3.parquet", [{"id": "3a"}])
    assert file_hash(tmp_path / "set") != before
    write_rows(tmp_path / "set" / "more.jsonl", [{"id": "4"}])
    with pytest.raises(UserError, match=r"files of several formats \(.jsonl, .parquet\)"):
        list(read_rows(tmp_path / "set"))
    with pytest.raises(UserError, match="no files of rows"):
        list(read_rows(tmp_path))
    (tmp_path / "set" / "step.json").write_text("{}")
    with pytest.raises(UserError, match=r"result of a step; name a file in it"):
        list(read_rows(tmp_path / "set"))
