"""Deduplication against a slow search over all pairs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from r1data.dedup import dedup
from r1data.minhash import BINS, ShingleSets, band_keys, minhash, near_groups, shingles
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows

VOCABULARY = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]


class Texts(list[str]):
    """A list of texts read in batches of three."""

    def __iter__(self) -> Iterator[list[str]]:  # type: ignore[override]
        for start in range(0, len(self), 3):
            yield self[start : start + 3]  # type: ignore[misc]


def sentence(dice: random.Random, words: int) -> list[str]:
    return [dice.choice(VOCABULARY) for _ in range(words)]


def rows_of(texts: list[str], **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": f"p{n}", "uid": f"u{n}", "task": "general", "prompt": "same", "text": text, **more}
        for n, text in enumerate(texts)
    ]


def ledger(path: Path) -> list[dict[str, Any]]:
    return list(read_rows(path / "ledger.parquet"))


def test_near_pairs_are_found_and_only_true_ones_count(tmp_path: Path) -> None:
    dice = random.Random(0)
    texts: list[str] = []
    for _ in range(150):
        base = sentence(dice, dice.randint(20, 120))
        texts.append(" ".join(base))
        for changes in range(dice.randint(0, 3)):
            for _ in range(changes):
                base[dice.randrange(len(base))] = dice.choice(VOCABULARY)
            texts.append(" ".join(base))
    groups, highest = near_groups(Texts(texts), band_keys(texts), 0.7, tmp_path / "spill")
    sets = [{tuple(words[i : i + 5]) for i in range(len(words) - 4)} for words in map(str.split, texts)]
    found = missed = 0
    for i in range(len(texts)):
        for j in range(i):
            similarity = len(sets[i] & sets[j]) / len(sets[i] | sets[j])
            if similarity >= 0.7:
                found, missed = found + 1, missed + (groups[i] != groups[j])
    assert found > 100
    assert missed <= 0.02 * found
    for i in np.flatnonzero(groups != np.arange(len(texts))):  # nobody is in a group without a reason
        assert highest[i] >= 0.7
        assert max(len(sets[i] & s) / len(sets[i] | s) for j, s in enumerate(sets) if j != i) >= 0.7
    assert not (tmp_path / "spill").exists()


def test_the_signature_estimates_the_similarity_of_texts_long_and_short() -> None:
    dice = random.Random(1)
    for words in (12, 60, 400):
        errors = []
        for _ in range(40):
            one = sentence(dice, words)
            other = [word if dice.random() > 0.02 else dice.choice(VOCABULARY) for word in one]
            hashed, begin = shingles([" ".join(one), " ".join(other)])
            a, b = (set(hashed[begin[i] : begin[i + 1]].tolist()) for i in (0, 1))
            signature = minhash(hashed, begin)
            assert signature.shape == (2, BINS)
            errors.append(float(np.mean(signature[0] == signature[1])) - len(a & b) / len(a | b))
        assert abs(float(np.mean(errors))) < 0.05


def test_shingle_sets_know_their_similarity(tmp_path: Path) -> None:
    texts = Texts(["a b c d e f", "a b c d e f g", "short", "short", "other"])
    sets = ShingleSets(texts, np.ones(5, np.bool_), tmp_path / "spill")
    assert [sets.similarity(0, 1), sets.similarity(2, 3), sets.similarity(2, 4)] == [
        pytest.approx(2 / 3),
        1.0,
        0.0,
    ]
    sets.close()


def test_exact_and_near_duplicates_name_the_row_that_stayed(tmp_path: Path) -> None:
    dice = random.Random(2)
    words = sentence(dice, 80)
    near = [*words[:-1], "changed"]
    texts = [" ".join(words), " ".join(sentence(dice, 80)), " ".join(words), " ".join(near)]
    counts = dedup(rows_of(texts), tmp_path / "out", by="response")
    assert counts["rules"] == {"duplicate": 1, "near_duplicate": 1}
    lines = ledger(tmp_path / "out")
    assert [line["match"] for line in lines] == ["u0", None, "u0", "u0"]
    assert [line["fate"] for line in lines] == ["kept", "kept", "dropped", "dropped"]
    assert lines[2]["value"] == 1.0
    assert 0.9 < lines[3]["value"] < 1.0
    assert dedup(rows_of(texts), tmp_path / "exact", by="response", near=False)["rules"] == {"duplicate": 1}


def test_the_best_reward_stays_and_a_repeated_uid_never_does(tmp_path: Path) -> None:
    rows = rows_of(["same text"] * 4)
    for row, reward in zip(rows, (0.5, 1.0, None, 2.0), strict=True):
        row["reward"] = reward
    rows[3]["uid"] = "u0"
    dedup(rows, tmp_path / "out", by="response")
    lines = ledger(tmp_path / "out")
    assert [line["fate"] for line in lines] == ["dropped", "kept", "dropped", "dropped"]
    assert lines[3]["rule"] == "repeated_uid"


def test_samples_of_one_problem_are_never_compared_by_problem(tmp_path: Path) -> None:
    rows = rows_of(["equal"] * 6)
    for number, row in enumerate(rows):
        row["id"], row["prompt"] = (
            f"p{number // 2}",
            ["first question", "second", "first question"][number // 2],
        )
    counts = dedup(rows, tmp_path / "out", by="problem")
    lines = ledger(tmp_path / "out")
    assert counts["kept"] == 4
    assert [line["fate"] for line in lines] == ["kept"] * 4 + ["dropped"] * 2
    assert lines[4]["match"] == "u0"


def test_short_questions_differ_by_their_signs(tmp_path: Path) -> None:
    rows = [
        {"id": str(n), "task": "general", "prompt": p} for n, p in enumerate(["2+3", "2-3", "2 + 3", "2*3"])
    ]
    dedup(rows, tmp_path / "out")
    assert [line["fate"] for line in ledger(tmp_path / "out")] == ["kept", "kept", "dropped", "kept"]


def test_the_fates_do_not_depend_on_how_rows_are_batched(tmp_path: Path) -> None:
    dice = random.Random(3)
    base = [sentence(dice, 40) for _ in range(20)]
    texts = [" ".join([*dice.choice(base)[:-1], dice.choice(VOCABULARY)]) for _ in range(600)]
    dedup(rows_of(texts), tmp_path / "whole", by="response")
    whole = {line["uid"]: line["match"] for line in ledger(tmp_path / "whole")}
    dedup(rows_of(texts) + rows_of(["padding"], id="z", uid="z")[:1], tmp_path / "more", by="response")
    more = {line["uid"]: line["match"] for line in ledger(tmp_path / "more")}
    assert {uid: more[uid] for uid in whole} == whole


def test_wrong_settings_are_said(tmp_path: Path) -> None:
    for wrong in ({"by": "prompt"}, {"threshold": 0.2}):
        with pytest.raises(UserError, match=r"problem or by response|threshold is"):
            dedup(rows_of(["a"]), tmp_path / "out", **wrong)  # type: ignore[arg-type]
