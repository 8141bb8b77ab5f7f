"""What a reward model is measured by."""

from __future__ import annotations

from r1train.stages.reward_model import _ranked


def test_labels_are_ranked_within_their_prompt_only() -> None:
    rows = [
        {"id": "a", "label": True},
        {"id": "a", "label": False},
        {"id": "b", "label": True},
        {"id": "b", "label": False},
    ]
    # all on one side of the threshold, and b's good answer below a's bad one
    ranked = _ranked(rows, [0.9, 0.8, 0.7, 0.6])
    assert ranked is not None and ranked["mean"] == 1.0
    ranked = _ranked(rows, [0.9, 0.8, 0.6, 0.7])
    assert ranked is not None and ranked["mean"] == 0.5


def test_equal_values_count_half_and_a_prompt_of_one_label_counts_nothing() -> None:
    rows = [{"id": "a", "label": True}, {"id": "a", "label": False}, {"id": "b", "label": True}]
    ranked = _ranked(rows, [0.4, 0.4, 0.1])
    assert ranked is not None and ranked["mean"] == 0.5
    assert _ranked(rows[2:], [0.1]) is None
