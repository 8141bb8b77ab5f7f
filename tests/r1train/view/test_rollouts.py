from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows
from r1train.view import curation
from r1train.view.rollouts import Filter, Rollouts, load


@pytest.fixture(scope="module")
def rollouts(run: Path) -> Rollouts:
    return load(run)


def found(rollouts: Rollouts, **wanted: object) -> pl.DataFrame:
    return Filter(**wanted).matches(rollouts.frame)  # type: ignore[arg-type]


def test_every_scored_response_of_the_run_is_there(run: Path, rollouts: Rollouts) -> None:
    files = [*run.glob("*/evaluation/scored.jsonl"), *run.glob("*/train/rollouts/*.parquet")]
    assert rollouts.frame.height == sum(len(list(read_rows(file))) for file in files)
    assert dict(rollouts.choices()["place"])["2-reasoning-rl/train"] == 64
    assert set(rollouts.frame["place"].unique()) == {
        "base/evaluation",
        *(f"{stage}/evaluation" for stage in ("1-cold-start", "2-reasoning-rl", "3-rejection-sft")),
        "2-reasoning-rl/train",
        "4-all-scenarios-rl/train",
        "4-all-scenarios-rl/evaluation",
    }


def test_each_condition_narrows_and_they_hold_together(rollouts: Rollouts) -> None:
    stage = found(rollouts, place="2-reasoning-rl")
    part = found(rollouts, place="2-reasoning-rl/train")
    assert 0 < part.height < stage.height
    assert set(found(rollouts, place="2-reasoning-rl/train", first_step=None, last_step=None)["place"]) == {
        "2-reasoning-rl/train"
    }
    assert set(found(rollouts, task="code")["task"]) == {"code"}
    assert set(found(rollouts, domain="stem")["domain"]) == {"stem"}
    low = found(rollouts, lowest=1.0, highest=2.0)["reward"]
    assert low.min() >= 1.0 and low.max() <= 2.0 and low.null_count() == 0  # type: ignore[operator]
    both = found(rollouts, domain="math", said="math: error", place="base")
    assert set(both["reward"]) == {None} and set(both["status"]) == {"error"}
    assert found(rollouts, said="no total").height == found(rollouts)["reward"].null_count()


def test_text_is_looked_for_as_it_stands(rollouts: Rollouts) -> None:
    assert found(rollouts, text="WHAT IS 7 + 0?").height > 0
    assert found(rollouts, text="What is 7 . 0?").height == 0
    assert set(found(rollouts, text="</script><script>")["problem_id"]) == {
        f"{domain}-000" for domain in ("math", "code", "logic", "stem", "writing")
    }
    assert set(found(rollouts, text="stem-003")["problem_id"]) == {"stem-003"}


def test_orders(rollouts: Rollouts) -> None:
    assert found(rollouts, order="high")["reward"][0] == rollouts.frame["reward"].max()
    lowest = found(rollouts, order="low")["reward"]
    assert lowest[0] == rollouts.frame["reward"].min() and lowest[-1] is None
    assert found(rollouts, order="long")["tokens"].is_sorted(descending=True)


def test_a_group_is_the_responses_to_one_problem_at_one_step(rollouts: Rollouts) -> None:
    row = found(rollouts, place="2-reasoning-rl/train").row(0, named=True)
    group = rollouts.group(row["group"])
    assert [one["sample"] for one in group] == [0, 1, 2, 3]
    assert {(one["problem_id"], one["step"]) for one in group} == {(row["problem_id"], row["step"])}
    assert all(isinstance(one["advantage"], float) for one in group)
    places = set(rollouts.elsewhere(row["problem_id"])["place"])
    assert {"base/evaluation", "4-all-scenarios-rl/train"} <= places
    assert rollouts.group("no such group") == []


def test_a_run_in_progress_is_followed(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    written = copy / "2-reasoning-rl" / "train" / "rollouts"
    at_work = copy / "2-reasoning-rl" / ".train.part"
    shutil.copytree(written.parent, at_work)
    shutil.rmtree(written.parent)
    rollouts = Rollouts(copy)
    before = found(rollouts, place="2-reasoning-rl/train").height
    assert before == 64
    rows = [row | {"step": 3} for row in read_rows(at_work / "rollouts" / "step-000001.parquet")]
    write_rows(at_work / "rollouts" / "step-000003.parquet", rows)
    (copy / "base" / "evaluation" / "scored.jsonl").unlink()
    rollouts.refresh()
    assert found(rollouts, place="2-reasoning-rl/train").height == before + len(rows)
    assert found(rollouts, place="base").height == 0


def test_what_was_read_is_mapped_from_disk(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = load(run).frame
    monkeypatch.setattr("r1train.view.rollouts.MAPPED", 50_000)
    mapped = load(run)
    assert mapped.frame.equals(everything)
    held = [line for line in Path("/proc/self/maps").read_text().splitlines() if "/r1train-view-" in line]
    assert len(held) > 3
    assert all(line.endswith("(deleted)") for line in held), "a file is left where the process is killed"


def test_a_row_with_little_in_it_and_a_torn_one(tmp_path: Path) -> None:
    folder = tmp_path / "m" / "bench" / "evaluation"
    folder.mkdir(parents=True)
    row = {
        "uid": "u",
        "problem_id": "p",
        "task": "math",
        "text": "half \ud83d",
        "verdicts": {},
        "reward": None,
    }
    (folder / "scored.jsonl").write_text(json.dumps(row) + '\n{"uid": "torn')
    (only,) = Rollouts(tmp_path).frame.to_dicts()
    assert (only["place"], only["text"], only["reward"]) == ("m/bench/evaluation", "half ?", None)


def test_a_folder_with_nothing_to_look_at_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither rollouts nor evaluations"):
        load(tmp_path)
    with pytest.raises(UserError, match="there is no folder"):
        load(tmp_path / "nothing")


def test_what_each_rule_dropped_and_the_rows_behind(run: Path) -> None:
    steps = {step.name: step for step in curation.steps(run)}
    step = steps["1-cold-start/curate"]
    assert (step.rows, step.parts) == (800, {"kept": 304})
    assert list(step.rules.items()) == [("wrong_answer", 410), ("unclosed", 64), ("mixed_language", 22)]
    total, lines = curation.told(step, "mixed_language", "", 20, 60)
    assert (total, len(lines)) == (22, 2)
    assert lines[0].line["uid"] == "dropped-mixed_language-20"
    assert lines[0].text.endswith("dropped-mixed_language-20")  # type: ignore[union-attr]
    assert "dropped by mixed_language: measured 0.25, threshold 0.95" in lines[0].sentence
    assert curation.told(step, "kept", "", 0, 5)[0] == 304
    assert curation.told(step, "", "", 0, 5)[0] == 496
    assert curation.told(step, "", "unclosed-63", 0, 5)[0] == 1
    assert curation.story(run, "dropped-unclosed-3")[0].line["rule"] == "unclosed"
    assert curation.story(run, "nobody") == []


def test_rows_whose_file_is_gone_are_said_to_be(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run / "1-cold-start", tmp_path / "1-cold-start")
    (copy / "curate-rows.parquet").unlink()
    (step,) = curation.steps(tmp_path)
    assert curation.told(step, "unclosed", "", 0, 5)[1][0].text is None
