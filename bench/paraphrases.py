"""Paraphrased examination items: what n-grams miss, and what neighbours catch at which precision.

    python bench/paraphrases.py

636 questions of GSM8K's test set are guarded. They hide, each reworded by a language model, among the 7,471
questions of its training set (R1KIT_DATA, see bench/README.md), which nobody reworded. One line for each way
of `r1data decontaminate` to find them, and for the cosine of embeddings alone:

caught       reworded questions that are flagged, of 636; for neighbours, as a copy of the right item
clean        training questions that are flagged, of 7,471, and their share
precision    caught / (caught + clean), on this mixture

Some training questions do repeat a test question with another wording or another name, so `clean` counts a
few that are not. Embedding takes about two minutes on one core; needs r1kit[paraphrases].
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from r1data import words
from r1data.decontaminate import Items
from r1data.neighbours import Neighbours, load_embedder
from r1rewards.core.console import print_table
from r1rewards.core.store import read_rows

DATA = Path(os.environ.get("R1KIT_DATA", Path(__file__).parents[1].parent / "shared" / "data"))
NGRAMS = ((10, 0.5), (10, 0.0), (8, 0.0), (5, 0.0))
THRESHOLDS = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5)


def main() -> None:
    items = [row["question"] for row in read_rows(DATA / "gsm8k_test_half.jsonl.gz")]
    place = {question: number for number, question in enumerate(items)}
    reworded: list[str] = []
    origins: list[int] = []
    for row in read_rows(DATA / "decontam_gsm8k_test_rephrased_half.jsonl.gz"):
        reworded.append(row["rephrased"].removeprefix("Question: ").partition("\nAnswer:")[0])
        origins.append(place[row["original_question"]])
    clean = [row["question"] for row in read_rows(DATA / "gsm8k_train.jsonl.gz")]

    def line(way: str, caught: int, flagged: int) -> list[object]:
        share = f"{100 * flagged / len(clean):.2f} %"
        return [way, caught, flagged, share, caught / max(1, caught + flagged)]

    lines = [
        line(
            f"{n}-grams, " + (f"{coverage:.0%} covered" if coverage else "any hit"),
            sum(overlaps(items, reworded, n, coverage)),
            sum(overlaps(items, clean, n, coverage)),
        )
        for n, coverage in NGRAMS
    ]
    texts = [*items, *reworded, *clean]
    vectors = dict(zip(texts, load_embedder()(texts), strict=True))

    def embed(some: Sequence[str]) -> Any:
        return np.stack([vectors[text] for text in some])

    guarded = Neighbours([(str(number), question) for number, question in enumerate(items)], embed)
    near_reworded, near_clean = guarded.nearest(reworded), guarded.nearest(clean)
    cosines, cosines_clean = embed(reworded) @ embed(items).T, embed(clean) @ embed(items).T
    right, nearest = cosines.argmax(1) == np.array(origins), cosines.max(1)
    for threshold in THRESHOLDS:
        found = sum(
            near >= threshold and at == origin
            for (at, near), origin in zip(near_reworded, origins, strict=True)
        )
        flagged = sum(near >= threshold for _, near in near_clean)
        lines.append(line(f"--paraphrases {threshold}", found, flagged))
        alone = int((right & (nearest >= threshold)).sum())
        lines.append(line(f"cosine {threshold} alone", alone, int((cosines_clean.max(1) >= threshold).sum())))
    print_table(["way", f"caught of {len(reworded)}", f"clean of {len(clean):,}", "", "precision"], lines)


def overlaps(items: Sequence[str], questions: Sequence[str], n: int, coverage: float) -> Iterator[bool]:
    index = Items(((str(number), "question", text) for number, text in enumerate(items)), n)
    for batch in words.batches(questions):
        for hit in index.hits(batch, batch, []):
            yield hit is not None and hit.value >= coverage


if __name__ == "__main__":
    main()
