"""Pairs, refinement and review: what a model or a person says becomes fates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from r1data.pairs import preference_pairs
from r1data.refine import refine
from r1data.review import ask, hand_out, take_in
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows
from r1rewards.llm import Completion, Request


class Scripted:
    """Answers each prompt with what a function makes of it."""

    def __init__(self, reply: Callable[[str], str]) -> None:
        self.reply = reply
        self.asked = 0

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        for index in reversed(range(len(requests))):
            self.asked += 1
            prompt = requests[index].prompt[-1]["content"]  # type: ignore[index]
            yield index, Completion(self.reply(prompt), (1, 2), "stop", 1)


def between(prompt: str, name: str) -> str:
    return prompt.partition(f"<<<{name} ")[2].partition(">>>\n")[2].partition("\n<<<end of")[0]


def response(problem: int, sample: int, answer: str) -> dict[str, Any]:
    return {
        "id": f"p{problem}",
        "uid": f"u{problem}-{sample}",
        "task": "general",
        "prompt": f"question {problem}",
        "text": f"<think>hm</think><answer>{answer}</answer>",
    }


def biased(prompt: str) -> str:
    """A judge that likes what stands first a little, and what is good a lot."""
    if "broken" in prompt:
        return "I would rather not say."
    first, second = (between(prompt, name).count("good") for name in ("answer_a", "answer_b"))
    return "[[A>>B]]" if first > second else "[[B>>A]]" if second > first else "[[A>B]]"


def test_pairs_are_what_the_judge_says_whatever_the_order(tmp_path: Path) -> None:
    rows = [response(0, 0, "good"), response(0, 1, "poor"), response(1, 0, "poor"), response(1, 1, "good")]
    rows += [response(2, 0, "so"), response(2, 1, "so so"), response(3, 0, "alone")]
    rows += [response(4, 0, "broken"), response(4, 1, "good")]
    judge = Scripted(biased)
    counts = preference_pairs(rows, tmp_path / "out", model=lambda: judge, name="j", match_lengths=False)
    assert counts["pairs"] == 2
    assert counts["rules"] == {"about_equal": 2, "judge_error": 2, "no_partner": 1}
    pairs = {row["id"]: row for row in read_rows(tmp_path / "out" / "pairs.parquet")}
    assert {(pair["chosen"], pair["rejected"], pair["score"]) for pair in pairs.values()} == {
        ("good", "poor", 2.0)
    }
    assert pairs["p1"]["meta"] == {"chosen_uid": "u1-1", "rejected_uid": "u1-0"}
    ledger = pl.read_parquet(tmp_path / "out" / "ledger.parquet")
    assert dict(zip(ledger["uid"], ledger["value"], strict=True))["u0-0"] == 2.0
    # 4 pairs of which one is never answered in form (3 tries), 4 calls each
    assert judge.asked <= 4 * 3 + 4 * 3
    again = Scripted(biased)
    lax = preference_pairs(
        rows, tmp_path / "lax", model=lambda: again, name="j", margin=0.2, match_lengths=False
    )
    assert lax["in"] == counts["in"]


def test_a_changed_margin_asks_the_judge_nothing(tmp_path: Path) -> None:
    rows = [response(n, s, "good" if s else "poor") for n in range(3) for s in range(2)]

    def never() -> Scripted:
        raise AssertionError("the judge was started for nothing")

    judge = Scripted(biased)
    preference_pairs(rows, tmp_path / "out", model=lambda: judge, name="j", match_lengths=False)
    counts = preference_pairs(rows, tmp_path / "out", model=never, name="j", margin=2.0, match_lengths=False)
    assert counts["rules"] == {"about_equal": 6}


def test_length_alone_tells_nothing(tmp_path: Path) -> None:
    rows = []
    for n in range(30):  # in 20 the better answer is the longer one, in 10 the shorter
        good, poor = ("good " * 8, "poor") if n < 20 else ("good", "poor " * 8)
        rows += [response(n, 0, good), response(n, 1, poor)]
    counts = preference_pairs(rows, tmp_path / "out", model=lambda: Scripted(biased), name="j")
    assert counts["rules"] == {"length_unmatched": 20}
    pairs = list(read_rows(tmp_path / "out" / "pairs.parquet"))
    assert sum(len(pair["chosen"]) > len(pair["rejected"]) for pair in pairs) == 10 == len(pairs) // 2


MATH = {
    "id": "p",
    "uid": "u",
    "task": "math",
    "prompt": "What is 2 + 3?",
    "reference": "5",
    "language": "en",
    "text": "<think>umm 2 加 3 is 5</think><answer>5</answer>",
}


def writer(summary: str = "So it is \\boxed{5}.") -> Callable[[str], str]:
    def reply(prompt: str) -> str:
        if "You edit the thinking" in prompt:
            assert between(prompt, "thinking") == "umm 2 加 3 is 5"
            return "<think>short</think><rewritten>I add two and three.</rewritten>"
        if "You write the answer" in prompt:
            assert between(prompt, "thinking") == "I add two and three."
            return f"<rewritten>{summary}</rewritten>"
        simple = between(prompt, "question") == "Hello"
        return f"<rewritten>{'NONE' if simple else 'What do they want?'}</rewritten>"

    return reply


def test_a_trace_is_rewritten_checked_and_its_original_kept(tmp_path: Path) -> None:
    counts = refine([MATH], tmp_path / "out", model=lambda: Scripted(writer()), name="m")
    assert counts["kept"] == 1
    (row,) = read_rows(tmp_path / "out" / "kept.parquet")
    assert row["text"] == "<think>\nI add two and three.\n</think>\n<answer>So it is \\boxed{5}.</answer>"
    assert (row["original"], row["uid"]) == (MATH["text"], "u")


@pytest.mark.parametrize(
    ("reply", "rule", "why"),
    [
        (writer("So it is \\boxed{6}."), "refined_wrong", "5 and 6"),
        (lambda prompt: "I cannot.", "refine_failed", None),
        (lambda prompt: "<rewritten></think></rewritten>", "refine_failed", None),
    ],
)
def test_what_became_wrong_or_failed_is_dropped(
    tmp_path: Path, reply: Callable[[str], str], rule: str, why: str | None
) -> None:
    model = Scripted(reply)
    counts = refine([MATH], tmp_path / "out", model=lambda: model, name="m")
    assert counts["rules"] == {rule: 1}
    (line,) = pl.read_parquet(tmp_path / "out" / "ledger.parquet").to_dicts()
    assert line["span"] is None if why is None else set(why.split()) <= set(line["span"].split())


def test_general_prompts_get_thinking_and_simple_ones_none(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "uid": "a", "task": "general", "prompt": "Hello", "text": "<answer>Hi!</answer>"},
        {"id": "b", "uid": "b", "task": "general", "prompt": "A poem?", "text": "<answer>Roses</answer>"},
    ]
    for row in rows:
        row["thinking"] = "none"
    refine(rows, tmp_path / "out", model=lambda: Scripted(writer()), name="m")
    simple, poem = read_rows(tmp_path / "out" / "kept.parquet")
    assert (simple["text"], simple["thinking"]) == ("<answer>Hi!</answer>", "none")
    assert poem["text"] == "<think>\nWhat do they want?\n</think>\n<answer>Roses</answer>"
    assert poem["thinking"] is None


def test_recorded_calls_are_not_made_again(tmp_path: Path) -> None:
    refine([MATH], tmp_path / "out", model=lambda: Scripted(writer()), name="m")
    model = Scripted(writer())
    other = {**MATH, "prompt": "What is 3 + 2?", "id": "q", "uid": "v"}
    refine([MATH, other], tmp_path / "out", model=lambda: model, name="m")
    assert model.asked == 2
    calls = (tmp_path / "out.calls.jsonl").read_text().splitlines()
    assert len({json.loads(line)["key"] for line in calls}) == len(calls) == 4


def test_a_review_by_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [response(n, 0, f"a{n}") for n in range(4)])
    assert hand_out(tmp_path / "rows.jsonl", tmp_path / "review.jsonl") == 4
    lines = list(read_rows(tmp_path / "review.jsonl"))
    assert list(lines[0])[:3] == ["decision", "reason", "reviewer"]
    lines[0].update(decision="accept")
    lines[1].update(decision="Reject", reason="rude", reviewer="Ann")
    lines[2].update(decision="edit", text="<answer>better</answer>")
    write_rows(tmp_path / "review.jsonl", lines)
    given = (tmp_path / "rows.jsonl", tmp_path / "review.jsonl", tmp_path / "out")
    counts = take_in(*given, reviewer="Bob")
    assert (counts["kept"], counts["rules"]) == (3, {"rejected_in_review": 1})
    kept = list(read_rows(tmp_path / "out" / "kept.parquet"))
    assert [row["edited"] for row in kept] == [False, True, False]
    assert kept[1]["text"] == "<answer>better</answer>"
    ledger = pl.read_parquet(tmp_path / "out" / "ledger.parquet").to_dicts()
    assert [(line["match"], line["span"]) for line in ledger[:2]] == [("Bob", None), ("Ann", "rude")]
    assert take_in(*given, unreviewed="drop")["rules"] == {"not_reviewed": 1, "rejected_in_review": 1}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"uid": "u0-0", "decision": "maybe"}, "line 1: the decision 'maybe'"),
        ({"uid": "u0-0", "decision": "edit"}, "line 1: an edit needs the new"),
        ({"decision": "accept"}, "line 1: no uid"),
        ({"uid": "nobody", "decision": "accept"}, "no row here has the uid 'nobody'"),
    ],
)
def test_decisions_that_are_none_are_named(tmp_path: Path, line: dict[str, str], why: str) -> None:
    write_rows(tmp_path / "rows.jsonl", [response(0, 0, "a")])
    write_rows(tmp_path / "review.jsonl", [line])
    with pytest.raises(UserError, match=why):
        take_in(tmp_path / "rows.jsonl", tmp_path / "review.jsonl", tmp_path / "out")


def test_a_review_row_by_row_goes_on_where_it_stopped(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [response(n, 0, f"a{n}") for n in range(3)])
    said: list[Any] = [{"decision": "accept", "reason": ""}, None]
    seen: list[str] = []

    def answer(row: Any, number: int, total: int) -> Any:
        seen.append(row["uid"])
        return said.pop(0)

    log = tmp_path / "decisions.jsonl"
    assert ask(tmp_path / "rows.jsonl", log, answer, reviewer="Ann") == 1
    said = [{"decision": "reject", "reason": "dull"}, {"decision": "accept", "reason": ""}]
    assert ask(tmp_path / "rows.jsonl", log, answer, reviewer="Ann") == 2
    assert seen == ["u0-0", "u1-0", "u1-0", "u2-0"]
    counts = take_in(tmp_path / "rows.jsonl", log, tmp_path / "out")
    assert counts["rules"] == {"rejected_in_review": 1}
