"""The card's numbers add up; the documented script from traces to SFT data does what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from r1data.card import account, card, steps_of
from r1data.dedup import dedup
from r1data.export import push
from r1data.mix import mix
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows
from tests.conftest import DATA, ROOT


@pytest.fixture
def made(tmp_path: Path) -> Path:
    rows = [
        {
            "id": f"p{n}",
            "task": "general",
            "domain": "qa",
            "prompt": f"q {n % 8} | bar",
            "text": "t",
        }
        for n in range(10)
    ]
    write_rows(tmp_path / "rows.jsonl", rows)
    dedup(tmp_path / "rows.jsonl", tmp_path / "z-first", near=False)
    quotas = {"name": "q", "shares": {"all": {"samples": 5}}}
    mix(tmp_path / "z-first" / "kept.parquet", tmp_path / "a-last", quotas=quotas)
    return tmp_path


def test_the_steps_are_told_in_their_order_and_add_up(made: Path) -> None:
    steps = steps_of([made])
    assert [step.name for step in steps] == ["dedup", "mix"]
    assert account(steps) == "10 rows went in: 2 dropped by dedup, 3 dropped by mix, 5 left."
    text = card([made], title="Mine", license="mit")
    front = yaml.safe_load(text.split("---")[1])
    assert (front["license"], front["size_categories"]) == ("mit", ["n<1K"])
    assert "| duplicate | 2 |" in text
    assert "- `rows.jsonl` (blake2b " in text
    assert "kept.parquet" not in text


def test_steps_that_form_no_line_are_said_not_to_add_up(made: Path) -> None:
    quotas = {"name": "q", "shares": {"all": {"samples": 1}}}
    mix(made / "z-first" / "kept.parquet", made / "b-other", quotas=quotas)
    assert "add up to" in account(steps_of([made]))


def test_a_push_that_fails_is_one_sentence(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"rows.jsonl was written but not pushed to 'me/mine'"):
        push(made / "rows.jsonl", "me/mine")
    with pytest.raises(UserError, match="there is no file"):
        push(made / "rows.jsonl", "me/mine", card=made / "no-card.md")


@pytest.mark.data
@pytest.mark.slow
def test_from_traces_to_sft_data(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "R1KIT_DATA": str(DATA),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    out = tmp_path / "out"
    script = ROOT / "recipes" / "cold-start-from-traces.sh"
    done = subprocess.run(
        ["bash", str(script), str(out)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kept = sum(1 for _ in read_rows(out / "sft.jsonl"))
    ledgers = {path.parent.name: pl.read_parquet(path) for path in (out).glob("*/ledger.parquet")}
    assert sorted(ledgers) == ["1-curate", "2-dedup", "3-clean", "4-mix"]
    assert ledgers["1-curate"].height == 1767
    assert kept + sum(frame.filter(fate="dropped").height for frame in ledgers.values()) == 1767
    assert "1,767 rows went in" in done.stdout
    assert "dropped by wrong: measured 0, threshold 1: “" in done.stdout
    assert "1,767 rows went in" in (out / "README.md").read_text()
