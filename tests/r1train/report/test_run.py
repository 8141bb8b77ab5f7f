from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1rewards.core.errors import UserError
from r1train.report.run import load_run, one_line_per_step


def test_stages_come_in_order_with_what_they_made(run: Path) -> None:
    loaded = load_run(run)
    assert [stage.title for stage in loaded.stages] == [
        "base",
        "0 · data",
        "1 · cold start",
        "2 · reasoning RL",
        "3 · rejection SFT",
        "4 · all scenarios RL",
    ]
    assert [stage.short for stage in loaded.models] == ["base", "after 1", "after 2", "after 3", "after 4"]
    assert [training.name for training in loaded.stages[-1].trainings] == [
        "policy",
        "reward model: harmless",
        "reward model: helpful",
    ]
    evaluation = loaded.stages[-1].trainings[1].evaluation
    assert evaluation is not None and evaluation["accuracy"]["mean"] == 0.81
    assert loaded.finished
    assert loaded.missing == []


def test_a_ledger_is_counted_by_rule_and_by_part(run: Path) -> None:
    stages = {stage.name: stage for stage in load_run(run).stages}
    decontaminate, split = stages["0-data"].ledgers
    assert (decontaminate.rows, decontaminate.dropped, decontaminate.parts) == (
        600,
        {"ngram_overlap": 6},
        {"kept": 594},
    )
    assert (split.rows, split.dropped, split.parts) == (594, {}, {"held_out": 100, "train": 494})
    (curate,) = stages["1-cold-start"].ledgers
    assert list(curate.dropped) == ["wrong_answer", "unclosed", "mixed_language"]
    assert sum(curate.dropped.values()) + sum(curate.parts.values()) == curate.rows == 800


def test_the_ledger_of_an_unfinished_step_is_not_shown(unfinished: Callable[[int], Path]) -> None:
    run = unfinished(2)
    (run / "1-cold-start" / "curate").rename(run / "1-cold-start" / ".curate.part")
    assert load_run(run).stages[2].ledgers == []


@pytest.mark.parametrize("finished", range(5))
def test_an_unfinished_run_says_what_is_missing(unfinished: Callable[[int], Path], finished: int) -> None:
    loaded = load_run(unfinished(finished))
    assert not loaded.finished
    assert len(loaded.models) == 5
    assert any("is running" in sentence for sentence in loaded.missing)
    assert ("the base model is not evaluated yet" in loaded.missing) == (finished == 0)


def test_a_line_being_written_is_left_out_and_a_bad_one_is_named(unfinished: Callable[[int], Path]) -> None:
    run = unfinished(2)
    metrics = run / "1-cold-start" / "train" / "metrics.jsonl"
    whole = load_run(run).stages[2].trainings[0].metrics
    metrics.write_text("garbage\n" + metrics.read_text() + '{"step": 71, "lo')
    loaded = load_run(run)
    assert loaded.stages[2].trainings[0].metrics == whole
    assert "1-cold-start/train/metrics.jsonl, line 1, is not JSON" in loaded.missing


def test_files_that_are_not_there_or_cut_off_become_sentences(unfinished: Callable[[int], Path]) -> None:
    run = unfinished(5)
    (run / "recipe.yaml").unlink()
    (run / "versions.json").write_text('{"packages": {')
    (run / "2-reasoning-rl" / "evaluation" / "summary.json").write_text("[]")
    missing = load_run(run).missing
    assert any(sentence.startswith("recipe.yaml is not there") for sentence in missing)
    assert any("versions.json is cut off" in sentence for sentence in missing)
    assert "stage 2-reasoning-rl is done and has no evaluation" in missing


def test_a_folder_that_is_no_run_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run directory"):
        load_run(tmp_path)


def test_a_resumed_training_shows_each_step_once() -> None:
    lines: list[dict[str, Any]] = [{"step": s, "loss": 1.0} for s in (1, 2, 3)]
    lines += [{"step": s, "loss": 2.0} for s in (2, 3, 4)]
    shown = one_line_per_step(lines)
    assert [(line["step"], line["loss"]) for line in shown] == [(1, 1.0), (2, 2.0), (3, 2.0), (4, 2.0)]


@pytest.mark.parametrize("second", [(1, 2), (4, 5)])
def test_steps_count_on_over_segments(second: tuple[int, int]) -> None:
    lines = [{"step": s, "segment": 0} for s in (1, 2, 3)] + [{"step": s, "segment": 1} for s in second]
    assert [line["step"] for line in one_line_per_step(lines)] == [1, 2, 3, 4, 5]


def test_metrics_without_a_step_do_not_matter() -> None:
    assert one_line_per_step([{"train_runtime": 3.0}, json.loads('{"step": 1, "kl": NaN}')])[0]["step"] == 1
