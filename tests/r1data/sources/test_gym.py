from __future__ import annotations

import re

import pytest

from r1data.sources import load_source
from r1data.sources.gym_table import LOGIC, SUITABLE, UNSOUND
from r1rewards import puzzle
from r1rewards.core.errors import UserError
from r1rewards.core.rows import question_of


@pytest.mark.parametrize("dataset", SUITABLE)
def test_a_suitable_data_set_gives_short_questions_and_facts(dataset):
    for problem in load_source("reasoning-gym", count=12, seed=5, dataset=dataset):
        assert problem["task"] == SUITABLE[dataset].task
        assert problem["meta"]["kind"] != "gym"
        assert 10 <= len(question_of(problem["prompt"])) <= 260
        assert problem["source"] == f"reasoning-gym/{dataset}"


@pytest.mark.parametrize("dataset", LOGIC)
def test_the_puzzle_reward_draws_the_same_item_again(dataset):
    for problem in load_source("reasoning-gym", count=3, seed=5, dataset=dataset):
        question = question_of(problem["prompt"])
        answer = problem["meta"]["answer"]
        assert puzzle.check(answer, problem["reference"], question=question).value == 1
        assert puzzle.check("no idea", problem["reference"], question=question).value == 0


def test_any_data_set_can_be_asked_as_a_puzzle_or_as_math():
    asked = {"dataset": "count_bits", "config": {"max_n": 200}}
    one = load_source("reasoning-gym", count=2, seed=1, **asked)[0]
    two = load_source("reasoning-gym", count=2, seed=1, as_task="math", domain="stem", **asked)[0]
    assert (one["task"], one["domain"]) == ("puzzle", "logic")
    assert one["reference"]["config"] == {"max_n": 200}
    assert (two["task"], two["domain"]) == ("math", "stem")
    assert two["reference"] == one["meta"]["answer"]


@pytest.mark.parametrize("dataset", UNSOUND)
def test_what_cannot_be_graded_is_refused_with_its_reason(dataset):
    with pytest.raises(UserError, match="cannot be used: "):
        load_source("reasoning-gym", count=1, seed=0, dataset=dataset)


def test_wrong_names_and_settings_are_one_sentence():
    with pytest.raises(UserError, match="did you mean 'chain_sum'"):
        load_source("reasoning-gym", count=1, seed=0, dataset="chain_sums")
    with pytest.raises(UserError, match="refuses the config"):
        load_source("reasoning-gym", count=1, seed=0, dataset="chain_sum", config={"min_terms": -3})
    with pytest.raises(UserError, match="as_task"):
        load_source("reasoning-gym", count=1, seed=0, dataset="chain_sum", as_task="essay")


def test_family_relations_never_ask_what_reasoning_gym_answers_wrongly():
    problems = load_source("reasoning-gym", count=60, seed=3, dataset="family_relationships")
    assert not {p["meta"]["relation"] for p in problems} & {
        "mother-in-law",
        "father-in-law",
        "niece",
        "nephew",
    }


def test_some_data_sets_can_be_asked_in_chinese():
    for dataset in ("chain_sum", "number_sequence"):
        problem = load_source("reasoning-gym", count=1, seed=5, dataset=dataset, language="zh")[0]
        assert problem["language"] == "zh" and re.search("[一-鿿]", question_of(problem["prompt"]))
        assert not re.search("[A-Za-z]", question_of(problem["prompt"]))
    with pytest.raises(UserError, match="asks in English only; in Chinese there are chain_sum"):
        load_source("reasoning-gym", count=1, seed=5, dataset="aiw", language="zh")


def test_logic_takes_turns():
    problems = load_source("logic", count=2 * len(LOGIC), seed=1)
    assert [p["source"].partition("/")[2] for p in problems[: len(LOGIC)]] == list(LOGIC)
    only = load_source("logic", count=4, seed=1, datasets=["number_filtering", "spell_backward"])
    assert {p["reference"]["dataset"] for p in only} == {"number_filtering", "spell_backward"}
