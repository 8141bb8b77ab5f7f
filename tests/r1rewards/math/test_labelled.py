"""The labelled cases: how often the reward is wrong, and which way."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from r1rewards.math import check

DATA = Path(os.environ.get("R1KIT_DATA", Path(__file__).parents[3] / "../shared/data"))


@pytest.mark.data
def test_the_core_cases() -> None:
    with gzip.open(DATA / "math_equivalence_half.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    core = [row for row in rows if "judge-needed" not in row["kind"] and "policy" not in row["kind"]]
    verdicts = [check(row["response"], row["gold"]) for row in core]
    right = [v.value == 1 for row, v in zip(core, verdicts, strict=True) if row["expected"]]
    wrong = [v.value == 1 for row, v in zip(core, verdicts, strict=True) if not row["expected"]]
    assert (sum(right) + len(wrong) - sum(wrong)) / len(core) >= 0.985
    assert sum(wrong) / len(wrong) <= 0.005
    assert 1 - sum(right) / len(right) <= 0.02
    assert sum(v.status == "abstain" for v in verdicts) / len(core) < 0.01
    assert not any(v.status == "error" for v in verdicts)


@pytest.mark.data
def test_real_solutions_against_their_own_labels() -> None:
    with gzip.open(DATA / "gsm8k_model_solutions_half.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    models = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    disagreed = [
        row[model]["solution"]
        for row in rows
        for model in models
        if (check(row[model]["solution"], row["ground_truth"].rpartition("A:")[2].strip()).value == 1)
        != row[model]["is_correct"]
    ]
    assert len(disagreed) <= 2, disagreed[:3]
