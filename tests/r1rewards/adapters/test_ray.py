"""Scoring on a real Ray cluster of two nodes, one of which is killed in the middle."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from r1rewards import score_file as module
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows
from r1rewards.score_file import score_file

ray: Any = pytest.importorskip("ray", reason="Ray is not installed: pip install 'r1kit[ray]'")
pytestmark = pytest.mark.long

#: Somebody's reward: slow, and telling which node it ran on.
PLUGIN = """
import os, time
from r1rewards.core.reward import Reward
from r1rewards.core.verdict import Verdict

class Where(Reward):
    def check(self, sample):
        import ray
        time.sleep(0.01)
        return Verdict.of(len(sample.text), ray.get_runtime_context().get_node_id())
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head and one more node, each with one processor, which find the reward."""
    from ray.cluster_utils import Cluster

    (tmp_path / "where_plugin.py").write_text(PLUGIN)
    info = tmp_path / "where-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: where\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[r1rewards.rewards]\nwhere = where_plugin:Where\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(module, "SHARD_ROWS", 20)
    (tmp_path / "spec.yaml").write_text("rewards: {where: {}, format: {}}")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield made
    ray.shutdown()
    made.shutdown()


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": f"r{n}", "task": "general", "response": "x" * (n % 50)} for n in range(count)]


def test_a_node_dies_and_no_row_is_lost(tmp_path: Path, cluster: Any) -> None:
    doomed = cluster.add_node(num_cpus=1)
    write_rows(tmp_path / "in.jsonl", rows(1000))
    parts = tmp_path / ".out.jsonl.shards.part"
    killed: list[int] = []

    def kill() -> None:
        while len(list(parts.glob("shard-*"))) < 8:
            time.sleep(0.05)
        cluster.remove_node(doomed, allow_graceful=False)
        killed.append(len(list(parts.glob("shard-*"))))

    killer = threading.Thread(target=kill)
    killer.start()
    summary = score_file(
        tmp_path / "in.jsonl", tmp_path / "spec.yaml", tmp_path / "out.jsonl", ray=cluster.address
    )
    killer.join()
    assert killed[0] < 50  # in the middle
    out = list(read_rows(tmp_path / "out.jsonl"))
    assert [row["id"] for row in out] == [f"r{n}" for n in range(1000)]
    assert [row["reward"] for row in out] == [float(n % 50) for n in range(1000)]
    assert summary.rows == 1000
    nodes = Counter(row["verdicts"]["where"]["reason"] for row in out)
    assert len(nodes) == 2, nodes  # both took part


def test_a_bad_row_and_a_wrong_address_are_sentences(tmp_path: Path, cluster: Any) -> None:
    write_rows(tmp_path / "in.jsonl", [*rows(50), {"task": "general"}])
    with pytest.raises(UserError, match="line 51: no 'response' text"):
        score_file(tmp_path / "in.jsonl", tmp_path / "spec.yaml", tmp_path / "out.jsonl", ray=cluster.address)
    with pytest.raises(UserError, match="there is no Ray cluster at"):
        score_file(tmp_path / "in.jsonl", tmp_path / "spec.yaml", ray="127.0.0.1:1")
