"""`import`, `refine`, `pairs`, `review`, `card` and `show` as commands, over a real HTTP server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1rewards.core.store import read_rows, write_rows
from tests.r1data.test_model_steps import MATH, biased, response, writer
from tests.r1rewards.llm.test_endpoint import reply, serving

Run = Callable[..., tuple[int, str, str]]


def saying(words: Callable[[str], str]) -> Callable[[dict[str, Any], int], tuple[int, Any]]:
    def behave(body: dict[str, Any], number: int) -> tuple[int, Any]:
        return 200, reply(body, content=words(body["messages"][-1]["content"]))

    return behave


def test_refine_and_card(r1data: Run) -> None:
    write_rows("rows.jsonl", [MATH])
    with serving(saying(writer())) as server:
        code, said, told = r1data(
            "refine", "rows.jsonl", "--url", server.url, "--model", "m", "-o", "out", "--json"
        )
    assert (code, json.loads(said or "{}").get("kept")) == (0, 1), told
    code, said, _ = r1data("card", "out", "-o", "README.md", "--title", "Mine", "--license", "mit")
    assert (code, "1 rows went in: 1 left." in said) == (0, True)
    assert Path("README.md").read_text().startswith("---\nlicense: mit\n")


def test_pairs(r1data: Run) -> None:
    write_rows("rows.jsonl", [response(0, n, text) for n, text in enumerate(("good", "poor"))])
    given = ("--model", "m", "--no-match-lengths", "-o", "out", "--json")
    with serving(saying(biased)) as server:
        code, said, told = r1data("pairs", "rows.jsonl", "--url", server.url, *given)
    assert (code, json.loads(said or "{}").get("pairs")) == (0, 1), told
    (pair,) = read_rows("out/pairs.parquet")
    assert (pair["chosen"], pair["rejected"]) == ("good", "poor")


def test_import_review_and_show(r1data: Run) -> None:
    chats = [
        {"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "a"}]}
        for n in (0, 1)
    ]
    write_rows("chats.jsonl", [*chats, {"messages": []}])
    assert r1data("import", "chats.jsonl", "--as", "chats", "-o", "rows.parquet")[0] == 2
    code, said, _ = r1data("import", "chats.jsonl", "--as", "chats", "--skip-bad", "-o", "rows.parquet")
    assert (code, said) == (0, "2 rows, 1 left out (see rows.parquet.left-out.jsonl)\n")
    assert r1data("review", "rows.parquet", "--hand-out", "review.jsonl")[1] == "2 rows to review\n"
    lines = list(read_rows("review.jsonl"))
    write_rows("review.jsonl", [{**lines[0], "decision": "reject", "reason": "dull"}, lines[1]])
    code, said, _ = r1data(
        "review", "rows.parquet", "--decisions", "review.jsonl", "-o", "out", "--reviewer", "Ann"
    )
    assert (code, "rejected_in_review" in said) == (0, True)
    code, said, _ = r1data("why", lines[0]["uid"], "out")
    assert "dropped by rejected_in_review; match Ann: “dull”" in said
    code, said, _ = r1data("show", "out/kept.parquet", "--json")
    assert json.loads(said)["uid"] == lines[1]["uid"]
    assert "prompt: [user] q1" in r1data("show", "out/kept.parquet")[1]


@pytest.mark.parametrize(
    ("keys", "decisions"), [("r\ndull\nq\n", ["reject"]), ("a\na\n", ["accept", "accept"])]
)
def test_a_review_in_the_terminal(
    r1data: Run,
    keys: str,
    decisions: list[str],
) -> None:
    from typer.testing import CliRunner

    from r1data.cli import app

    write_rows("rows.jsonl", [response(n, 0, "a") for n in range(2)])
    done = CliRunner().invoke(
        app, ["review", "rows.jsonl", "--decisions", "log.jsonl", "--reviewer", "Ann"], keys
    )
    assert done.exit_code == 0, done.output
    assert [line["decision"] for line in read_rows("log.jsonl")] == decisions
