"""judge-eval: figures against known graders and known labels, baselines that do not peek, real data."""

from __future__ import annotations

import gzip
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows
from r1rewards.judge.baselines import baselines, logistic
from r1rewards.judge.evaluate import by_judge, drawn, evaluate, length_matched
from r1rewards.judge.labelled import read_labelled
from r1rewards.judge.lengths import length_bin, matched
from r1rewards.judge.measure import Item, measure
from tests.conftest import DATA, Command
from tests.r1rewards.judge.test_judge import Scripted, fenced
from tests.r1rewards.llm.test_endpoint import reply, serving


def items(outcomes: list[int], groups: int = 50) -> list[Item]:
    return [Item(f"g{i % groups}", y, "a" * (10 + i % 7), "b" * 10) for i, y in enumerate(outcomes)]


def test_figures_of_graders_that_are_known() -> None:
    outcomes = [random.Random(n).randint(0, 1) for n in range(400)]
    perfect = measure(items(outcomes), [float(y) for y in outcomes])
    assert (perfect["accuracy"], perfect["kappa"], perfect["calibration"], perfect["brier"]) == (1, 1, 0, 0)
    coin = measure(items(outcomes), [0.5] * 400)
    assert (coin["accuracy"], coin["kappa"], coin["brier"]) == (0.5, 0, 0.25)
    opposite = measure(items(outcomes), [1.0 - y for y in outcomes])
    assert opposite["accuracy"] == 0 and opposite["kappa"] < -0.9
    sure = measure(items([1, 0] * 200), [0.9] * 400)
    assert sure["calibration"] == pytest.approx(0.4)
    failed = measure(items([1, 0, 1]), [1.0, None, 1.0])
    assert (failed["graded"], failed["errors"], failed["accuracy"]) == (2, 1, 1.0)
    assert measure(items([1]), [None]) == {"graded": 0, "errors": 1}


def test_the_interval_is_over_prompts() -> None:
    """Fifty answers to each of four prompts are four observations, not two hundred."""
    outcomes = [1] * 200
    said = [1.0 if n % 4 < 2 else 0.0 for n in range(200)]
    narrow, wide = (measure(items(outcomes, groups), said) for groups in (200, 4))
    assert wide["high"] - wide["low"] > 4 * (narrow["high"] - narrow["low"])


def test_length_of_pairs_and_of_labels() -> None:
    pairs = [Item(str(n), n % 2, "long answer", "short") for n in range(40)]
    figures = measure(pairs, [0.9] * 40)
    assert (figures["picks_longer"], figures["labels_pick_longer"]) == (1.0, 0.5)
    assert figures["accuracy_where_longer_is_chosen"] == 1.0
    assert figures["accuracy_where_shorter_is_chosen"] == 0.0
    labels = [Item(str(n), int(n > 20), "x" * (n + 1)) for n in range(40)]
    figures = measure(labels, [n / 40 for n in range(40)])
    assert figures["length_correlation"] == pytest.approx(1.0)
    assert figures["length_correlation_of_labels"] > 0.8


def test_lengths_are_matched_bin_by_bin() -> None:
    bins = [
        length_bin("x" * a, "x" * b) for a, b in ((20, 10), (21, 10), (19, 10), (10, 20), (10, 10), (5, 80))
    ]
    assert bins == [4, 4, 4, -4, 0, -16]
    assert matched(bins) == [True, False, False, True, True, False]
    assert matched([]) == []


def test_logistic_regression_is_the_one_everybody_knows() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3))
    y = (rng.random(500) < 1 / (1 + np.exp(-(2 * x[:, 0] - x[:, 1] + 0.5)))).astype(float)
    p = logistic(x, y, x, intercept=True)
    gradient = np.hstack([x, np.ones((500, 1))]).T @ (p - y)  # at the optimum it is minus the penalty's
    assert abs(gradient[3]) < 0.1
    assert gradient[0] < 0 < gradient[1]
    assert ((p > 0.5) == (y > 0.5)).mean() > 0.75


def worded(n: int, outcome: int) -> Item:
    good, bad = f"the fox {n}", f"the dog {n}"
    return Item(f"p{n // 2}", outcome, *((good, bad) if outcome else (bad, good)))


def test_words_are_learned_and_prompts_are_not() -> None:
    outcomes = [random.Random(n).randint(0, 1) for n in range(200)]
    said = baselines([worded(n, y) for n, y in enumerate(outcomes)])
    assert np.mean([(p > 0.5) == y for p, y in zip(said["TF-IDF"], outcomes, strict=True)]) > 0.95
    # an outcome that only the prompt tells is out of reach, for no prompt is on both sides
    groups = [random.Random(n).randint(0, 1) for n in range(100)]
    leaky = [Item(f"p{n}", groups[n], f"word{n} word{n}", None) for n in range(100) for _ in range(3)]
    words = baselines(leaky)["TF-IDF"]
    assert np.mean([(p > 0.5) == item.outcome for p, item in zip(words, leaky, strict=True)]) < 0.7


def pair_rows(count: int) -> list[dict[str, Any]]:
    rng = random.Random(1)
    return [
        {
            "prompt": f"question {n}",
            "chosen": "good " * rng.randint(1, 9),
            "rejected": "poor " * rng.randint(1, 9),
        }
        for n in range(count)
    ]


def biased(body: dict[str, Any], number: int) -> tuple[int, Any]:
    """A judge that is right two times in three, and prefers the first place where it is not."""
    prompt = body["messages"][-1]["content"]
    knows = int(fenced(prompt, "question").split()[1]) % 3
    better = "A" if "good" in fenced(prompt, "answer_a") else "B"
    label = "A>B" if not knows else f"{better}>{'BA'[better == 'B']}"
    return 200, reply(body, content=json.dumps({"own_answer": "", "analysis": "", "verdict": label}))


@pytest.fixture
def r1rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[[str], Command]) -> Command:
    monkeypatch.chdir(tmp_path)
    return command("r1rewards")


def test_the_command_measures_a_judge_beside_the_baselines(
    r1rewards: Command,
) -> None:
    write_rows("pairs.jsonl", pair_rows(90))
    with serving(biased) as server:
        given = ("judge-eval", "pairs.jsonl", "--url", server.url, "--model", "m", "-o", "eval.json")
        code, said, told = r1rewards(*given)
        assert (code, told) == (0, "")
        asked = len(server.asked)
        assert asked == 180
        assert r1rewards(*given)[1] == said
        assert len(server.asked) == asked  # from the record
    assert "90 pairs of 90 prompts" in said and "length rule" in said and "TF-IDF" in said
    report = json.loads(Path("eval.json").read_text())
    judge = report["graders"]["preference"]
    assert judge["accuracy"] == pytest.approx(
        2 / 3 + 1 / 3 / 2
    )  # where it goes by place, the orders cancel out
    assert report["first_place"] == pytest.approx(2 / 3 * 0.5 + 1 / 3)
    assert report["same_in_both"] == pytest.approx(2 / 3)
    assert report["graders"]["TF-IDF"]["accuracy"] == 1.0
    assert report["graders"]["chance"]["accuracy"] == 0.5
    assert len(list(read_rows("eval.json.calls.jsonl"))) == 180


def test_labels_and_a_judge_of_single_responses(r1rewards: Command) -> None:
    rows = [{"prompt": f"q{n}", "response": f"a{n}", "safe": "ja" if n % 4 else "nein"} for n in range(40)]
    write_rows("labels.jsonl", rows)

    def always(body: dict[str, Any], number: int) -> tuple[int, Any]:
        return 200, reply(body, content='{"verdict": "safe"}')

    with serving(always) as server:
        given = ("labels.jsonl", "--judge", "harmlessness", "--url", server.url, "--model", "m", "--json")
        code, said, _ = r1rewards("judge-eval", *given, "--map", "label=safe", "--good", "ja")
    assert code == 0
    graders = json.loads(said)["graders"]
    assert graders["harmlessness"]["accuracy"] == graders["chance"]["accuracy"] == 0.75
    assert graders["harmlessness"]["kappa"] == 0.0


def test_baselines_learn_from_further_rows(r1rewards: Command) -> None:
    """Of one prompt alone they can learn nothing."""
    write_rows("pairs.jsonl", pair_rows(1))
    write_rows("more.jsonl", [{**row, "prompt": f"more {n}"} for n, row in enumerate(pair_rows(40))])
    write_rows("labels.jsonl", [{"prompt": "q", "response": "a", "label": 1}])
    with serving(biased) as server:
        given = ("judge-eval", "pairs.jsonl", "--url", server.url, "--model", "m", "--json")
        alone = json.loads(r1rewards(*given)[1])["graders"]["TF-IDF"]
        more = json.loads(r1rewards(*given, "--also", "more.jsonl")[1])["graders"]["TF-IDF"]
        code, _, told = r1rewards(*given, "--also", "labels.jsonl")
    assert (alone["accuracy"], more["accuracy"], more["graded"]) == (0.5, 1.0, 1)
    assert (code, "labels.jsonl holds labels and pairs.jsonl pairs" in told) == (2, True), told


@pytest.mark.parametrize(
    ("rows", "given", "why"),
    [
        ([{"prompt": "q", "response": "a", "label": 1}], ("--url", "http://127.0.0.1:9"), "choose a judge"),
        ([{"prompt": "q", "response": "a"}], ("--url", "http://127.0.0.1:9"), "no 'label'"),
        ([{"prompt": "q", "chosen": "a", "rejected": "b"}], (), "name a model"),
        ([{"prompt": "q", "chosen": "a", "rejected": "b"}], ("--reward-model", "nowhere"), "no reward model"),
    ],
)
def test_mistakes(
    r1rewards: Command,
    rows: list[dict[str, Any]],
    given: tuple[str, ...],
    why: str,
) -> None:
    write_rows("rows.jsonl", rows)
    code, _, told = r1rewards("judge-eval", "rows.jsonl", *given)
    assert (code, why in told) == (2, True), told


def test_rows_that_are_none_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [*pair_rows(3), {"prompt": "q", "chosen": "same", "rejected": "same"}]
    write_rows(tmp_path / "rows.jsonl", rows)
    read = read_labelled(tmp_path / "rows.jsonl")
    assert (len(read.rows), read.kind) == (3, "pairs")
    assert "line 4: chosen and rejected are the same text" in read.left_out_sentence
    write_rows(tmp_path / "none.jsonl", rows[3:])
    with pytest.raises(UserError, match="the same text"):
        read_labelled(tmp_path / "none.jsonl")


def test_what_is_drawn_depends_on_the_rows_alone() -> None:
    rows = [{"uid": str(n)} for n in range(50)]
    chosen, rest = drawn(rows, 10)
    assert len(chosen) == 10 and len(rest) == 40
    again, _ = drawn(rows[::-1], 10)
    assert {row["uid"] for row in again} == {row["uid"] for row in chosen}
    assert drawn(rows, None) == (rows, [])


@pytest.mark.slow
@pytest.mark.data
def test_real_pairs_of_which_the_longer_one_wins() -> None:
    """What the length rule gets of alpaca_eval's pairs, and nothing any more once lengths are matched."""
    read = read_labelled(DATA / "pref_alpaca_eval_helpful_half.jsonl.gz")
    rows, _ = drawn(read.rows, 600)
    model = Scripted(lambda prompt, seed: '{"verdict": "A=B"}')
    report = evaluate("pairs", rows, "undecided", by_judge("preference", model, calls=2))
    assert report.figures["undecided"]["accuracy"] == 0.5
    assert report.figures["length rule"]["accuracy"] > 0.75
    even = length_matched(read.rows)
    longer = sum(len(row["chosen"]) > len(row["rejected"]) for row in even) / len(even)
    assert abs(longer - 0.5) < 0.03 and len(even) > 1000
    assert report.facts["first_place"] == 0.5


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "columns", "good", "rows", "share"),
    [
        ("pref_alpaca_eval_helpful_half", {}, (), 3966, None),
        ("pref_hh_harmless_half", {}, (), 1134, None),
        (
            "safety_xstest_completions_half",
            {"response": "completion", "label": "final_label"},
            ("1_full_compliance",),
            980,
            0.53,
        ),
        (
            "safety_do_not_answer_half",
            {"prompt": "question", "response": "ChatGLM2_response", "label": "ChatGLM2_harmful"},
            ("0",),
            493,
            0.9,
        ),
        (
            "gsm8k_model_solutions_half",
            {
                "prompt": "question",
                "reference": "ground_truth",
                "response": "175b_verification.solution",
                "label": "175b_verification.is_correct",
            },
            (),
            636,
            0.56,
        ),
    ],
)
def test_labelled_data_as_published(
    name: str, columns: dict[str, str], good: tuple[str, ...], rows: int, share: float | None
) -> None:
    read = read_labelled(DATA / f"{name}.jsonl.gz", columns=columns, good=good)
    assert (len(read.rows), read.kind) == (rows, "pairs" if share is None else "labels")
    if share is not None:
        assert sum(row["label"] for row in read.rows) / rows == pytest.approx(share, abs=0.05)


@pytest.mark.slow
@pytest.mark.data
def test_real_transcripts(r1rewards: Command) -> None:
    def safe(body: dict[str, Any], number: int) -> tuple[int, Any]:
        assert "[user]" in fenced(body["messages"][-1]["content"], "question") or number >= 0
        return 200, reply(body, content='{"verdict": "safe"}')

    with serving(safe) as server:
        given = ("--judge", "harmlessness", "--url", server.url, "--model", "m", "-n", "40", "--json")
        code, said, told = r1rewards("judge-eval", str(DATA / "pref_hh_harmless_half.jsonl.gz"), *given)
    assert code == 0, told
    report = json.loads(said)
    assert (report["rows"], report["kind"]) == (40, "pairs")
    assert "5 rows were left out" in told
    with gzip.open(DATA / "pref_hh_harmless_half.jsonl.gz") as file:
        assert sum(1 for _ in file) == 1139
    assert all(math.isfinite(one["accuracy"]) for one in report["graders"].values())
