"""Choosing: among samples, among problems, by quota, and for training or examination."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1data.mix import Quotas, load_quotas, mix
from r1data.select import histogram, pass_rates, select_problems, select_responses
from r1data.split import split
from r1data.words import question_key
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows


def row(number: int, **more: Any) -> dict[str, Any]:
    problem = {"id": f"p{number}", "task": "general", "prompt": f"question {number}"}
    return {**problem, "uid": f"u{number}", "text": f"answer {number}", **more}


def kept(path: Path, name: str = "kept") -> list[dict[str, Any]]:
    return list(read_rows(path / f"{name}.parquet"))


def test_at_most_k_different_responses_of_each_problem_stay(tmp_path: Path) -> None:
    dice = random.Random(0)
    words = [f"w{n}" for n in range(200)]
    base = " ".join(dice.choices(words, k=60))
    texts = [base, base + " end", *(" ".join(dice.choices(words, k=60)) for _ in range(3))]
    rows = [row(n, id="p", text=text) for n, text in enumerate(texts)] + [row(9, id="q")]
    counts = select_responses(rows, tmp_path / "out", k=3)
    lines = list(read_rows(tmp_path / "out" / "ledger.parquet"))
    assert counts["kept"] == 4
    assert len({line["uid"] for line in lines[:2] if line["fate"] == "kept"}) <= 1
    assert {line["rule"] for line in lines} <= {None, "enough", "too_similar"}
    shuffled = dice.sample(rows, len(rows))
    select_responses(shuffled, tmp_path / "again", k=3)
    assert {one["uid"] for one in kept(tmp_path / "again")} == {one["uid"] for one in kept(tmp_path / "out")}


def test_the_best_reward_comes_first_and_few_are_sampled_again(tmp_path: Path) -> None:
    rows = [row(n, id="p", text=f"{n} " * 9, reward=float(n == 2)) for n in range(4)]
    problems = [{"id": name, "task": "general", "prompt": name} for name in ("p", "never")]
    write_rows(tmp_path / "problems.jsonl", problems)
    select_responses(rows, tmp_path / "out", k=1, problems=tmp_path / "problems.jsonl")
    assert [one["uid"] for one in kept(tmp_path / "out")] == ["u2"]
    assert [one["id"] for one in kept(tmp_path / "out", "resample")] == ["never"]


def test_problems_are_selected_by_pass_rate_of_what_could_be_graded(tmp_path: Path) -> None:
    scored = []
    for name, values in {"half": [1, 0], "never": [0, 0], "always": [1, 1], "hard": [1] + [0] * 19}.items():
        scored += [{"problem_id": name, "rewards": {"math": value, "format": 0}} for value in values]
    scored += [{"problem_id": "half", "rewards": {"math": None}}] * 5
    scored += [{"problem_id": "unknown", "rewards": {"math": None}}]
    write_rows(tmp_path / "scored.jsonl", scored)
    rates = pass_rates([tmp_path / "scored.jsonl"])
    assert rates == {"half": (1, 2), "never": (0, 2), "always": (2, 2), "hard": (1, 20)}
    names = ["half", "never", "always", "hard", "unknown"]
    rows = [{"id": name, "task": "general", "prompt": name} for name in names]
    select_problems(rows, tmp_path / "out", rates=rates)
    rules = [line["rule"] for line in read_rows(tmp_path / "out" / "ledger.parquet")]
    assert rules == [None, "never_solved", "always_solved", "too_hard", "no_pass_rate"]
    assert dict(histogram(rates, 2)) == {"0": 1, "0.0 to 0.5": 1, "0.5 to 1.0": 1, "1": 1}
    write_rows(tmp_path / "wrong.jsonl", [{"id": "a"}])
    with pytest.raises(UserError, match="line 1: a pass rate needs"):
        pass_rates([tmp_path / "wrong.jsonl"])


@given(st.integers(1, 10**7))
def test_scaled_quotas_add_up(total: int) -> None:
    for name in ("seed", "paper"):
        quotas = load_quotas(name)
        counts = quotas.scaled(total)
        assert sum(counts.values()) == total
        whole = sum(share.samples for share in quotas.shares.values())
        assert all(abs(counts[n] - share.samples * total / whole) < 1 for n, share in quotas.shares.items())


def test_the_paper_has_its_table() -> None:
    assert sum(share.samples for share in load_quotas("paper").shares.values()) == 804_745


def test_a_mix_takes_no_row_twice_and_tells_its_shortfall(tmp_path: Path) -> None:
    rows = [row(n, domain="math") for n in range(30)] + [row(n + 30, domain="writing") for n in range(4)]
    counts = mix(rows, tmp_path / "out", total=24)
    assert counts["shares"] == {
        "reasoning": {"wanted": 18, "had": 30, "kept": 18},
        "general": {"wanted": 6, "had": 4, "kept": 4},
    }
    assert counts["kept"] == 22
    assert len({one["uid"] for one in kept(tmp_path / "out")}) == 22
    with pytest.raises(UserError, match="'general' wants 6 samples and there are 4"):
        mix(rows, tmp_path / "strict", total=24, strict=True)
    assert mix(rows, tmp_path / "fit", total="fit")["shares"]["general"] == {"wanted": 4, "had": 4, "kept": 4}
    with pytest.raises(UserError, match="no rows for the share 'general'"):
        mix(rows[:30], tmp_path / "none", total="fit")


def test_a_mix_depends_on_names_and_seed_only(tmp_path: Path) -> None:
    rows = [row(n, domain="math") for n in range(60)] + [row(n + 60, domain="qa") for n in range(30)]

    def chosen(total: int, seed: int = 0, order: list[dict[str, Any]] = rows) -> set[str]:
        out = tmp_path / f"{total}-{seed}-{len(list(tmp_path.iterdir()))}"
        mix(order, out, total=total, seed=seed)
        return {one["uid"] for one in kept(out)}

    small = chosen(20)
    assert small == chosen(20, order=random.Random(0).sample(rows, len(rows)))
    assert small < chosen(40)
    assert small != chosen(20, seed=1)


def test_several_files_are_one_input_and_unwanted_domains_have_a_fate(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [row(1, domain="math")])
    write_rows(tmp_path / "b.parquet", [row(2, domain="poetry", extra=[1])])
    quotas = {"name": "only", "shares": {"math": {"samples": 5, "domains": ["math"]}}}
    mix([tmp_path / "a.jsonl", tmp_path / "b.parquet"], tmp_path / "out", quotas=quotas)
    lines = list(read_rows(tmp_path / "out" / "ledger.parquet"))
    assert [(line["source"], line["rule"]) for line in lines] == [("a", None), ("b", "no_share")]


def test_mistakes_in_quotas_are_named() -> None:
    with pytest.raises(UserError, match="there are no quotas 'sead'; did you mean 'seed'"):
        load_quotas("sead")
    twice = {
        "name": "x",
        "shares": {"a": {"samples": 1, "domains": ["m"]}, "b": {"samples": 1, "domains": ["m"]}},
    }
    with pytest.raises(UserError, match="'m' is in two shares"):
        load_quotas(twice)
    assert Quotas.model_validate({"name": "x", "shares": {"a": {"samples": 1}}}).share_of("any") == "a"


def test_a_split_shares_no_question_and_is_even_over_domains(tmp_path: Path) -> None:
    rows = [
        row(n, prompt=f"Question  {n % 40}" + "." * (n % 2), domain="math" if n % 40 < 30 else "qa")
        for n in range(120)
    ]
    counts = split(rows, tmp_path / "out", heldout=5)
    train, heldout = kept(tmp_path / "out", "train"), kept(tmp_path / "out", "heldout")
    questions = [{question_key(one["prompt"][0]["content"]) for one in part} for part in (train, heldout)]
    assert not questions[0] & questions[1]
    assert len(questions[1]) == 10
    assert counts["train"] + counts["heldout"] == 120 == len(train) + len(heldout)
    again = split(list(reversed(rows)), tmp_path / "again", heldout=5)
    assert again["heldout"] == counts["heldout"]
    assert {one["uid"] for one in kept(tmp_path / "again", "heldout")} == {one["uid"] for one in heldout}
    assert split(rows, tmp_path / "share", heldout=0.5)["heldout"] == 60
    with pytest.raises(UserError, match="heldout is 0"):
        split(rows, tmp_path / "none", heldout=0)


def test_problems_that_a_source_calls_one_stay_together(tmp_path: Path) -> None:
    rows = [row(n, meta={"key": f"k{n // 4}"}, prompt=f"wording {n}") for n in range(80)]
    rows += [row(n + 80, prompt=f"wording {n}") for n in range(0, 80, 3)]
    split(rows, tmp_path / "out", heldout=0.3)
    sides: dict[str, set[str]] = {}
    for line in read_rows(tmp_path / "out" / "ledger.parquet"):
        number = int(line["uid"][1:])
        base = number if number < 80 else (number - 80)
        sides.setdefault(f"k{base // 4}", set()).add(line["fate"])
    assert all(len(side) == 1 for side in sides.values())
    assert {"train"} in sides.values()
    assert {"heldout"} in sides.values()
