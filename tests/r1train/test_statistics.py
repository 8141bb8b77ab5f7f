from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1train import statistics
from r1train.statistics import bootstrap_mean, majority, paired_bootstrap, pass_at_k


def binomial_quantile(n: int, p: float, level: float) -> int:
    below = 0.0
    for k in range(n + 1):
        below += math.comb(n, k) * p**k * (1 - p) ** (n - k)
        if below >= level:
            return k
    return n


@pytest.mark.parametrize(("n", "right"), [(2, 1), (4, 1), (40, 10), (100, 30), (400, 380)])
def test_interval_of_zeros_and_ones_is_that_of_the_binomial(n: int, right: int) -> None:
    """The bootstrap of 0/1 values resamples a binomial, whose quantiles are known."""
    interval = bootstrap_mean([1.0] * right + [0.0] * (n - right), resamples=20_000)
    assert interval.mean == right / n
    assert abs(interval.low * n - binomial_quantile(n, right / n, 0.025)) <= 1
    assert abs(interval.high * n - binomial_quantile(n, right / n, 0.975)) <= 1


def test_interval_of_many_values_is_the_normal_one() -> None:
    values = np.random.default_rng(1).gamma(2.0, 3.0, size=5000)
    interval = bootstrap_mean(values.tolist())
    half = 1.959964 * float(values.std()) / math.sqrt(values.size)
    assert interval.low == pytest.approx(values.mean() - half, rel=0.01)
    assert interval.high == pytest.approx(values.mean() + half, rel=0.01)


def test_equal_values_have_no_width() -> None:
    assert bootstrap_mean([0.5] * 7).to_dict() == {"mean": 0.5, "low": 0.5, "high": 0.5}


def test_seed_decides_the_interval_and_the_block_size_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).normal(size=50).tolist()
    first = bootstrap_mean(values, seed=7)
    assert bootstrap_mean(values, seed=7) == first
    assert bootstrap_mean(values, seed=8) != first
    monkeypatch.setattr(statistics, "BLOCK", 1234)
    assert bootstrap_mean(values, seed=7) == first


@pytest.mark.parametrize("values", [[], [0.5, math.nan], [math.inf]])
def test_no_interval_without_finite_values(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite number"):
        bootstrap_mean(values)


def test_p_value_is_the_share_of_resamples_on_the_other_side() -> None:
    """Differences +1, +1, -1: a resample of three is at most 0 with probability 7/27."""
    result = paired_bootstrap([0, 0, 1], [1, 1, 0], resamples=20_000)
    assert result.difference == pytest.approx(1 / 3)
    assert result.p == pytest.approx(2 * 7 / 27, abs=0.02)


def test_a_clear_difference_excludes_zero_and_swaps_its_sign() -> None:
    a, b = [0.0, 0.25, 0.5, 0.25] * 10, [0.5, 0.5, 0.75, 1.0] * 10
    forward, backward = paired_bootstrap(a, b), paired_bootstrap(b, a)
    assert 0 < forward.low < forward.difference < forward.high
    assert forward.p == pytest.approx(2 / 2001)
    assert (backward.low, backward.high) == pytest.approx((-forward.high, -forward.low), abs=1e-9)


def test_ties_are_no_evidence_also_where_floats_do_not_add_up() -> None:
    assert paired_bootstrap([0.3, 0.6], [0.3, 0.6]).p == 1.0
    thirds = paired_bootstrap([0.1 + 0.2, 0.3], [0.3, 0.1 + 0.2])
    assert thirds.p == 1.0


def test_pairing_needs_the_same_problems() -> None:
    with pytest.raises(ValueError, match="not 2 and 1"):
        paired_bootstrap([1, 0], [1])


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(case: tuple[int, int, int]) -> None:
    n, c, k = case
    subsets = list(combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_reference_values() -> None:
    assert pass_at_k(5, 2, 2) == pytest.approx(0.7)
    assert pass_at_k(64, 16, 1) == 0.25
    assert pass_at_k(10_000, 1, 5000) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="k=9"):
        pass_at_k(8, 1, 9)


def test_majority_votes_with_the_given_equality() -> None:
    def same_number(a: str, b: str) -> bool:
        return float(a) == float(b)

    assert majority(["2", "0.5", "1", ".5", "0.50", "2"], same_number) == 1
    assert majority([None, "3", "4"], same_number) == 1
    assert majority([None, None], same_number) is None
    assert majority([], same_number) is None


@given(st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=12))
def test_majority_is_the_most_common_answer_that_came_first(answers: list[int | None]) -> None:
    index = majority(answers, lambda a, b: a == b)
    votes = [answer for answer in answers if answer is not None]
    if not votes:
        assert index is None
        return
    assert index is not None
    winner = answers[index]
    assert index == answers.index(winner)
    best = max(votes.count(answer) for answer in votes)
    assert votes.count(winner) == best
    assert all(votes.count(answer) < best for answer in votes[: votes.index(winner)])
