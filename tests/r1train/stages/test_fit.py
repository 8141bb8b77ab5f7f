"""Supervised rows as tokens: what is learned, where it ends, and what is dropped by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from r1data.sample import ask
from r1rewards.core.errors import UserError
from r1rewards.core.rows import check_problem
from r1rewards.core.store import read_rows, write_rows
from r1train.progress import Progress
from r1train.recipe_file import load_recipe
from r1train.run import Model, RunFolder
from r1train.stages.fit import encode, fit, load_tokenizer

RECIPES = Path(__file__).parents[3] / "recipes"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    folder = RunFolder(tmp_path / "run", load_recipe(RECIPES / "tiny"), Progress())
    yield folder
    folder.close()


def rows(texts: list[str]) -> list[dict[str, Any]]:
    found = []
    for number, text in enumerate(texts):
        problem = check_problem(
            {"id": f"p{number}", "task": "math", "prompt": "What is 2 + 2?", "reference": "4"}, "here"
        )
        found.append({**problem, "uid": f"u{number}", "sample": 0, "text": text, "model": "m"})
    return found


SHORT = "<think>2 + 2 = 4</think><answer>4</answer>"
LONG = f"<think>{'2 + 2 = 4 ' * 60}</think><answer>4</answer>"


def test_too_long_rows_are_dropped_by_name_and_the_others_are_whole(
    run: RunFolder, tiny_model: Path, tmp_path: Path
) -> None:
    given = rows([SHORT, LONG, SHORT + " yes"])
    write_rows(tmp_path / "rows.parquet", given)
    model = Model(tiny_model, "m", "key")
    tokens = fit(run, tmp_path / "dataset", model, [tmp_path / "rows.parquet"], max_length=160)
    ledger = pl.read_parquet(tmp_path / "dataset" / "ledger.parquet")
    assert ledger["fate"].to_list() == ["kept", "dropped", "kept"]
    assert ledger["rule"].to_list() == [None, "too_long", None]
    assert ledger["value"][1] > 160 == ledger["threshold"][1]
    fitted = list(read_rows(tokens))
    assert [row["uid"] for row in fitted] == ["u0", "u2"]

    tokenizer = load_tokenizer(tiny_model)
    for row, source in zip(fitted, (given[0], given[2]), strict=True):
        prompt = tokenizer.apply_chat_template(
            ask(source, run.template), add_generation_prompt=True, return_dict=False
        )
        assert row["prompt_ids"] == prompt, "training sees another prompt than generation"
        assert row["completion_ids"][-1] == tokenizer.eos_token_id
        assert tokenizer.decode(row["completion_ids"][:-1]) == source["text"]


def test_no_row_that_fits_is_a_mistake(run: RunFolder, tiny_model: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.parquet", rows([LONG]))
    model = Model(tiny_model, "m", "key")
    with pytest.raises(UserError, match=r"no row fits into 100 tokens; raise optim\.max_length"):
        fit(run, tmp_path / "dataset", model, [tmp_path / "rows.parquet"], max_length=100)
    assert not (tmp_path / "dataset").exists()


def test_special_tokens_in_a_response_are_only_text(tiny_model: Path) -> None:
    """Model-written text must not end the turn, or begin another, by spelling a special token."""
    tokenizer = load_tokenizer(tiny_model)
    text = "I say <|end|> and <|user|> and <|pad|>"
    ids = encode(tokenizer, [{"role": "user", "content": "hello"}], text)["completion_ids"]
    assert [i for i, token in enumerate(ids) if token in tokenizer.all_special_ids] == [len(ids) - 1]
    assert tokenizer.decode(ids[:-1]) == text
