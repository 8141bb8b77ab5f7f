"""Profiles: a sentence says what its words say, whatever was read before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1rewards.language.detect import Profiles, detector_named

WORDS = st.lists(st.text(st.sampled_from("aeinrstzéñß'1中"), min_size=1, max_size=8), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return Profiles()


def test_a_sentence_scores_as_its_words_together(profiles: Profiles) -> None:
    words = ["the", "answer", "is", "a", "whole", "number"]
    assert np.allclose(profiles.scores([words])[0], profiles.word_scores(words).sum(axis=0), atol=1e-3)


@given(first=WORDS, second=WORDS)
def test_a_word_scores_the_same_whatever_was_read_before(first: list[str], second: list[str]) -> None:
    shared = detector_named("profiles")
    assert isinstance(shared, Profiles)
    shared.word_scores(first)
    known = shared.word_scores(second)
    assert (known == np.vstack([shared._read([word]) for word in second])).all()
