from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1rewards.core.errors import UserError
from r1rewards.core.template import FAULTS, TEMPLATES, get_template

TAGS = sorted({tag for t in TEMPLATES.values() for tag in t.reasoning_tags + (t.answer_tags or ())})
templates = st.sampled_from(sorted(TEMPLATES.values(), key=lambda t: t.name))
# With a letter in it that can be seen: what holds none counts as empty. Fillers are letters to Unicode.
FILLERS = "\u115f\u1160\u3164\uffa0"
plain = st.text(st.characters(exclude_categories=("Cs",), exclude_characters=FILLERS), max_size=80).filter(
    lambda s: any(map(str.isalnum, s)) and not any(tag in s for tag in TAGS)
)
# Pieces of tags beside whole ones: what breaks parsers is what nearly matches.
soup = st.lists(st.sampled_from([*TAGS, "<", "/", ">", "think", "<think", "\n", " ", "7", "так", "\0"])).map(
    "".join
)


@given(templates, plain, plain)
def test_what_is_rendered_parses_back(template, reasoning, answer):
    trace = template.parse(template.render(reasoning, answer))
    assert (trace.reasoning, trace.answer) == (reasoning.strip(), answer.strip())
    assert trace.well_formed
    assert trace.faults == ()


@given(templates, plain)
def test_the_form_without_thinking_parses_back(template, answer):
    text = template.render("", answer, thinking=False)
    assert template.parse(text, thinking=False).well_formed
    assert template.parse(text, thinking=False, prefilled=True) == template.parse(text, thinking=False)
    assert "no_reasoning" in template.parse(text).faults


@given(templates, plain, plain)
def test_a_prefilled_tag_may_be_left_out_or_repeated_by_the_model(template, reasoning, answer):
    whole = template.render(reasoning, answer)
    completion = whole.removeprefix(template.reasoning_tags[0])
    assert template.parse(completion, prefilled=True) == template.parse(whole)
    assert template.parse(whole, prefilled=True) == template.parse(whole)
    assert template.parse(completion).faults == ("unopened_reasoning",)
    assert template.parse(completion).reasoning == reasoning.strip()


@given(templates, soup, st.booleans(), st.booleans())
def test_any_text_is_taken_apart_without_inventing_any(template, text, prefilled, thinking):
    trace = template.parse(text, prefilled=prefilled, thinking=thinking)
    assert trace.reasoning in text
    assert trace.answer in text
    assert trace.well_formed == (not trace.faults)
    assert list(trace.faults) == [name for name in FAULTS if name in trace.faults]


@given(templates, soup)
def test_well_formed_means_each_tag_once_and_in_order(template, text):
    if template.parse(text).well_formed:
        tags = [*template.reasoning_tags, *(template.answer_tags or ())]
        assert [text.count(tag) for tag in tags] == [1] * len(tags)
        assert sorted(tags, key=text.find) == tags


@given(templates, plain, plain)
def test_thinking_that_an_endpoint_returns_apart_is_joined(template, reasoning, answer):
    content = template.render("", answer, thinking=False)
    assert template.parse(template.join(reasoning, content)) == template.parse(
        template.render(reasoning, answer)
    )
    assert template.join(None, content) == content


CASES = [
    ("think-answer", "", ("no_reasoning", "no_answer", "empty_answer"), "", ""),
    ("think-answer", "72", ("no_reasoning", "no_answer"), "", "72"),
    ("think-answer", "<think>a</think><answer>b</answer>", (), "a", "b"),
    ("think-answer", "<think>a</think>b", ("no_answer",), "a", "b"),
    ("think-answer", "<think>a", ("unclosed_reasoning",), "a", ""),
    ("think-answer", "<think>a<answer>b</answer>", ("unclosed_reasoning",), "a<answer>b</answer>", ""),
    ("think-answer", "<think>a</think><answer>b", ("unclosed_answer",), "a", "b"),
    ("think-answer", "<think>a</think>b</answer>", ("unopened_answer",), "a", "b"),
    ("think-answer", "hm <think>a</think><answer>b</answer>", ("text_outside",), "a", "b"),
    ("think-answer", "<think>a</think>hm<answer>b</answer>", ("text_outside",), "a", "b"),
    ("think-answer", "<think>a</think><answer>b</answer>hm", ("text_outside",), "a", "b"),
    ("think-answer", "<think> </think><answer>b</answer>", ("empty_reasoning",), "", "b"),
    ("think-answer", "<think>a</think><answer> </answer>", ("empty_answer",), "a", ""),
    ("think-answer", "<think>a</think><answer>b</answer><answer>c</answer>", ("repeated_tag",), "a", "c"),
    ("think-answer", "<think>a</think><think>c</think><answer>b</answer>", ("repeated_tag",), None, "b"),
    (
        "think-answer",
        "<answer>b</answer><think>a</think>",
        ("no_answer", "wrong_order", "text_outside"),
        "a",
        "",
    ),
    ("think-summary", "<think>a</think>b", (), "a", "b"),
    ("think-summary", "</think>b<think>", ("wrong_order",), "", None),
    ("reasoning-summary", "<reasoning_process>a</reasoning_process><summary>b</summary>", (), "a", "b"),
    ("reasoning-summary", "<think>a</think><summary>b</summary>", ("no_reasoning", "text_outside"), "", "b"),
]


@pytest.mark.parametrize(("name", "text", "faults", "reasoning", "answer"), CASES)
def test_faults_by_name(name, text, faults, reasoning, answer):
    trace = get_template(name).parse(text)
    assert set(faults) <= set(trace.faults)
    assert bool(faults) != trace.well_formed
    assert reasoning in (None, trace.reasoning)
    assert answer in (None, trace.answer)


def test_a_row_without_thinking_refuses_thinking():
    template = get_template("think-summary")
    assert template.parse("hello", thinking=False).well_formed
    assert template.parse("<think>hm</think>hello", thinking=False).faults == ("unwanted_reasoning",)
    assert template.parse("hm</think>hello", thinking=False, prefilled=True).answer == "hello"


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_megabytes_of_tags_are_taken_apart(template):
    """A parser that is not linear would not come back from this."""
    for tag in TAGS:
        assert not template.parse(tag * 150_000).well_formed
    assert not template.parse("".join(tag * 50_000 for tag in TAGS)).well_formed


def test_every_template_asks_for_its_tags_in_every_language():
    for template in TEMPLATES.values():
        for language in ("en", "zh"):
            assert all(tag in template.instruction(language) for tag in template.reasoning_tags)
            assert all(tag in template.instruction(language) for tag in template.answer_tags or ())
        assert template.instruction("sw") == template.instruction("en")


def test_an_unknown_template_is_named_with_the_known_ones():
    with pytest.raises(UserError, match="think-answer, think-summary, reasoning-summary"):
        get_template("thinking")


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ("plain", "plain"),
        ([{"role": "assistant", "content": "said"}], "said"),
        (
            [
                {
                    "role": "assistant",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                }
            ],
            "ab",
        ),
        (
            [
                {"role": "assistant", "content": "first", "tool_calls": []},
                {"role": "tool", "content": "result"},
                {"role": "assistant", "content": "last"},
            ],
            "last",
        ),
        ([{"role": "assistant", "reasoning_content": "r", "content": "c"}], "<think>\nr\n</think>\nc"),
        ([{"role": "assistant", "thinking": "r", "content": "c"}], "<think>\nr\n</think>\nc"),
        ([{"role": "assistant", "content": None}], ""),
        ([], ""),
    ],
)
def test_the_response_in_a_completion(completion: Any, text: str) -> None:
    assert get_template("think-answer").text_of(completion) == text
