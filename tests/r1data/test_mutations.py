"""Changed inputs keep their layout, stay between the values that are there, and repeat for a seed."""

from __future__ import annotations

import pytest

from r1data.mutations import mutations

TREE = "4\n1 2 40\n1 3 47\n2 4 7447"
LIST = "5\n3 9 -2 7 11\n"


def test_equal_seeds_give_equal_inputs() -> None:
    assert mutations([TREE, LIST], 20, "a") == mutations([TREE, LIST], 20, "a")
    assert mutations([TREE, LIST], 20, "a") != mutations([TREE, LIST], 20, "b")


def test_what_counts_stays_and_values_stay_in_their_range() -> None:
    made = mutations([LIST], 30, "a")
    assert len(made) == len(set(made)) == 30
    for text in made:
        head, values, rest = text.split("\n")
        assert (head, rest, len(values.split())) == ("5", "", 5)
        assert all(-2 <= int(value) <= 11 for value in values.split())
    assert LIST not in made


def test_columns_of_like_lines_have_ranges_of_their_own() -> None:
    for text in mutations([TREE], 30, "a"):
        lines = [list(map(int, line.split())) for line in text.split("\n")]
        assert lines[0] == [4]
        assert all(1 <= u <= 2 and 2 <= v <= 4 and 40 <= w <= 7447 for u, v, w in lines[1:])


def test_words_keep_their_length_and_take_no_new_letters() -> None:
    made = mutations(["3\nabc\nbca"], 10, "a")
    assert made
    for text in made:
        head, *words = text.split("\n")
        assert head == "3"
        assert all(len(word) == 3 and set(word) <= set("abc") for word in words)


def test_a_lone_number_takes_the_values_of_other_inputs() -> None:
    assert set(mutations(["2", "9"], 50, "a")) == {"3", "4", "5", "6", "7", "8"}


@pytest.mark.parametrize("inputs", [[], [""], ["3.5 #?"], ["  \n"]])
def test_nothing_to_change_is_nothing(inputs: list[str]) -> None:
    assert mutations(inputs, 5, "a") == []
