from __future__ import annotations

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from r1train.report.text import HIDDEN, LINE_LIMIT, MARKS, TEXT_LIMIT, shorten, visible

NASTY = st.text(st.one_of(st.characters(), st.sampled_from("<>&\"'\u202e\u2066\u200b\x00\x1b\r\n\ud800")))


@given(NASTY.filter(lambda text: len(HIDDEN.findall(text)) <= MARKS))
def test_text_comes_back_with_its_hidden_characters_by_number(text: str) -> None:
    shown = str(visible(text))
    assert not HIDDEN.search(shown)
    bare = html.unescape(
        re.sub(r'<span class="hidden-char" title="[^"<>]*">(U\+[0-9A-F]+)</span>', r"\1", shown)
    )
    assert bare == HIDDEN.sub(lambda match: f"U+{ord(match.group()):04X}", text)


def test_a_text_of_nothing_but_hidden_characters_stays_small() -> None:
    shown = visible("\u202e" * 5000)
    assert shown.count("U+202E") == MARKS
    assert shown.count("\ufffd") == 5000 - MARKS


def test_ordinary_text_of_any_language_stays_as_it_is() -> None:
    text = "é 中文 שלום عربي 😀 👩\u200d🔬\n\ttab"
    assert str(visible(text)) == text


def test_a_direction_override_is_named() -> None:
    assert 'title="RIGHT-TO-LEFT OVERRIDE">U+202E</span>' in visible("a\u202eb")


@given(NASTY.map(lambda text: text * 50))
def test_shortened_text_is_bounded(text: str) -> None:
    short = shorten(text)
    assert len(short) <= TEXT_LIMIT + 60
    assert all(len(line) <= LINE_LIMIT + 60 for line in short.split("\n"))


def test_what_is_cut_is_said() -> None:
    assert shorten("x" * 300_000) == "x" * 1000 + " [… this line goes on for 299,000 characters]"
    long = "\n".join(str(number) for number in range(10_000))
    short = shorten(long)
    left_out = re.search(r"\n\[… ([\d,]+) characters left out …\]\n", short)
    assert left_out
    kept = short.replace(left_out.group(), "")
    assert len(kept) + int(left_out.group(1).replace(",", "")) == len(long)
    assert short.startswith("0\n1\n")
    assert short.endswith("\n9999")


def test_short_text_is_left_alone() -> None:
    assert shorten("one\r\ntwo") == "one\ntwo"
