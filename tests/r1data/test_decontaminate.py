"""Decontamination finds what a slow search finds, and shows the text."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1data.decontaminate import Benchmark, Items, decontaminate, parse_benchmark, read_benchmarks
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows

QUESTION = "A train leaves the old station at nine and runs at sixty miles an hour until noon."
DATA = Path(os.environ.get("R1KIT_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def run(
    tmp_path: Path, rows: list[dict[str, Any]], items: list[dict[str, Any]], **options: Any
) -> list[dict[str, Any]]:
    write_rows(tmp_path / "items.jsonl", items)
    filled = [{"task": "general", "id": str(n), **row} for n, row in enumerate(rows)]
    guarded = [Benchmark(name="exam", path=tmp_path / "items.jsonl", solution="solution")]
    decontaminate(filled, tmp_path / "out", against=guarded, **options)
    return list(read_rows(tmp_path / "out" / "ledger.parquet"))


def item(question: str, solution: str = "") -> dict[str, str]:
    return {"prompt": question, "solution": solution}


def test_the_fate_says_which_item_and_which_text(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Consider: " + QUESTION.upper() + " How far does it get?"},
        {"prompt": "A train leaves the new station at nine and stops."},
        {"prompt": " ".join(f"word{n}" for n in range(90)) + " " + " ".join(QUESTION.split()[3:14])},
    ]
    ledger = run(
        tmp_path, rows, [item("Something else that is long enough to have ten words in it."), item(QUESTION)]
    )
    assert [line["fate"] for line in ledger] == ["dropped", "kept", "dropped"]
    assert ledger[0]["match"] == "exam:2 (question)"
    assert ledger[0]["span"] == QUESTION.lower().rstrip(".")
    assert (ledger[0]["rule"], ledger[0]["value"], ledger[0]["threshold"]) == ("overlap_item", 1.0, 0.5)
    assert ledger[1]["rule"] is None
    assert ledger[2]["value"] == pytest.approx(11 / 17)


def test_a_hit_below_the_coverage_is_flagged_and_kept_unless_any_hit_drops(tmp_path: Path) -> None:
    filler = " ".join(f"word{n}" for n in range(60))
    long_item = item(QUESTION + " " + " ".join(f"more{n}" for n in range(30)))
    rows = [{"prompt": filler + " " + " ".join(QUESTION.split()[:10])}]
    (line,) = run(tmp_path, rows, [long_item])
    assert (line["fate"], line["rule"]) == ("kept", "overlap_item")
    (line,) = run(tmp_path, rows, [long_item], coverage=0.0)
    assert line["fate"] == "dropped"


def test_the_response_and_the_solution_count(tmp_path: Path) -> None:
    solution = "First note that three hours pass, so the distance is one hundred and eighty miles."
    rows = [{"prompt": "Tell me a story.", "text": "Well. " + solution}]
    (line,) = run(tmp_path, rows, [item(QUESTION, solution)])
    assert (line["fate"], line["match"]) == ("dropped", "exam:1 (solution)")


def test_short_items_match_as_whole_questions_signs_included(tmp_path: Path) -> None:
    rows = [{"prompt": p} for p in ("what is  $2+2$", "What is 2-2?", "What is 2+2? And 3+3?")]
    ledger = run(tmp_path, rows, [item("What is 2 + 2?")])
    assert [line["fate"] for line in ledger] == ["dropped", "kept", "kept"]
    assert ledger[0]["rule"] == "same_question"


def test_chinese_is_compared_by_character(tmp_path: Path) -> None:
    rows = [
        {"prompt": "请问：小明有五个苹果他又买了三个苹果一共有几个"},
        {"prompt": "今天天气很好我们去公园散步吧"},
    ]
    ledger = run(tmp_path, rows, [item("小明有五个苹果，他又买了三个苹果，一共有几个？")])
    assert [line["fate"] for line in ledger] == ["dropped", "kept"]


_word = st.sampled_from(["a", "b", "c", "d", "e"])
_sentence = st.lists(_word, max_size=14).map(" ".join)


@settings(max_examples=80)
@given(prompts=st.lists(_sentence, min_size=1, max_size=4), items=st.lists(_sentence, max_size=4))
def test_the_coverage_is_that_of_a_slow_search(prompts: list[str], items: list[str]) -> None:
    n = 3
    indexed = Items([(str(i), "question", text) for i, text in enumerate(items)], n)
    for prompt, hit in zip(prompts, indexed.hits(prompts, prompts, []), strict=True):
        mine, best = prompt.split(), 0.0
        for text in items:
            theirs = text.split()
            if len(theirs) < n:
                continue
            pairs = [
                (i, j)
                for i in range(len(mine) - n + 1)
                for j in range(len(theirs) - n + 1)
                if mine[i : i + n] == theirs[j : j + n]
            ]
            of_mine = len({i + k for i, _ in pairs for k in range(n)}) / max(1, len(mine))
            of_theirs = len({j + k for _, j in pairs for k in range(n)}) / len(theirs)
            best = max(best, of_mine, of_theirs)
        same = any(0 < len(text.split()) < n and text == prompt for text in items)
        assert (hit.value if hit else 0.0) == (1.0 if same else best)


def test_long_words_that_differ_in_the_middle_are_verified_apart() -> None:
    one, other = (" ".join(f"{'a' * 12}{middle}{'b' * 12}" for _ in range(4)) for middle in "xy")
    indexed = Items([("1", "question", one)], 3)
    assert [hit is not None for hit in indexed.hits([one, other], [one, other], [])] == [True, False]


def test_benchmarks_are_listed_in_yaml_or_one_argument(tmp_path: Path) -> None:
    (tmp_path / "guard.yaml").write_text(
        "benchmarks:\n  - {name: aime, path: aime.jsonl, question: problem}\n"
    )
    (listed,) = read_benchmarks(tmp_path / "guard.yaml")
    assert (listed.path, listed.question) == (tmp_path / "aime.jsonl", "problem")
    (tmp_path / "guard.yaml").write_text(
        "benchmarks:\n  - {name: aime, path: aime.jsonl, querstion: problem}\n"
    )
    with pytest.raises(UserError, match="did you mean 'question'"):
        read_benchmarks(tmp_path / "guard.yaml")
    parsed = parse_benchmark("x/test.jsonl:question=problem,solution=answer")
    assert (parsed.name, parsed.question, parsed.solution) == ("test", "problem", "answer")
    with pytest.raises(UserError, match="at least one benchmark"):
        decontaminate([], tmp_path / "out", against=[])


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="needs the test data")
def test_gsm8k_keeps_its_training_half(tmp_path: Path) -> None:
    guarded = [
        Benchmark(
            name="gsm8k", path=DATA / "gsm8k_test_half.jsonl.gz", question="question", solution="answer"
        )
    ]
    counts = decontaminate(
        DATA / "gsm8k_train.jsonl.gz",
        tmp_path / "out",
        against=guarded,
        columns={"prompt": "question", "reference": "answer"},
        defaults={"task": "math"},
    )
    assert counts["dropped"] <= 0.002 * counts["in"]
    with gzip.open(DATA / "gsm8k_test_half.jsonl.gz", "rt") as file:
        leaked = [json.loads(line)["question"] for line in file]
    rows = [{"id": str(n), "task": "general", "prompt": question} for n, question in enumerate(leaked)]
    assert decontaminate(rows, tmp_path / "all", against=guarded)["kept"] == 0
