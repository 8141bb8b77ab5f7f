"""What was measured stays beside the result; only what it was made from, where changed, is measured again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from r1data import dedup as dedup_module
from r1data import ledger as ledger_module
from r1data import signals as signals_module
from r1data import table as table_module
from r1data.curate import curate
from r1data.decontaminate import Benchmark, Items, decontaminate
from r1data.dedup import dedup
from r1rewards.core.store import read_manifest, read_rows, write_rows

SPEC = {"rewards": {"format": {}}}


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"p{n}",
            "uid": f"u{n}",
            "task": "general",
            "prompt": f"Tell me of number {n}, please, in words that I know.",
            "text": f"<think>Number {n} is known.</think><answer>It is {n}.</answer>",
        }
        for n in range(count)
    ]


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (table_module, signals_module):
        monkeypatch.setattr(module, "CHUNK_ROWS", 4)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, small_shards: None) -> list[int]:
    """The sizes of the batches that dedup and decontaminate measure."""
    sizes: list[int] = []

    def counting(original: Any) -> Any:
        def measure(*arguments: Any) -> Any:
            sizes.append(arguments[-1].num_rows)
            return original(*arguments)

        return measure

    monkeypatch.setattr(dedup_module, "hash_texts", counting(dedup_module.hash_texts))
    monkeypatch.setattr(Items, "overlaps", counting(Items.overlaps))
    return sizes


@pytest.mark.usefixtures("small_shards")
def test_the_manifest_says_of_every_shard_what_it_was_made_from(tmp_path: Path) -> None:
    curate(rows(10), "general", tmp_path / "out", spec=SPEC)
    shards = read_manifest(tmp_path / "out")["shards"]
    assert [(name, shard["rows"]) for name, shard in shards.items()] == [
        ("signals/shard-0000000.parquet", 4),
        ("signals/shard-0000001.parquet", 4),
        ("signals/shard-0000002.parquet", 2),
    ]
    assert len({shard["input"] for shard in shards.values()}) == 3
    assert len({(shard["config"], shard["version"]) for shard in shards.values()}) == 1
    assert [row["uid"] for row in read_rows(tmp_path / "out" / "signals")] == [f"u{n}" for n in range(10)]


@pytest.mark.usefixtures("small_shards")
def test_several_processes_measure_what_one_does(tmp_path: Path) -> None:
    made = [*rows(20), *rows(5)]
    for workers in (1, 2):
        curate(made, "general", tmp_path / f"out-{workers}", spec=SPEC, workers=workers)
    one, two = (
        {path.name: path.read_bytes() for path in sorted((tmp_path / out).rglob("*.parquet"))}
        for out in ("out-1", "out-2")
    )
    assert len(one) == 7 + 2
    assert one == two


def test_another_threshold_measures_nothing_and_more_rows_only_themselves(
    tmp_path: Path, measured: list[int]
) -> None:
    source, out = tmp_path / "rows.jsonl", tmp_path / "out"
    write_rows(source, rows(9))
    dedup(source, out, by="response", threshold=0.7)
    assert measured == [4, 4, 1]
    dedup(source, out, by="response", threshold=0.9)
    assert measured == [4, 4, 1]
    write_rows(source, rows(10))
    counts = dedup(source, out, by="response", threshold=0.9)
    assert measured == [4, 4, 1, 2]
    assert counts["in"] == 10
    write_rows(source, rows(3))
    dedup(source, out, by="response", threshold=0.9)
    assert sorted(path.name for path in (out / "hashes").iterdir()) == ["shard-0000000.parquet"]
    write_rows(tmp_path / "fresh.jsonl", rows(3))
    dedup(tmp_path / "fresh.jsonl", tmp_path / "fresh", by="response", threshold=0.9)
    assert (tmp_path / "fresh" / "hashes" / "shard-0000000.parquet").read_bytes() == (
        out / "hashes" / "shard-0000000.parquet"
    ).read_bytes()


def test_what_a_stopped_run_measured_is_kept_for_another_threshold(
    tmp_path: Path, measured: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "rows.jsonl"
    write_rows(source, rows(9))
    exam = tmp_path / "exam.jsonl"
    write_rows(exam, [{"prompt": "Something that none of these rows would ever say, in ten words or more"}])
    guarded = [Benchmark(name="exam", path=exam)]

    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(ledger_module, "_write_kept", stop)
        with pytest.raises(KeyboardInterrupt):
            decontaminate(source, tmp_path / "out", against=guarded)
    decontaminate(source, tmp_path / "out", against=guarded, coverage=0.3)
    assert measured == [4, 4, 1]
    write_rows(exam, [{"prompt": "Tell me of number 3, please, in words that I know."}])
    assert decontaminate(source, tmp_path / "out", against=guarded)["dropped"] == 1
    assert measured == [4, 4, 1, 4, 4, 1]


def test_a_torn_shard_is_measured_again(tmp_path: Path, measured: list[int]) -> None:
    write_rows(tmp_path / "rows.jsonl", rows(9))
    out = tmp_path / "out"
    dedup(tmp_path / "rows.jsonl", out, by="response")
    torn = out / "hashes" / "shard-0000001.parquet"
    whole = torn.read_bytes()
    torn.write_bytes(whole[: len(whole) // 2])
    dedup(tmp_path / "rows.jsonl", out, by="response")
    assert measured == [4, 4, 1, 4]
    assert torn.read_bytes() == whole
