"""Rows of the shapes that others publish become ours; what is no row is named and, if asked, left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from r1data.imports import Import
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows
from r1rewards.core.template import get_template
from tests.conftest import DATA


def read(tmp_path: Path, kind: str, rows: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
    path = tmp_path / "theirs.jsonl"
    write_rows(path, rows)
    wanted: dict[str, Any] = {"columns": {}, "defaults": {}, **how}
    return list(Import(kind, **wanted).rows(path))


QUESTION = {"role": "user", "content": "What is 2 + 3?"}

CHATS: dict[str, dict[str, Any]] = {
    "messages": {"messages": [QUESTION, {"role": "assistant", "content": "It is 5."}]},
    "sharegpt": {
        "conversations": [{"from": "human", "value": "What is 2 + 3?"}, {"from": "gpt", "value": "It is 5."}]
    },
    "parts": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What is 2 + 3?"}]},
            {"role": "assistant", "content": "It is 5."},
        ]
    },
    "alpaca": {"instruction": "What is 2 + 3?", "input": "", "output": "It is 5."},
    "columns": {"prompt": "What is 2 + 3?", "response": "It is 5."},
}


@pytest.mark.parametrize("shape", CHATS)
def test_chats_of_every_shape_are_the_same_row(tmp_path: Path, shape: str) -> None:
    (row,) = read(tmp_path, "chats", [CHATS[shape]])
    assert row["prompt"] == [QUESTION]
    assert row["text"] == "<answer>It is 5.</answer>"
    assert (row["thinking"], row["task"], row["source"]) == ("none", "general", "theirs")
    assert not {"messages", "conversations", "instruction", "output"} & set(row)


def test_openthoughts_thinking_is_laid_out_by_the_template(tmp_path: Path) -> None:
    answer = (
        "<|begin_of_thought|>\n\nTwo and three.\n\n<|end_of_thought|>\n\n"
        "<|begin_of_solution|>\n\n\\boxed{5}\n\n<|end_of_solution|>"
    )
    chat = {
        "system": "Think slowly.",
        "conversations": [{"from": "user", "value": "2 + 3?"}, {"from": "assistant", "value": answer}],
    }
    for name in ("think-answer", "think-summary", "reasoning-summary"):
        template = get_template(name)
        (row,) = read(tmp_path, "chats", [chat], template=template)
        assert row["prompt"][0] == {"role": "system", "content": "Think slowly."}
        trace = template.parse(row["text"])
        assert (trace.reasoning, trace.answer, trace.well_formed) == ("Two and three.", "\\boxed{5}", True)
        assert row["thinking"] is None


def test_thinking_that_stands_apart_is_joined(tmp_path: Path) -> None:
    turns = [QUESTION, {"role": "assistant", "reasoning_content": "Add them.", "content": "5"}]
    (row,) = read(tmp_path, "chats", [{"messages": turns}])
    assert row["text"] == "<think>\nAdd them.\n</think>\n<answer>5</answer>"


def test_several_turns_are_kept(tmp_path: Path) -> None:
    turns = [QUESTION, {"role": "assistant", "content": "5"}] * 3
    (row,) = read(tmp_path, "chats", [{"messages": turns}])
    assert [turn["role"] for turn in row["prompt"]] == ["user", "assistant"] * 2 + ["user"]


def test_hand_made_thoughts_and_answers_are_laid_out(tmp_path: Path) -> None:
    theirs = {"problem": "2 + 3?", "cot": "Add them.", "final": "5"}
    columns = {"prompt": "problem", "reasoning": "cot", "text": "final", "reference": "final"}
    (row,) = read(tmp_path, "traces", [theirs], columns=columns, defaults={"task": "math"})
    assert row["text"] == "<think>\nAdd them.\n</think>\n<answer>5</answer>"
    assert (row["reference"], row["task"]) == ("5", "math")
    assert "reasoning" not in row


HH = "\n\nHuman: Hello\n\nAssistant: Hi.\n\nHuman: Why\n\nHuman: though?\n\nAssistant: "


@pytest.mark.parametrize(
    "pair",
    [
        {"chosen": f"{HH}Because.", "rejected": f"{HH}Go away."},
        {
            "prompt": "Why?",
            "chosen": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}],
            "rejected": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Go away."}],
        },
        {"prompt": "Why?", "chosen": "Because.", "rejected": "Go away."},
        {
            "conversations": [{"from": "human", "value": "Why?"}],
            "chosen": {"from": "gpt", "value": "Because."},
            "rejected": {"from": "gpt", "value": "Go away."},
        },
    ],
)
def test_pairs_of_every_shape(tmp_path: Path, pair: dict[str, Any]) -> None:
    (row,) = read(tmp_path, "pairs", [pair])
    assert (row["chosen"], row["rejected"]) == ("Because.", "Go away.")
    assert row["prompt"][-1]["role"] == "user"
    assert row["prompt"][-1]["content"].lower().endswith("?")
    assert row["id"] and row["uid"] != row["id"]


@pytest.mark.parametrize(
    ("kind", "row", "why"),
    [
        ("pairs", {"prompt": "Why?", "chosen": "a", "rejected": "a "}, "the same text"),
        ("pairs", {"prompt": "Why?", "chosen": "a", "rejected": None}, "needs 'rejected'"),
        ("pairs", {"chosen": HH + "a", "rejected": HH.replace("Hello", "Bye") + "b"}, "differ before"),
        ("chats", {"messages": [QUESTION]}, "ends with the user"),
        ("chats", {"messages": [{"role": "assistant", "content": "Hi."}]}, "nobody asks"),
        ("chats", {"messages": [{"role": "narrator", "content": "x"}]}, "turn 1: 'narrator'"),
        ("chats", {"messages": [QUESTION, {"role": "assistant", "content": None}]}, "turn 2: the content"),
        ("chats", {"text": "x"}, "no conversation in this row"),
        ("labels", {"prompt": "p", "response": "r"}, "no 'label'"),
        ("labels", {"prompt": "p", "response": "r", "label": "3_partly"}, "--good"),
        ("traces", {"id": "x", "task": "math", "prompt": "p", "text": "t"}, "needs a reference"),
    ],
)
def test_a_row_that_is_none_is_named_or_left_out(
    tmp_path: Path, kind: str, row: dict[str, Any], why: str
) -> None:
    with pytest.raises(UserError, match=rf"theirs.jsonl, line 1.*{why}"):
        read(tmp_path, kind, [row])
    told: list[tuple[str, str]] = []
    rows = Import(kind, {}, {}).rows(tmp_path / "theirs.jsonl", lambda *line: told.append(line))
    assert list(rows) == []
    assert why in told[0][1] and told[0][0].endswith("theirs.jsonl, line 1")


def test_labels_by_what_means_good(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "response": f"r{n}", "label": label} for n, label in enumerate((True, 0, "safe"))]
    assert [row["label"] for row in read(tmp_path, "labels", rows)] == [1, 0, 1]
    rows = [{"prompt": "p", "response": "r", "label": label} for label in ("comply", "refuse")]
    assert [row["label"] for row in read(tmp_path, "labels", rows, good=("refuse",))] == [0, 1]
    kto = {"messages": [QUESTION, {"role": "assistant", "content": "6"}], "label": False}
    (row,) = read(tmp_path, "labels", [kto])
    assert (row["prompt"], row["response"], row["label"]) == ([QUESTION], "6", 0)


def test_equal_rows_are_rows_of_their_own(tmp_path: Path) -> None:
    rows = read(tmp_path, "chats", [CHATS["alpaca"]] * 3)
    assert len({row["uid"] for row in rows}) == 3
    assert len({row["id"] for row in rows}) == 1


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UserError, match=r"--as chat: .*chats"):
        Import("chat", {}, {})


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "kind", "columns", "least"),
    [
        ("general_alpaca_zh_demo", "chats", {}, 1000),
        ("pref_hh_harmless_half", "pairs", {}, 1134),
        ("pref_dpo_zh_demo", "pairs", {}, 300),
        ("pref_kto_en_demo", "labels", {}, 300),
        ("math_think_traces", "traces", {"prompt": "problem", "reference": "ground_truth"}, 1767),
    ],
)
def test_published_files(name: str, kind: str, columns: dict[str, str], least: int) -> None:
    path = DATA / f"{name}.jsonl.gz"
    told: list[str] = []
    how = Import(kind, columns, {"task": "math"} if kind == "traces" else {})
    rows = list(how.rows(path, lambda where, why: told.append(why)))
    assert len(rows) == least
    assert len(rows) + len(told) == sum(1 for _ in read_rows(path))
    assert len({row["uid"] for row in rows}) == len(rows)
