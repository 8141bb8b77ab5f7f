from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1rewards.language.clean import normalize, prose

INVISIBLE = "\u200b\u200d\u2060\ufeff\u00ad\U000e0041"


@settings(deadline=None)
@given(st.text(max_size=60))
def test_normalizing_twice_changes_nothing(text):
    assert normalize(normalize(text)) == normalize(text)


@settings(deadline=None)
@given(st.text(alphabet="abc 我们是д .", max_size=40), st.data())
def test_invisible_characters_are_as_if_they_were_not_there(text, data):
    for _ in range(3):
        at = data.draw(st.integers(0, len(text)))
        hidden = text[:at] + data.draw(st.sampled_from(INVISIBLE)) + text[at:]
        assert normalize(hidden) == normalize(text)


@pytest.mark.parametrize(
    ("seen", "plain"),
    [
        ("Ｈｅｌｌｏ", "Hello"),
        ("𝓗𝓮𝓵𝓵𝓸 𝟐", "Hello 2"),
        ("ﬁne", "fine"),
        ("ｶﾅ", "カナ"),
        ("cafe\u0301", "caf\u00e9"),
        ("h\u0334\u0335e\u0336llo", "hello"),
        ("hеllо", "hello"),  # Cyrillic e and o in a Latin word
        ("прaвдa", "правда"),  # Latin a in a Cyrillic word
        ("аrе", "are"),  # Cyrillic for the most part, but r is no Cyrillic letter
        ("мир and peace", "мир and peace"),
        ("我们，是。", "我们，是。"),
        ("Δx", "Δx"),
    ],
)
def test_characters_are_read_as_they_look(seen, plain):
    assert normalize(seen) == plain


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("we get $x^2 + y$ here", "we get here"),
        ("it costs $5 and then $6 more", "it costs $5 and then $6 more"),
        ("so \\(a+b\\) and \\[ c \\] hold", "so and hold"),
        ("$$\\frac{1}{2} \\text{ of the total}$$ is here", "of the total is here"),
        ("see https://example.org/a-b?c=d。然后", "see 。然后"),
        ("run `print(x)` now and then", "run now and then"),
        ("so \\boxed{4} it is", "so {4} it is"),
        ("<think>well now</think>", "well now"),
        (
            "we\n```py\nx = 1 # eine Zahl\nprint('noch eine')\n```\nsee that it works",
            "we eine Zahl noch eine see that it works",
        ),
        ("hidden $首先我们$ words", "hidden 首先我们 words"),
        ("hidden `首先我们` words", "hidden 首先我们 words"),
        ("```\nder Rest ist Text", "der Rest ist Text"),
        ("a $ b", "a $ b"),
    ],
)
def test_what_is_no_language_is_taken_out(text, left):
    assert prose(text).split() == left.split()


def test_where_more_is_taken_out_than_stays_all_of_it_counts():
    code = "```py\nfor item in values:\n    total = total + item\n```"
    assert "total" in prose(f"so {code}")
    assert "total" not in prose(f"so we add all of the values up in a loop like this, one by one: {code}")
    assert "Zuerst" in prose("yes $Zuerst addieren wir$")


@settings(deadline=None)
@given(st.text(alphabet="`$\\[](){}~<>/ab \nбё我", max_size=200))
def test_any_soup_of_marks_keeps_its_foreign_letters(text):
    letters = sorted(c for c in text if c in "бё我")
    assert sorted(c for c in prose(text) if c in "бё我") == letters


@pytest.mark.parametrize(
    "unit",
    [
        "```",
        "`",
        "$",
        "$$",
        "\\[",
        "\\(",
        "\\begin{a}",
        "<a",
        "<a>",
        "/*",
        '"""',
        "'",
        "~~~a\n",
        "\\text{",
        "\\text{a",
        "\\mathrm{a b",
        "ab, ",
        "<!--",
        "www.",
        "$a `b ",
    ],
)
def test_endless_marks_are_read_in_one_pass(unit):
    """A search that is not linear would not come back from this."""
    prose(unit * (300_000 // len(unit)))
    prose("```" + unit * (100_000 // len(unit)) + "```")
