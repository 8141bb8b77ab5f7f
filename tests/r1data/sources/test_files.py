from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from r1data.sources import load_source
from r1data.sources.columns import get_preset, presets
from r1rewards.core.errors import UserError
from r1rewards.core.store import write_rows

DATA = Path(os.environ.get("R1KIT_DATA") or Path(__file__).parents[4] / "shared" / "data")
ROWS = [{"problem": f"What is {n} + {n}?", "solution": f"Twice {n}.\n#### {2 * n}"} for n in range(10)]
MAP = {"prompt": "problem", "reference": "solution"}


@pytest.fixture(params=["rows.jsonl", "rows.jsonl.gz", "rows.parquet", "rows.csv"])
def path(request, tmp_path):
    path = tmp_path / request.param
    if path.suffix == ".csv":
        quoted = (f'"{row["problem"]}","{row["solution"]}"' for row in ROWS)
        path.write_text("\n".join(["problem,solution", *quoted]) + "\n")
    else:
        write_rows(path, ROWS)
    return path


def test_every_format_gives_the_same_problems(path):
    problems = load_source("files", count=10, seed=0, path=str(path), map=MAP, extract="####", task="math")
    assert [p["reference"] for p in problems] == [str(2 * n) for n in range(10)]
    assert problems[3]["prompt"] == [{"role": "user", "content": "What is 3 + 3?"}]
    assert problems[3]["domain"] == "math" and problems[3]["source"] == "rows"


def test_the_seed_chooses_rows_and_leaves_their_ids_alone(path):
    def load(count, seed):
        return load_source("files", count=count, seed=seed, path=str(path), map=MAP, task="math")

    whole = load(100, 0)
    assert len(whole) == 10 and load(4, 1) == load(4, 1) != load(4, 2)
    assert all(problem in whole for problem in load(4, 1))
    assert [p["id"] for p in load(4, 1)] == sorted(p["id"] for p in load(4, 1))


def test_columns_of_the_row_come_before_the_defaults(tmp_path):
    write_rows(tmp_path / "p.jsonl", [{"id": "a", "task": "choice", "prompt": "A or B?", "reference": "A"}])
    problem = load_source(
        "files", count=1, seed=0, path=str(tmp_path / "p.jsonl"), task="math", language="en"
    )[0]
    assert (problem["id"], problem["task"], problem["language"]) == ("a", "choice", "en")


def test_a_boxed_answer_is_taken_out(tmp_path):
    write_rows(tmp_path / "p.jsonl", [{"q": "?", "s": r"First \boxed{1}, no: \boxed{\frac{1}{2}}."}])
    options = {"map": {"prompt": "q", "reference": "s"}, "extract": "boxed", "task": "math"}
    problem = load_source("files", count=1, seed=0, path=str(tmp_path / "p.jsonl"), **options)[0]
    assert problem["reference"] == r"\frac{1}{2}"


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        ({"q": "?"}, {"map": {"prompt": "question"}, "task": "math"}, "question"),
        ({"prompt": "?"}, {"task": "math"}, "line 1: a math problem needs a reference"),
        ({"prompt": "?", "reference": "1"}, {}, "line 1: .*task"),
        ({"prompt": "?", "reference": "1"}, {"task": "math", "extract": "####"}, "no answer after '####'"),
        ({"prompt": "?"}, {"map": {"promt": "prompt"}}, "did you mean 'prompt'"),
        ({"prompt": "?"}, {"preset": "gsm9k"}, "did you mean 'gsm8k'"),
    ],
)
def test_what_is_wrong_with_a_row_is_one_sentence(tmp_path, row, options, message):
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=message):
        load_source("files", count=1, seed=0, path=str(path), **options)


def test_bad_rows_stop_the_reading_or_are_counted(tmp_path, caplog):
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "1?", "reference": "1"}\n{"prompt": "2?", "reference": ""}\n')
    with pytest.raises(UserError, match=r"line 2: .*skip_bad: true"):
        load_source("files", count=9, seed=0, path=str(path), task="math")
    kept = load_source("files", count=9, seed=0, path=str(path), task="math", skip_bad=True)
    assert [p["reference"] for p in kept] == ["1"]
    assert "1 of 2 rows left out; the first: " in caplog.text and "line 2" in caplog.text


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.jsonl"):
        load_source("files", count=1, seed=0, path=str(tmp_path / "nothing.jsonl"), task="math")


def test_every_preset_says_what_is_asked_and_how_it_is_graded():
    for name in presets():
        preset = get_preset(name)
        assert preset.hub and preset.task
        assert preset.shape or (preset.map["prompt"] and preset.map["reference"])


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="R1KIT_DATA names no folder")
@pytest.mark.parametrize(
    ("preset", "file", "least"),
    [("gsm8k", "gsm8k_train", 7000), ("math", "math_train_7500", 7000), ("aime-2024", "aime24", 30)],
)
def test_presets_fit_the_real_rows(preset, file, least):
    path = DATA / f"{file}.jsonl.gz"
    options = {"path": str(path), "preset": preset, "skip_bad": True}  # one row of MATH has no answer
    problems = load_source("files", count=10**6, seed=0, **options)
    assert len(problems) >= least
    for problem in problems:
        assert problem["task"] == "math" and problem["reference"] and "####" not in problem["reference"]
    assert load_source("files", count=5, seed=1, **options)[0] in problems
