from __future__ import annotations

from itertools import combinations

import pytest

from r1data.sources import load_source
from r1data.sources.choice import KINDS, LETTERS
from r1data.sources.word_groups import GROUPS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_four_different_options_one_of_them_right(kind, language):
    problems = load_source("choice", count=30, seed=6, kinds=[kind], language=language)
    for problem in problems:
        lines = problem["prompt"][0]["content"].splitlines()
        options = [line[3:] for line in lines if line[:3] in {f"{letter}. " for letter in LETTERS}]
        assert options == problem["meta"]["options"] and len(set(options)) == 4
        assert problem["reference"] in LETTERS and problem["domain"] == "stem"


def test_the_right_letter_is_spread_over_all_four():
    letters = [p["reference"] for p in load_source("choice", count=200, seed=3)]
    assert all(letters.count(letter) > 25 for letter in LETTERS)


def test_no_word_is_in_two_groups():
    for language in ("en", "zh"):
        for one, two in combinations(GROUPS.values(), 2):
            assert not set(one[language][1]) & set(two[language][1])
