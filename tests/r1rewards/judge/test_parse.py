"""Replies of judges: every way of being in form, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1rewards.judge import parse


@pytest.mark.parametrize(
    "reply",
    [
        '{"analysis": "same value", "verdict": "correct"}',
        '```json\n{"analysis": "same", "verdict": "Correct"}\n```',
        '<think>Maybe {"verdict": "incorrect"}? No.</think>\n{"analysis": "same", "verdict": "correct"}',
        'Sets {1, 2} and {"a": 1} agree.\n{"analysis": "a {brace}, a \\"quote\\"", "verdict": " correct "}',
        '{"analysis": "\\sqrt{2} = \\underline{x} and \\boxed{4}\nnext line", "verdict": "correct"}',
        'An open { brace, then {"analysis": "fine", "verdict": "correct"} and text behind',
        '{"verdict": "correct", "analysis": "the answer claims \\"verdict\\": \\"incorrect\\""}',
        '{"verdict": "correct"} and once more {"verdict": "correct"}',
    ],
)
def test_in_form(reply: str) -> None:
    verdict = parse.correctness(reply)
    assert verdict is not None
    assert (verdict.value, verdict.route) == (1.0, "judge")


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "correct",
        '{"analysis": "cut off in the mid',
        '{"verdict": "correct"',
        '{"verdict": "correct or incorrect"}',
        '{"verdict": true}',
        '{"verdict": ["correct"]}',
        '["correct"]',
        '{"judgement": "correct"}',
        '<think>{"verdict": "correct"}',
        '{"outer": {"verdict": "correct"}}',
        '{"verdict": "correct"} {"verdict": "incorrect"}',
        '{"a":' * 100_000,
        "{" * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '{"' * 100_000,
        "}{" * 10_000,
        "\\" * 100_000 + '{"verdict": "\\',
    ],
    ids=lambda reply: repr(reply[:40]),
)
def test_not_in_form(reply: str) -> None:
    assert parse.correctness(reply) is None
    assert parse.harmlessness(reply) is None
    assert parse.helpfulness(reply) is None
    assert parse.preference(reply) is None


def test_analysis_and_category_are_kept() -> None:
    verdict = parse.harmlessness(
        '{"analysis": "it explains a crime", "verdict": "unsafe", "category": "crime"}'
    )
    assert verdict is not None
    assert (verdict.value, verdict.reason) == (0.0, "it explains a crime")
    assert verdict.details["category"] == "crime"


@pytest.mark.parametrize(
    ("score", "value"), [("1", 0.0), ("10", 1.0), ('"5"', 4 / 9), ("7.0", 6 / 9), ("0", None), ("11", None)]
)
def test_points(score: str, value: float | None) -> None:
    verdict = parse.helpfulness(f'{{"analysis": "", "score": {score}}}')
    assert (verdict and verdict.value) == value


@pytest.mark.parametrize("score", ["true", "7.5", "1e999", '"٣"', '"ten"', "null", "[7]", "-1"])
def test_what_is_no_number_of_points(score: str) -> None:
    assert parse.helpfulness(f'{{"score": {score}}}') is None


@pytest.mark.parametrize(("label", "value"), parse.PREFERENCES.items())
def test_preference(label: str, value: float) -> None:
    for reply in (f"My own answer ... so [[{label}]]", f"[[ {label} ]]", f"[[{label}]] again [[{label}]]"):
        verdict = parse.preference(reply)
        assert verdict is not None
        assert verdict.value == value


@pytest.mark.parametrize(
    "reply",
    [
        '{"own_answer": "x", "analysis": "A is right", "verdict": "A>>B"}',
        '{"own_answer": "They say [[B>>A]] and {\\"verdict\\": \\"B>A\\"}", "verdict": "A >> B"}',
        '<think>[[B>A]]</think>{"verdict": "[[A>>B]]"}',
        'My answer is {"x": 1}. [[A>>B]]',
        '{"verdict": "A>>B"} so [[A>>B]]',
    ],
)
def test_preference_as_json_or_as_a_label(reply: str) -> None:
    verdict = parse.preference(reply)
    assert verdict is not None
    assert verdict.value == 2.0


@pytest.mark.parametrize(
    "reply",
    [
        "[[A>>B]] or [[B>A]]",
        "A>>B",
        "[[A<B]]",
        "[[A>A]]",
        "[[A==B]]",
        "[[A>=B]]",
        '{"verdict": "A>>B"} {"verdict": "B>A"}',
        '{"verdict": "A>>B"} [[B>A]]',
        '{"verdict": ["A>>B"]}',
        '{"outer": {"verdict": "A>>B"}}',
    ],
)
def test_no_preference(reply: str) -> None:
    assert parse.preference(reply) is None


POINTS = (2.0, 1.0, -1.0)


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ('{"1": {"reason": "", "met": true}, "2": {"met": false}, "3": {"met": false}}', 2 / 3),
        ('{"1": true, "2": "yes", "3": "No"}', 1.0),
        ('{"1": {"met": false}, "2": {"met": true}, "3": {"met": true}, "note": "x"}', 0.0),
        ('{"1": {"met": false}, "2": {"met": false}, "3": {"met": true}}', 0.0),
        ('{"1": true, "2": true}', None),
        ('{"1": true, "2": true, "3": "perhaps"}', None),
        ('{"1": true, "2": true, "3": false} {"1": false, "2": true, "3": false}', None),
        ('{"1": {"met": 1}, "2": {"met": true}, "3": {"met": true}}', None),
    ],
)
def test_rubric(reply: str, value: float | None) -> None:
    form = parse.rubric_form(POINTS)
    verdict = form.read(reply)
    assert (verdict and verdict.value) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("form", "reply"),
    [
        (parse.CORRECTNESS, {"analysis": "a", "verdict": "incorrect"}),
        (parse.HARMLESSNESS, {"analysis": "a", "verdict": "unsafe", "category": "crime"}),
        (parse.HELPFULNESS, {"analysis": "a", "score": 7}),
        (parse.PREFERENCE, {"own_answer": "o", "analysis": "a", "verdict": "B>A"}),
        (
            parse.rubric_form(POINTS),
            {str(n): {"reason": "r", "met": n == 1} for n in (1, 2, 3)},
        ),
    ],
)
def test_what_meets_the_schema_is_in_form(form: Any, reply: dict[str, Any]) -> None:
    assert set(form.schema["required"]) == set(form.schema["properties"]) == set(reply)
    for name, value in reply.items():
        allowed = form.schema["properties"][name].get("enum", [value])
        assert value in allowed
    assert form.read(json.dumps(reply)) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.dictionaries(st.text(), JSON), max_size=3),
    st.text(alphabet=st.characters(exclude_characters='{}"')),
)
def test_objects_are_found_between_prose(objects: list[dict[str, object]], prose: str) -> None:
    text = prose + "".join(json.dumps(found) + prose for found in objects)
    assert parse.json_objects(text) == objects


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet='{}":,\\ab1[] \n', max_size=300))
def test_any_text_is_read_without_an_error(text: str) -> None:
    for found in parse.json_objects(text):
        assert isinstance(found, dict)
