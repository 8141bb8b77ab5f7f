from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1data.sources import load_source
from r1data.sources.arithmetic import draw_equation, draw_product, draw_story, draw_sum, show_sum
from r1data.sources.base import rng_for
from r1data.sources.stories import NAMES, STORIES, THINGS

LANGUAGES = ("en", "zh")


@given(st.integers(0, 10**9), st.sampled_from(LANGUAGES), st.booleans())
def test_the_answer_of_a_sum_is_its_value(seed, language, negative):
    question, answer, facts = draw_sum(rng_for(seed), language, (2, 5), (1, 3), negative)
    shown = re.search(r"\d+(?: [+-] \d+)+", question)[0]
    assert eval(shown) == int(answer) and shown == show_sum(facts["terms"])
    if not negative:
        assert all(sum(facts["terms"][: i + 1]) >= 0 for i in range(len(facts["terms"])))


@given(st.integers(0, 10**9), st.sampled_from(LANGUAGES))
def test_the_answer_of_a_product_is_its_value(seed, language):
    question, answer, _ = draw_product(rng_for(seed), language, (1, 2))
    assert eval(re.search(r"\d+ \* \d+", question)[0]) == int(answer)


@given(st.integers(0, 10**9), st.sampled_from(LANGUAGES), st.integers(1, 2))
def test_the_answer_solves_the_equation(seed, language, digits):
    question, answer, facts = draw_equation(rng_for(seed), language, (1, digits))
    left, right = re.search(r"((?:\d+\*)?[a-z](?: [+-] \d+)?) = (-?\d+)", question).groups()
    assert eval(left, {facts["variable"]: int(answer)}) == int(right)


@given(st.integers(0, 10**9), st.sampled_from(LANGUAGES))
@settings(max_examples=200)
def test_a_story_is_whole_and_every_number_in_it_is_positive(seed, language):
    question, answer, facts = draw_story(rng_for(seed), language, (1, 2))
    assert "{" not in question and int(answer) > 0
    assert all(int(number) > 0 for number in re.findall(r"\d+", question))
    assert question.endswith("?" if language == "en" else "？")
    assert STORIES[facts["story"]].values(facts)["answer"] == int(answer)


@pytest.mark.parametrize(
    ("story", "numbers", "answer"),
    [
        ("gain", {"a": 3, "b": 4}, 7),
        ("lose", {"a": 9, "b": 4}, 5),
        ("gain-lose", {"a": 9, "b": 4, "c": 6}, 7),
        ("groups", {"m": 3, "n": 4}, 12),
        ("groups-more", {"m": 3, "n": 4, "c": 5}, 17),
        ("share", {"m": 3, "answer_each": 4}, 4),
        ("change", {"m": 3, "n": 4, "c": 8}, 8),
        ("together", {"a": 3, "b": 4}, 10),
        ("pages", {"m": 3, "n": 4, "c": 9}, 9),
        ("age", {"a": 30, "b": 4}, 34),
        ("twice", {"a": 5, "m": 3}, 20),
    ],
)
def test_every_story_is_solved_as_by_hand(story, numbers, answer):
    for language in LANGUAGES:
        facts = {**numbers, "who": NAMES[language][0], **THINGS[language][0]}
        values = STORIES[story].values(facts)
        assert values["answer"] == answer
        for text in (*STORIES[story].asks[language], *STORIES[story].steps[language]):
            assert "{" not in text.format(**values)


def test_the_table_of_hand_solved_stories_is_complete():
    marks = test_every_story_is_solved_as_by_hand.pytestmark
    assert {case[0] for case in marks[0].args[1]} == set(STORIES)


def test_sizes_and_languages_are_what_was_asked_for():
    tiny = load_source("arithmetic", count=60, seed=1, kinds=["sum"], terms=2, digits=1, language="en")
    assert all(len(p["meta"]["terms"]) == 2 for p in tiny)
    assert all(abs(term) < 10 for p in tiny for term in p["meta"]["terms"])
    assert {p["language"] for p in tiny} == {"en"}
    assert {p["language"] for p in load_source("arithmetic", count=20, seed=1)} == {"en", "zh"}
