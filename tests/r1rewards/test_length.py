from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1rewards.core.errors import UserError
from r1rewards.core.reward import Sample
from r1rewards.core.template import get_template
from r1rewards.length import CosineLength, SoftOverlong, cosine, length_of, soft_overlong

lengths = st.floats(0, 1e6)


def sample(text: str, **meta: object) -> Sample:
    return Sample("1", "math", text, get_template("think-summary").parse(text), meta=meta)


def test_cosine_runs_from_short_to_long():
    assert cosine(0, 100) == 1.0
    assert cosine(50, 100, short=1.0, long=-1.0) == pytest.approx(0.0)
    assert cosine(100, 100, short=1.0, long=0.5) == 0.5
    assert cosine(1e9, 100, short=0.0, long=1.0) == 1.0


@given(lengths, lengths)
def test_a_longer_response_is_never_better_by_default(a, b):
    short, long = sorted((a, b))
    assert cosine(short, 1000) >= cosine(long, 1000)
    assert soft_overlong(short, 1000, 200) >= soft_overlong(long, 1000, 200)
    assert -1.0 <= soft_overlong(a, 1000, 200) <= 0.0


def test_soft_overlong_is_free_then_linear_then_full():
    assert soft_overlong(800, 1000, 200) == 0.0
    assert soft_overlong(900, 1000, 200) == -0.5
    assert soft_overlong(1000, 1000, 200) == soft_overlong(5000, 1000, 200) == -1.0


def test_length_is_in_tokens_where_the_row_says_them():
    assert length_of(sample("one two three")) == 3
    assert length_of(sample("one two three", tokens=7)) == 7


def test_the_rewards():
    assert CosineLength(longest=10).check(sample("a b", tokens=10)).value == pytest.approx(0.0)
    assert SoftOverlong(longest=10, buffer=4).check(sample("a", tokens=8)).value == -0.5
    for wrong in (lambda: CosineLength(0), lambda: SoftOverlong(10, 0), lambda: SoftOverlong(-1, 5)):
        with pytest.raises(UserError, match="above 0"):
            wrong()
