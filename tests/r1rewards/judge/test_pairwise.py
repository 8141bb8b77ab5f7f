"""Pairs in both orders: a liking for a place is measured, and cancels out."""

from __future__ import annotations

import random

import pytest

from r1rewards.judge import Asking, Pair, compare
from r1rewards.judge.measure import place_bias
from tests.r1rewards.judge.test_judge import Scripted, fenced

LABELS = {2: "A>>B", 1: "A>B", 0: "A=B", -1: "B>A", -2: "B>>A"}


def says(prompt: str, liking: int) -> str:
    """A judge that goes by the digit in each answer, and likes the first place by so much."""
    a, b = (int(fenced(prompt, name)) for name in ("answer_a", "answer_b"))
    return f"[[{LABELS[max(-2, min(2, a - b + liking))]}]]"


@pytest.mark.parametrize("liking", [-1, 0, 1])
@pytest.mark.parametrize("turned", [False, True])
def test_a_liking_for_a_place_cancels_out(liking: int, turned: bool) -> None:
    model = Scripted(lambda prompt, seed: says(prompt, liking))
    better, worse, equal = compare(
        [Pair("q", a, b, turned) for a, b in (("5", "4"), ("4", "5"), ("3", "3"))], model
    )
    assert (better.score, worse.score, equal.score) == (1.0, -1.0, 0.0)
    assert [order for order, _ in better.calls] == [turned, not turned] * 2


def test_the_bias_is_measured() -> None:
    pairs = [Pair("q", "3", str(n), turned=bool(n % 2)) for n in (1, 2, 3, 3, 4, 5)]
    for liking, first, same in ((0, 0.5, 1.0), (2, 1.0, 0.0)):
        model = Scripted(lambda prompt, seed, liking=liking: says(prompt, liking))  # type: ignore[misc]
        calls = [[(t, v.value) for t, v in one.calls if v.value is not None] for one in compare(pairs, model)]
        bias = place_bias(calls)
        assert bias["first_place"] == pytest.approx(first, abs=0.2)
        assert bias["same_in_both"] == pytest.approx(same, abs=0.4)


def test_every_call_has_a_seed_of_its_own_that_no_retry_reaches() -> None:
    class Seeds(Scripted):
        pass

    seeds: list[int] = []
    model = Seeds(lambda prompt, seed: seeds.append(seed))  # type: ignore[arg-type,return-value]
    (comparison,) = compare([Pair("q", "1", "2")], model, calls=4, seed=3, asking=Asking(retries=2))
    assert comparison.score is None and comparison.verdict.status == "error"
    assert len(set(seeds)) == len(seeds) == 12


def test_no_bias_is_seen_where_there_is_none() -> None:
    rng = random.Random(0)
    calls = [[(False, v), (True, v)] for v in (rng.choice([-2.0, -1.0, 1.0, 2.0]) for _ in range(100))]
    assert place_bias(calls) == {"first_place": 0.5, "same_in_both": 1.0}
    assert place_bias([]) == {"first_place": None, "same_in_both": None}
