"""Seeded sampling: the right distribution, exactly the nucleus, and nothing that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from r1rewards.llm.sampler import SHORTLIST, draw


def draws(logits: Any, count: int, top_p: float | None = None, seed: int = 0) -> Any:
    """How often each word is drawn when rows with these logits are drawn `count` times."""
    rows = logits.expand(count, -1)
    generators = {row: torch.Generator().manual_seed(seed * count + row) for row in range(count)}
    nucleus = None if top_p is None else torch.full((count,), top_p)
    return draw(rows, generators, nucleus).bincount(minlength=logits.shape[-1])


def chi_square(counts: Any, probabilities: Any) -> float:
    expected = probabilities.double() * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("top_p", [None, 1.0])
def test_frequencies_are_the_probabilities(top_p: float | None) -> None:
    logits = torch.linspace(-2.0, 1.0, 20)
    counts = draws(logits, 20_000, top_p)
    # 19 degrees of freedom: 43.8 is passed by chance once in a thousand seeds, and this seed is fixed
    assert chi_square(counts, logits.softmax(-1)) < 43.8


def test_one_generator_gives_a_sequence_of_the_right_distribution() -> None:
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log()
    generators = {0: torch.Generator().manual_seed(7)}
    drawn = torch.cat([draw(logits, generators, None) for _ in range(8000)])
    # 3 degrees of freedom, one in a thousand
    assert chi_square(drawn.bincount(minlength=4), logits[0].exp()) < 16.3


@pytest.mark.parametrize("words", [12, 4 * SHORTLIST])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9])
def test_the_nucleus_is_the_fewest_words_of_at_least_that_mass(words: int, top_p: float) -> None:
    """Also where it is larger than the shortlist: a flat distribution over many words."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(words, generator=generator) * 0.5
    probabilities, order = logits.softmax(-1).sort(descending=True)
    size = int((probabilities.cumsum(0) < top_p).sum()) + 1
    allowed = torch.zeros(words, dtype=torch.bool)
    allowed[order[:size]] = True
    counts = draws(logits, 12_000, top_p)
    assert counts[~allowed].sum() == 0
    kept = torch.where(allowed, logits.softmax(-1), 0.0)
    drawn = counts[order[:size]]
    degrees = max(size - 1, 1)
    # mean + 4 deviations of a chi-square with that many degrees of freedom
    assert chi_square(drawn, (kept / kept.sum())[order[:size]]) < degrees + 4 * (2 * degrees) ** 0.5 + 3


@given(st.lists(st.booleans(), min_size=1, max_size=30).filter(any), st.integers(0, 2**31 - 1))
def test_a_word_of_weight_zero_is_never_drawn(possible: list[bool], seed: int) -> None:
    logits = torch.tensor([0.0 if can else -torch.inf for can in possible])
    for top_p in (None, 0.3, 1.0):
        counts = draws(logits, 8, top_p, seed % 1000)
        assert counts[~torch.tensor(possible)].sum() == 0


@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2**-24])
def test_the_ends_of_the_unit_interval_are_drawn_rightly(
    uniform: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generator that gives its smallest or largest number, with impossible words at both ends."""
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor([uniform]))
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 1.0, -torch.inf]])
    expected = 1 if uniform == 0.0 else 3
    assert draw(logits, {0: None}, None).tolist() == [expected]


@pytest.mark.parametrize("top_p", [0.5, 0.95, 1.0])
@pytest.mark.parametrize("words", [50, 3 * SHORTLIST])
def test_a_row_depends_on_its_own_seed_and_logits_only(words: int, top_p: float) -> None:
    """Whatever stands beside it: narrow and wide nuclei, all of the distribution, or nothing.

    The logits have ties, as those of a model in bfloat16 do.
    """
    logits = torch.randn(words, generator=torch.Generator().manual_seed(0)).mul(2).round().div(4)
    others = torch.stack([logits * 20, logits * 0.01, logits])
    for seed in range(100):

        def drawn(rows: Any, nuclei: list[float] | None, seed: int = seed) -> int:
            generators = {row: torch.Generator().manual_seed(seed + row) for row in range(len(rows))}
            top_p = None if nuclei is None else torch.tensor(nuclei)
            return int(draw(rows, generators, top_p)[0])

        alone = drawn(logits[None], [top_p])
        assert drawn(torch.stack([logits, *others]), [top_p, 0.9, 0.9, 1.0]) == alone
        assert drawn(torch.stack([logits, others[1]]), [top_p, 0.99]) == alone
        if top_p == 1.0:
            assert drawn(logits[None], None) == alone
