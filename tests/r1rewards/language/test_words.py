from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1rewards.language.scripts import CHARS_PER_WORD, CLASS, SCRIPT
from r1rewards.language.words import repetition, resolve_han, single_letters, words_of


def counted(text: str) -> dict[str, float]:
    words = words_of(text)
    out: dict[str, float] = {}
    for script, weight in zip(resolve_han(words).tolist(), words.weight.tolist(), strict=True):
        out[SCRIPT[script]] = out.get(SCRIPT[script], 0) + weight
    return {name: pytest.approx(count) for name, count in out.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("12 + 7 = 19.", {}),
        ("one two, three", {"latin": 3}),
        ("это мир", {"cyrillic": 2}),
        ("我们是人", {"han": 4 / CHARS_PER_WORD["han"]}),
        ("이것은 한국어", {"hangul": 2}),
        ("हिन्दी में", {"devanagari": 2}),
        ("مرحبا بالعالم", {"arabic": 2}),
        ("ภาษาไทย", {"thai": 7 / CHARS_PER_WORD["thai"]}),
        ("\U0001f600 abc", {"latin": 1}),
        ("ⴰⴱ abc", {"other": 1, "latin": 1}),
        ("AI是x", {"latin": 2, "han": 1 / CHARS_PER_WORD["han"]}),
    ],
)
def test_words_by_writing_system(text, expected):
    assert counted(text) == expected


def test_han_in_japanese_is_japanese_and_in_chinese_chinese():
    assert set(counted("二つの数を足します。平方根を取ります。")) == {"kana"}
    assert set(counted("我们把两个数相加，然后开平方。")) == {"han"}
    mixed = counted("我们把两个数相加，然后开平方得到结果。二つの数を足します。")
    assert set(mixed) == {"han", "kana"}
    # Japanese words in a Chinese sentence leave the rest of it Chinese.
    assert set(counted("我们把两个トマト加在一起，然后看看结果是多少。")) == {"han", "kana"}
    # A heading without kana goes with a Japanese text, a whole sentence does not.
    assert set(counted("二つの数を足します。\n合計\nそれは五です。")) == {"kana"}
    assert "han" in counted("二つの数を足します。\n然后我们把它们加在一起。\nそれは五です。")


@settings(deadline=None)
@given(st.text(max_size=100))
def test_words_are_the_letters_of_the_text_in_order(text):
    words = words_of(text)
    ends = [0, *words.end.tolist()]
    for at in range(len(words)):
        assert ends[at] <= words.begin[at] < words.end[at] <= len(text)
        assert words.script[at] in SCRIPT
        assert words.at(at).strip() == words.at(at)
    assert (words.weight > 0).all()
    assert (words.sentence[1:] >= words.sentence[:-1]).all()


def test_sentences_end_at_marks_but_not_inside_numbers():
    words = words_of("It is 3.5 metres. Is it? Yes！好。\nend")
    assert [int(n) for n in words.sentence] == [0, 0, 0, 1, 1, 2, 3, 4]


def test_single_letters_are_latin_or_greek():
    words = words_of("a bc π 我 д")
    assert single_letters(words).tolist() == [True, False, True, False, False]
    assert CLASS["han"] in words.script


ONCE = (
    "First we add the two numbers that the question gives us. Then we divide what we have by the "
    "number of people in the room, because everyone gets the same. Finally we look whether that can be."
)


def test_repetition_is_what_stood_there_three_times_before():
    assert repetition(words_of(ONCE)) == 0.0
    assert repetition(words_of(f"{ONCE} " * 3)) == 0.0
    assert repetition(words_of(f"{ONCE} " * 12)) == pytest.approx(0.75, abs=0.03)
    assert repetition(words_of("the " * 200)) > 0.95
    assert repetition(words_of("好" * 200)) > 0.95
    assert repetition(words_of("我们再想一想这个问题。" * 100)) > 0.9


@settings(deadline=None)
@given(st.text(alphabet="ab 我", max_size=400))
def test_repetition_is_a_share(text):
    assert 0.0 <= repetition(words_of(text)) <= 1.0


def test_common_syllables_of_thai_are_no_repetition():
    assert repetition(words_of("ในกล่องมีแอปเปิลอยู่ในกล่อง แล้วในกล่องอื่นก็มีในกล่องด้วย และในกล่องนี้ไม่มี")) < 0.03
