from __future__ import annotations

import pytest

from r1data.sources import load_source
from r1rewards.core.errors import UserError
from r1rewards.core.store import write_rows


def test_a_folder_of_files_is_read_like_a_data_set_of_the_hub(tmp_path):
    rows = [{"question": f"{n} + 1?", "answer": f"So\n#### {n + 1}"} for n in range(5)]
    write_rows(tmp_path / "train.jsonl", rows)
    options = {"map": {"prompt": "question", "reference": "answer"}, "extract": "####", "task": "math"}
    problems = load_source("hub", count=9, seed=0, name=str(tmp_path), **options)
    assert [p["reference"] for p in problems] == ["1", "2", "3", "4", "5"]
    with pytest.raises(UserError, match=r"no column 'problem' for prompt .it has answer, question."):
        load_source("hub", count=9, seed=0, name=str(tmp_path), map={"prompt": "problem"}, task="math")


def test_all_configs_of_a_data_set_one_after_the_other(tmp_path):
    names = ("first", "second")
    for name in names:
        (tmp_path / name).mkdir()
        write_rows(tmp_path / name / "test.jsonl", [{"problem": f"{name}?", "answer": "1"}])
    configs = "".join(
        f"- config_name: {name}\n  data_files: {name}/*.jsonl\n" for name in ("first", "second")
    )
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    options = {"map": {"prompt": "problem", "reference": "answer"}, "task": "math", "split": "train"}
    found = load_source("hub", count=9, seed=0, name=str(tmp_path), config="*", **options)
    assert [problem["prompt"][0]["content"] for problem in found] == ["first?", "second?"]
    assert len({problem["id"] for problem in found}) == 2


def test_what_cannot_be_loaded_says_how_to_use_a_local_copy(tmp_path):
    with pytest.raises(UserError, match=r"source: files, path: FILE$"):
        load_source("hub", count=1, seed=0, name=str(tmp_path / "no-such-folder"), task="math")


def test_offline_a_preset_names_itself_in_the_way_out(monkeypatch):
    import datasets
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"'openai/gsm8k' cannot be loaded .*path: FILE, preset: gsm8k"):
        load_source("hub", count=1, seed=0, name="gsm8k")
