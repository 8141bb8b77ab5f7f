"""The hand-written rows are whole, right, and of even length where a model must not learn length."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from r1data.content import labels, load, pairs
from r1rewards import choice, code, math, puzzle
from r1rewards.core.errors import UserError
from r1rewards.core.rows import check_problem, question_of
from r1rewards.core.template import get_template

TEMPLATE = get_template("think-answer")
HAN = re.compile(r"[\u4e00-\u9fff]")


def test_an_unknown_name_suggests_one():
    with pytest.raises(UserError, match="did you mean 'general'"):
        load("generals")


@pytest.mark.parametrize("name", ["traces", "general", "safety"])
def test_ids_and_prompts_are_distinct_and_texts_are_clean(name):
    rows = load(name)
    assert len({row["id"] for row in rows}) == len(rows)
    assert len({str(row["prompt"]) for row in rows}) == len(rows)
    for row in rows:
        for key in ("prompt", "reasoning", "answer", "worse", "unsafe", "refusal"):
            text = row.get(key)
            assert not isinstance(text, str) or (text and text == text.strip()), (row["id"], key)
        assert not HAN.search(row.get("reasoning", "")) or row["language"] == "zh" or "translat" in row["id"]


def test_traces_cover_every_task_in_both_languages():
    counts = Counter((row["task"], row["language"]) for row in load("traces"))
    for task in ("math", "choice", "puzzle", "code"):
        assert counts[task, "en"] >= 8 and counts[task, "zh"] >= 5


def test_hand_written_traces_are_problems_and_graded_right():
    for row in load("traces"):
        problem = check_problem(row, row["id"])
        response = TEMPLATE.render(row["reasoning"], row["answer"])
        assert TEMPLATE.parse(response).well_formed
        reference = problem["reference"]
        if problem["task"] == "math":
            verdict = math.check(response, reference, policy="strict", template=TEMPLATE)
        elif problem["task"] == "choice":
            verdict = choice.check(response, reference, template=TEMPLATE)
        elif problem["task"] == "code":
            verdict = code.check(row["answer"], reference)
        else:
            question = question_of(problem["prompt"])
            verdict = puzzle.check(response, reference, template=TEMPLATE, question=question)
        assert verdict.value == 1, (row["id"], verdict)


def test_general_prompts_cover_what_they_should():
    rows = load("general")
    domains = Counter(row["domain"] for row in rows)
    wanted = {"qa": 40, "writing": 30, "roleplay": 15, "self_cognition": 5, "greeting": 5, "translation": 5}
    assert len(rows) >= 110 and all(domains[domain] >= least for domain, least in wanted.items())
    (long,) = (row for row in rows if row["domain"] == "long_text")
    assert 380 <= len(long["prompt"].split()) <= 460
    assert 0.2 < sum(row["language"] == "zh" for row in rows) / len(rows) < 0.3
    assert 0.4 < sum("reasoning" in row for row in rows) / len(rows) < 0.65
    assert all(row["thinking"] == "none" for row in rows if row["domain"] == "greeting")


def test_safety_prompts_have_true_labels_only():
    rows = load("safety")
    harmful = [row for row in rows if row["harmful"]]
    assert len(rows) >= 70 and 0.6 < len(harmful) / len(rows) < 0.72
    assert all("unsafe" in row and "refusal" not in row for row in harmful)
    assert all("refusal" in row and "unsafe" not in row for row in rows if not row["harmful"])
    made = labels()
    assert Counter(row["label"] for row in made) == {1: len(rows), 0: len(harmful)}
    refusals = {row.get("refusal") for row in rows}
    assert not refusals & {row["response"] for row in made}


def test_length_tells_nothing():
    general, safety = load("general"), [row for row in load("safety") if row["harmful"]]
    longer = sum(len(row["worse"]) > len(row["answer"]) for row in general) / len(general)
    assert 0.4 < longer < 0.6
    longer = sum(len(row["unsafe"]) > len(row["answer"]) for row in safety) / len(safety)
    assert 0.4 < longer < 0.6
    for row in general:
        assert abs(len(row["worse"]) - len(row["answer"])) <= max(12, 0.35 * len(row["answer"])), row["id"]
    everything = pairs()
    longer = sum(len(pair["rejected"]) > len(pair["chosen"]) for pair in everything) / len(everything)
    assert 0.4 < longer < 0.6


def test_pairs_never_reject_what_they_choose_and_are_the_same_each_time():
    made = pairs()
    assert made == pairs()
    assert {pair["kind"] for pair in made} == {"written", "refusal", "other", "cut", "loop"}
    for pair in made:
        assert pair["chosen"] != pair["rejected"] and pair["prompt"][0]["role"] == "user"
        assert pair["kind"] != "cut" or pair["rejected"][-1] not in ".!?。！？"


def test_ids_keep_a_split_apart():
    ids = [row["id"] for row in load("general")] + [row["id"] for row in load("safety")]
    train, held_out = set(ids[::2]), set(ids[1::2])
    answers = {row["id"]: row["answer"] for row in load("general")}
    hidden = {answers[i] for i in held_out if i in answers}
    for pair in pairs(train):
        assert pair["id"] in train
        assert pair["chosen"] not in hidden and pair["rejected"] not in hidden
    assert {row["id"] for row in labels(train)} <= train
    assert pairs(set()) == [] and labels(set()) == []
    assert {pair["kind"] for pair in pairs({"qa-001"})} <= {"written", "cut", "loop"}
