"""verl's adapter: its translation, and what verl 0.9.1 makes of it in an environment of its own."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from r1rewards.adapters.verl import compute_score
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows
from r1rewards.score_file import Source, score_file

_trainers: Any = importlib.util.spec_from_file_location("trainers", Path(__file__).with_name("trainers.py"))
trainers = importlib.util.module_from_spec(_trainers)
_trainers.loader.exec_module(trainers)

SPEC = "rewards: {math: {required: true, options: {policy: strict}}, choice: {}, format: {weight: 0.5}}"
GOOD = "<think>sum</think><answer>4</answer>"


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (tmp_path / "spec.yaml").write_text(SPEC)
    return str(tmp_path / "spec.yaml")


def test_one_response_at_a_time(spec: str) -> None:
    expected = {"score": 1.5, "acc": 1.0, "reward_math": 1.0, "reward_choice": None, "reward_format": 1.0}
    assert compute_score("sums", GOOD, "4", None, spec=spec, task="math") == expected
    assert compute_score("sums", GOOD, "4", {"task": "math", "num_turns": None}, spec=spec) == expected
    by_source = compute_score(
        "letters", GOOD.replace("4", "B"), "B", {}, spec=spec, tasks={"letters": "choice"}
    )
    assert (by_source["score"], by_source["acc"], by_source["reward_math"]) == (1.5, 1.0, None)


def test_what_a_row_lacks_is_told(spec: str) -> None:
    with pytest.raises(UserError, match=r"^a row of sums: no 'task' in this row"):
        compute_score("sums", GOOD, "4", {}, spec=spec)


def test_threads_share_one_spec(spec: str) -> None:
    def score(n: int) -> Any:
        return compute_score("sums", GOOD, str(n % 5), {}, spec=spec, task="math")["score"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(score, range(100))) == [1.5 if n % 5 == 4 else 0.5 for n in range(100)]


def test_a_row_without_a_total_stops_or_gets_what_the_spec_says(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("rewards: {language: {required: true}, format: {}}")
    with pytest.raises(UserError, match=r"a row has no reward .*on_error: \{neutral: 0.0\}"):
        compute_score("sums", GOOD, "4", {}, spec=str(file), task="math")
    other = tmp_path / "neutral.yaml"
    other.write_text(file.read_text() + "\non_error: {neutral: -1}")
    assert compute_score("sums", GOOD, "4", {}, spec=str(other), task="math")["score"] == -1.0


@pytest.mark.long
def test_verl_gives_every_response_its_reward_and_its_dump_can_be_scored_again(
    tmp_path: Path, spec: str
) -> None:
    said = trainers.run_in("verl", spec, tmp_path)
    assert said["totals"] == [1.5, 0.5, 0.0, 0.0]
    assert said["last"] == [1, 1, 0, 0]  # on one token each
    assert said["extra"]["acc"] == [1.0, 0.0, 0.0, 0.0]
    assert said["metrics"]["acc"]["mean@4"] == 0.25
    assert "reward_choice" not in said["metrics"]  # no response has it
    columns = {"prompt": "input", "response": "output", "reference": "gts"}
    score_file(Source(tmp_path / "dumps", columns=columns, task="math"), spec, tmp_path / "again.jsonl")
    again = list(read_rows(tmp_path / "again.jsonl"))
    assert [row["reward"] for row in again] == [row["score"] for row in again] == said["totals"]


@pytest.mark.long
def test_verl_stops_over_a_row_without_a_reward_unless_the_spec_gives_one(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("rewards: {language: {required: true}, format: {}}")
    assert "on_error: {neutral: 0.0}" in trainers.run_in("verl", file, tmp_path / "a")["stopped"]
    file.write_text(file.read_text() + "\non_error: {neutral: -1}")
    assert trainers.run_in("verl", file, tmp_path / "b")["totals"] == [-1.0] * 4
