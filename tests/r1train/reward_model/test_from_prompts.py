"""DeepSeek-R1's way to a helpfulness model, command by command: prompts, samples, judged pairs, training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from r1rewards.core.store import read_rows, write_rows
from tests.conftest import Command
from tests.r1rewards.judge.test_judge import fenced
from tests.r1rewards.llm.test_endpoint import reply, serving

PROMPTS = 40
GOOD, BAD = "The quick brown fox jumps.", "The quick brown dog jumps."
#: What a judge says that likes what stands first a little, and foxes a lot.
LABELS = {(True, False): "A>>B", (False, True): "B>A", (True, True): "A=B", (False, False): "A=B"}


def answers_and_judges(body: dict[str, Any], number: int) -> tuple[int, Any]:
    """As a policy: a fox or a dog, the longer one by turns. As a judge: the fox is better."""
    asked = body["messages"][-1]["content"]
    if "You compare two assistants" in asked:
        first, second = ("fox" in fenced(asked, name) for name in ("answer_a", "answer_b"))
        return 200, reply(body, content=json.dumps({"verdict": LABELS[first, second]}))
    seed = int(body["seed"])
    animal = GOOD if seed % 2 else BAD
    padded = animal + " The lazy dog." * 2 if seed % 4 in (0, 1) else animal
    return 200, reply(body, content=f"<think>hm</think><answer>{padded}</answer>")


@pytest.mark.slow
def test_from_prompts_to_a_reward_model(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[[str], Command]
) -> None:
    monkeypatch.chdir(tmp_path)
    prompts = [{"id": f"p{n}", "task": "general", "prompt": f"What is {n} + 1?"} for n in range(PROMPTS)]
    write_rows("prompts.jsonl", prompts)
    r1data, r1train = command("r1data"), command("r1train")
    with serving(answers_and_judges) as server:
        asked = ("--url", server.url, "--model", "m", "--json")
        code, _, told = r1data("sample", "prompts.jsonl", "-n", "4", "-o", "samples.jsonl", *asked)
        assert code == 0, told
        pairing = ("pairs", "samples.jsonl", "--problems", "prompts.jsonl", "-o", "pairs")
        code, said, told = r1data(*pairing, *asked)
        assert code == 0, told
    counts = json.loads(said)
    pairs = list(read_rows("pairs/pairs.parquet"))
    assert counts["pairs"] == len(pairs) > 8
    # B>A in one order and A>>B in the other: 1.5 on average, above the margin of 1
    assert {(pair["score"], "fox" in pair["chosen"], "fox" in pair["rejected"]) for pair in pairs} == {
        (1.5, True, False)
    }
    assert {len(pair["prompt"]) for pair in pairs} == {1}
    longer = sum(len(pair["chosen"]) > len(pair["rejected"]) for pair in pairs)
    assert longer == sum(len(pair["chosen"]) < len(pair["rejected"]) for pair in pairs)

    ledger = pl.read_parquet("pairs/ledger.parquet")
    assert ledger.height == 4 * PROMPTS  # each sample has one fate
    rules = dict(ledger["rule"].value_counts().iter_rows())
    assert rules.pop(None) == 2 * len(pairs) == counts["kept"]
    assert rules == counts["rules"] and {"about_equal", "no_partner"} <= set(rules)
    judged = ledger.filter(ledger["rule"].is_null() | (ledger["rule"] == "about_equal"))
    assert judged["match"].null_count() == judged["value"].null_count() == 0
    calls = list(read_rows("pairs.calls.jsonl"))
    compared = ledger.filter(ledger["value"].is_not_null()).height // 2
    assert len(calls) == 4 * compared

    training = ("--lr", "0.003", "--epochs", "3", "--batch-size", "8", "--max-length", "96", "--heldout", "0")
    code, said, told = r1train(
        "rm", "pairs/pairs.parquet", "--model", str(tiny_model), "--scope", "response", "-o", "rm", *training
    )
    assert code == 0, told
    assert "reward model: rm/train/model" in said
    fresh = [{"prompt": f"What is {n} + 2?", "chosen": GOOD, "rejected": BAD} for n in range(9)]
    write_rows("fresh.jsonl", fresh)
    measuring = ("judge-eval", "fresh.jsonl", "--reward-model", "rm/train/model", "--json")
    code, said, told = command("r1rewards")(*measuring, "--also", "pairs/pairs.parquet")
    assert code == 0, told
    assert json.loads(said)["graders"]["model"]["accuracy"] == 1.0
