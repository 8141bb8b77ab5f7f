from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1rewards import readability
from r1rewards.core.reward import Sample
from r1rewards.core.template import get_template
from r1rewards.readability import (
    Limits,
    Loop,
    ReadabilityReward,
    check,
    code_blocks,
    longest_loop,
    longest_paragraph,
    mixed_languages,
    ngram_repetition,
    repeated_lines,
    truncated,
)

PLAIN = (
    "We know how many apples there are in the box. Each child takes two of them, so we divide the number "
    "by two and see that nine children can take some.\n\nTo check it, nine times two gives eighteen again."
)


def response(thinking: str, answer: str = "9") -> str:
    return f"<think>{thinking}</think><answer>{answer}</answer>"


words = st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon"]), max_size=60).map(" ".join)


def test_plain_text_has_nothing_to_complain_of():
    assert ngram_repetition(PLAIN) == 0.0
    assert longest_loop(PLAIN) == Loop(0, 0)
    assert repeated_lines(PLAIN) == 0.0
    assert code_blocks(PLAIN) == 0
    assert mixed_languages(PLAIN) == 0.0
    assert check(response(PLAIN)).value == 1.0


def test_measures_of_nothing():
    for text in ("", " ", "\n\n", "7"):
        assert ngram_repetition(text) == repeated_lines(text) == 0.0
        assert longest_loop(text).repeats == 0.0
        assert code_blocks(text) == 0
        assert mixed_languages(text) is None


@given(words, st.integers(1, 8))
def test_repeating_a_text_raises_its_repetition(text, n):
    assert ngram_repetition(text) <= ngram_repetition(" ".join([text] * n)) + 1e-9
    assert 0.0 <= ngram_repetition(text) <= 1.0


@pytest.mark.parametrize("period", [1, 3, 7, 40])
@pytest.mark.parametrize("unit", ["w{} ", "字{}，"])
def test_a_loop_is_found_with_its_period(period, unit):
    rng = random.Random(period)
    before = "".join(f"b{rng.random()} " for _ in range(30))
    once = "".join(unit.format(chr(97 + i % 26) * (1 + i // 26)) for i in range(period))
    tokens = len(unit.format("a").split()) if unit[0] == "w" else 3
    loop = longest_loop(before + once * 6 + before[::-1])
    assert loop.period == period * tokens
    assert loop.repeats == pytest.approx(6, abs=1)


@given(words)
def test_a_loop_is_no_longer_than_the_text(text):
    loop = longest_loop(text)
    assert 0 <= loop.words <= len(text.split())
    assert loop.repeats == 0 or loop.repeats >= 2


def test_a_repetition_far_away_is_no_loop():
    phrase = "let us check this one more time"
    assert longest_loop(f"{phrase} {PLAIN} {phrase} {PLAIN[::-1]} {phrase}").repeats == 0


def test_repeated_lines_are_long_ones():
    assert repeated_lines("let me think again\n" * 4) == 0.75
    assert repeated_lines("}\n" * 40) == 0.0


ALONE = "[\u0e00-\u0eff\u3005-\u30ff\u3400-\u9fff\U00020000-\U000323af]"
SLOW = re.compile(rf"{ALONE}|(?:(?!{ALONE})[^\W_])+|[^\w\s]")


@given(st.text(st.one_of(st.sampled_from("ab1_ \n.,é中文กา,ｱ\U0010ffff"), st.characters())))
def test_words_are_those_of_a_slow_search(text):
    slow = SLOW.findall(text)
    hashes = readability._word_hashes(text)
    assert len(hashes) == len(slow)
    assert len(set(hashes.tolist())) == len(set(slow))
    by_word = dict(zip(slow, hashes.tolist(), strict=True))
    assert [by_word[word] for word in slow] == hashes.tolist()
    assert longest_paragraph(text.replace("\n", " ")) == len(SLOW.findall(text.replace("\n", " ")))


def test_paragraphs_end_at_empty_lines_and_leave_code_out():
    assert longest_paragraph("one two\nthree\n \nfour") == 3
    assert longest_paragraph("one\n```\n" + "x " * 90 + "\n```\ntwo three") == 2
    assert longest_paragraph("一二三四\n\n五") == 4


def test_code_blocks_are_counted_by_fences():
    assert code_blocks("```py\nx\n```\ntext\n~~~\ny\n~~~") == 2
    assert code_blocks("```py\nx") == 1
    assert code_blocks("use `x` and ```y``` inline") == 0


def test_a_response_that_breaks_off():
    parse = get_template("think-answer").parse
    assert truncated(parse("<think>so"))
    assert truncated(parse("<think>so</think><answer>4"))
    assert truncated(parse(response(PLAIN)), "length")
    assert not truncated(parse(response(PLAIN)), "stop")
    assert not truncated(parse("4"))


def test_mixed_languages_are_against_the_target_or_the_text_itself():
    chinese = "首先我们把两个数相加，然后检查结果是否合理。"
    assert mixed_languages(PLAIN + chinese) == pytest.approx(mixed_languages(PLAIN + chinese, "en"))
    assert 0.1 < mixed_languages(PLAIN + chinese) < 0.5
    assert mixed_languages(PLAIN, "zh") == 1.0


@pytest.mark.parametrize(
    ("thinking", "fault"),
    [
        ("Wait, let me check it again. " * 30, "loop_words"),
        ("Wait, let me check it again. " * 30, "repetition"),
        ((PLAIN.replace("\n", " ") + "\n") * 6, "repeated_lines"),
        (" ".join(f"w{i}" for i in range(700)), "paragraph_words"),
        (PLAIN + "\n```py\nx = 1\n```\n", "code_blocks"),
        (PLAIN + "首先我们把两个数相加，然后检查结果是否合理。", "mixed"),
    ],
)
def test_each_fault_is_named(thinking, fault):
    verdict = check(response(thinking))
    assert verdict.value == 0.0
    assert fault in verdict.details["faults"]
    assert fault in verdict.reason
    assert fault not in check(response(thinking), limits=Limits(**{fault: None})).details["faults"]


def test_code_in_the_answer_is_welcome():
    assert check(response(PLAIN, "```py\nprint(9)\n```")).value == 1.0


def test_the_reward_uses_the_row():
    reward = ReadabilityReward()
    text = response(PLAIN)
    trace = get_template("think-answer").parse(text)
    assert reward.check(Sample("1", "math", text, trace)).value == 1.0
    assert reward.check(Sample("1", "math", text, trace, finish_reason="length")).route == "truncated"
    assert reward.check(Sample("1", "math", text, trace, language="zh")).route == "mixed"
    assert ReadabilityReward(mixed=None).check(Sample("1", "math", text, trace, language="zh")).value == 1.0
