"""Every kind of instruction, followed and not; the reward around them; and what a reference must hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1rewards import instructions
from r1rewards.core.errors import GraderError
from r1rewards.instructions import prose
from r1rewards.instructions.kinds import KINDS
from r1rewards.spec import load_spec

EN = "This is a short text in plain English about the weather of tomorrow."

#: kind, its arguments, answers that follow it, answers that do not.
CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "keywords:existence",
        {"keywords": ["river", "Stone"]},
        ["The RIVER moves a stone."],
        ["The river moves.", "none of them"],
    ),
    (
        "keywords:frequency",
        {"keyword": "tea", "frequency": 2, "relation": "at least"},
        ["Tea, then more tea.", "tea tea tea"],
        ["One tea.", ""],
    ),
    (
        "keywords:frequency",
        {"keyword": "tea", "frequency": 2, "relation": "less than"},
        ["One tea.", "Coffee."],
        ["Tea, then more tea."],
    ),
    (
        "keywords:forbidden_words",
        {"forbidden_words": ["bad", "a+b"]},
        ["A badge is fine."],
        ["That is BAD.", "bad"],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "q", "let_frequency": 2, "let_relation": "at least"},
        ["Quite quiet."],
        ["Quite loud."],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "#", "let_frequency": 4, "let_relation": "less than"},
        ["# One"],
        ["#### four"],
    ),
    (
        "language:response_language",
        {"language": "de"},
        ["Das ist ein kurzer Text auf Deutsch über das Wetter von morgen.", "42"],
        [EN, "Это короткий текст о погоде."],
    ),
    (
        "language:response_language",
        {"language": "mr"},
        ["हे एक लहान वाक्य आहे जे मराठीत लिहिले आहे"],
        ["यह एक छोटा सा वाक्य है जो हिंदी में लिखा गया है"],
    ),
    ("language:response_language", {"language": "zh"}, ["今天天气很好，我们去公园散步吧。"], [EN]),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "at least"},
        ["One here. Two there!", "Is it? Yes, it is"],
        ["Only one, by Mr. Fox.", "Only one"],
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "less than"},
        ["Pi is 3.14 or so."],
        ["One here. Two there."],
    ),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        ["one\n***\ntwo", "***\none\n***\ntwo\n***"],
        ["one\n\ntwo", "one *** *** two", "a *** b *** c"],
    ),
    (
        "length_constraints:number_words",
        {"num_words": 3, "relation": "at least"},
        ["one two, three"],
        ["one two"],
    ),
    (
        "length_constraints:number_words",
        {"num_words": 3, "relation": "less than"},
        ["one - two"],
        ["one two three"],
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"},
        ["First.\n\nthen, second.", 'First.\n\n\n\n"Then" second.'],
        ["First.\n\nNow second.", "First.\n\nThen.\n\nThird.", "Then."],
    ),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        ["Dear [name] of [town],"],
        ["Dear [name],", "[open [open"],
    ),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, ["Bye.\nP. S. Call me."], ["Bye. PS"]),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.P.S"},
        ["Bye.\np.p.s. Again."],
        ["P.S. Once."],
    ),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
        ["* one\n* two", "So:\n- one\n  - two\n**bold**"],
        ["* one", "* one\n* two\n* three"],
    ),
    (
        "detectable_format:constrained_response",
        {},
        ["Well: My answer is maybe."],
        ["Maybe.", "my answer is yes"],
    ),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        ["*one* and *two*", "**one** and *two*", "* **one** and **two**"],
        ["*one* only", "** ** and **one**", "2 * 3"],
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Section", "num_sections": 2},
        ["Section 1\nso\nSection 2\nand so"],
        ["Section 1\nso", "SECTION 1 SECTION 2"],
    ),
    (
        "detectable_format:json_format",
        {},
        ['{"a": [1, 2]}', '```json\n{"a": 1}\n```', "```\n[]\n```"],
        ["{'a': 1}", 'Here: {"a": 1}', "[" * 100_000],
    ),
    (
        "detectable_format:title",
        {},
        ["<<A Song>>\nLa.", "la\n<<b>>"],
        ["<A Song>", "<<>>", "<<a\nb>>", ">> <<"],
    ),
    (
        "combination:two_responses",
        {},
        ["one\n******\ntwo", "******\none\n******\ntwo"],
        ["one", "same\n******\nsame", "a ****** ****** b", "a ****** b ****** c"],
    ),
    (
        "combination:repeat_prompt",
        {"prompt_to_repeat": "Say why. "},
        ["say why.\nBecause."],
        ["Because. Say why."],
    ),
    (
        "startend:end_checker",
        {"end_phrase": "That is all."},
        ['So it is. That is ALL."'],
        ["That is all. Bye."],
    ),
    ("startend:quotation", {}, ['"So it is."', ' "so" '], ['"So it is.', '"', "'so'"]),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        ["STOP and LOOK", "DON'T, I say"],
        ["STOP and look", "WELL-KNOWN names"],
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "less than"},
        ["STOP and look"],
        ["STOP and LOOK"],
    ),
    (
        "change_case:english_capital",
        {},
        [EN.upper()],
        [EN, "DAS IST EIN KURZER TEXT ÜBER DAS WETTER VON MORGEN."],
    ),
    (
        "change_case:english_lowercase",
        {},
        [EN.lower()],
        [EN, "das ist ein kurzer text über das wetter von morgen."],
    ),
    ("punctuation:no_comma", {}, ["None here."], ["One, here."]),
]


def verdict(answer: str, *listed: dict[str, Any], **options: Any) -> Any:
    return instructions.check(answer, {"instructions": list(listed)}, **options)


def test_every_kind_has_a_case() -> None:
    assert len(KINDS) == 25
    assert {kind for kind, *_ in CASES} == set(KINDS)


@pytest.mark.parametrize(("kind", "arguments", "followed", "broken"), CASES)
def test_each_kind(kind: str, arguments: dict[str, Any], followed: list[str], broken: list[str]) -> None:
    for answer in followed:
        said = verdict(answer, {"kind": kind, **arguments})
        assert said.value == 1, (answer, said.reason)
    for answer in broken:
        said = verdict(answer, {"kind": kind, **arguments})
        assert said.value == 0, answer
        assert said.route == (kind if answer else "empty")


@pytest.mark.parametrize(("kind", "arguments"), [(kind, arguments) for kind, arguments, *_ in CASES])
@given(text=st.text(max_size=200))
def test_whatever_is_answered_has_a_value(kind: str, arguments: dict[str, Any], text: str) -> None:
    assert verdict(text, {"kind": kind, **arguments}, loose=True).value in (0, 1)


def test_all_or_nothing_or_the_share() -> None:
    commas = {"kind": "punctuation:no_comma"}
    words = {"kind": "length_constraints:number_words", "num_words": 3, "relation": "at least"}
    said = verdict("One, two", commas, words)
    assert said.value == 0
    assert said.reason == "punctuation:no_comma: a comma in it, and 1 more"
    assert said.details["followed"] == [False, False]
    assert verdict("One two", commas, words, partial=True).value == 0.5
    assert verdict("One two three", commas, words).value == 1


def test_only_the_answer_counts() -> None:
    commas = {"kind": "punctuation:no_comma"}
    assert verdict("<think>So, first, this.</think>Fine.", commas).value == 1
    assert verdict("<think>a, b</think><answer>Fine.</answer>", commas, template="think-answer").value == 1
    assert verdict("<think>a, b</think> ", commas).route == "empty"


def test_loose_forgives_what_stands_around_the_answer() -> None:
    quoted = {"kind": "startend:quotation"}
    answer = 'Sure, here it is:\n"So it is."'
    assert verdict(answer, quoted).value == 0
    assert verdict(answer, quoted, loose=True).value == 1
    assert verdict('**"So it is."**', quoted, loose=True).value == 1
    assert verdict("So it is.", quoted, loose=True).value == 0


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ({}, "no `instructions`"),
        ({"instructions": []}, "never a pass"),
        ({"instructions": ["punctuation:no_comma"]}, "no instruction None"),
        ({"instructions": [{"kind": "punctuation:no_coma"}]}, "did you mean 'punctuation:no_comma'"),
        ({"instructions": [{"kind": "startend:end_checker"}]}, "needs the argument 'end_phrase'"),
        ({"instructions": [{"kind": "punctuation:no_comma", "letter": "a"}]}, "no argument 'letter'"),
        (
            {"instructions": [{"kind": "length_constraints:number_paragraphs", "num_paragraphs": "2"}]},
            "num_paragraphs is '2'",
        ),
        (
            {"instructions": [{"kind": CASES[1][0], "keyword": "a", "frequency": 1, "relation": "at most"}]},
            "one of at least, less than",
        ),
        ({"instructions": [{"kind": "keywords:existence", "keywords": []}]}, "cannot be checked"),
    ],
)
def test_a_reference_that_cannot_be_graded_is_no_zero(reference: dict[str, Any], why: str) -> None:
    with pytest.raises(GraderError, match=why):
        instructions.check("An answer.", reference)
    row = {"task": "instructions", "reference": reference, "response": "<think>.</think><answer>a</answer>"}
    with load_spec({"rewards": {"instructions": {"required": True}}}) as spec:
        (score,) = spec.score([row])
    assert score.total is None and score.verdicts["instructions"].status == "error"


def test_numbers_and_nothings_as_tables_have_them() -> None:
    listed = {"kind": "length_constraints:number_paragraphs", "num_paragraphs": 2.0, "relation": None}
    assert verdict("a *** b", listed).value == 1


def test_a_spec_grades_rows() -> None:
    row = {
        "task": "instructions",
        "reference": '{"instructions": [{"kind": "punctuation:no_comma"}]}',
        "response": "<think>Short, then.</think><answer>Fine.</answer>",
    }
    with load_spec({"rewards": {"instructions": {}, "format": {}}}) as spec:
        assert [score.total for score in spec.score([row])] == [2.0]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Hello there. How are you? Fine!", 3),
        ("Mr. Smith met Dr. J. Doe at 5 p.m. in the U.S. today. he left.", 2),
        ("It is 3.5 km, i.e. a walk, etc. and so on. Really?!", 2),
        ("The shop of Baker Inc. closed. We went home etc. Then it rained.", 3),
        ('Wait... what? "No." (Yes.)', 3),
        ("# A title\n\nOne sentence.\n\n1. Apples are red.\n2. Pears are not.", 3),
        ("今天天气很好！我们去吗？去。", 3),
        ("Roses are red,\nviolets are blue.", 1),
        ("... !!! ---", 0),
    ],
)
def test_sentences(text: str, count: int) -> None:
    assert prose.sentences(text) == count


def test_the_language_of_a_text_is_always_the_same() -> None:
    assert len({prose.language_of("Il a mangé un sandwich the other day") for _ in range(20)}) == 1
    assert prose.language_of("12 + 3") is None
