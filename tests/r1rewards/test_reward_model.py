"""The reward model: scope, truncation, chat templates, and independence from the batch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from r1rewards.core.errors import UserError
from r1rewards.core.reward import Sample, Scope
from r1rewards.core.template import get_template
from r1rewards.reward_model import RewardModel, encode

pytestmark = pytest.mark.slow  # imports torch and transformers

PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<eos>{% endfor %}"
#: As some published templates do: what stands before `</think>` is dropped from an assistant turn.
DROPS_THINKING = PLAIN.replace("{{ m.content }}", "{{ m.content.split('</think>')[-1] }}")


def save_tokenizer(folder: Path, template: str = PLAIN) -> Any:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789<>/?.\n"
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<eos>", "<unk>", *letters])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return tokenizer


def save_model(folder: Path, kind: str = "LlamaForSequenceClassification", **settings: Any) -> Path:
    import torch
    import transformers

    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.LlamaConfig(
        vocab_size=80,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
        **{"num_labels": 1, **size, **settings},
    )
    model = getattr(transformers, kind)(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(5)  # initial weights are so small that every text would score alike
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rm")
    save_tokenizer(path)
    return save_model(path)


def sample(reasoning: str, answer: str) -> Sample:
    template = get_template("think-answer")
    text = template.render(reasoning, answer) if answer else f"<think>{reasoning}"
    return Sample(
        "id", "general", text, template.parse(text), prompt=[{"role": "user", "content": "help me?"}]
    )


def values(folder: Path, samples: list[Sample], scope: Scope = "answer", **options: Any) -> list[float]:
    reward = RewardModel(folder, **{"empty": -5.0, **options})
    reward.scope = scope
    verdicts = reward.check_many(samples)
    assert all(v.value is not None for v in verdicts)
    return [v.value for v in verdicts if v.value is not None]


def test_the_summary_alone_or_the_whole_response(folder: Path) -> None:
    calm, wild = sample("calm", "the answer"), sample("wild and long", "the answer")
    a, b = values(folder, [calm, wild])
    assert a == pytest.approx(b, abs=1e-5)  # the thinking does not count
    a, b = values(folder, [calm, wild], "response")
    assert abs(a - b) > 1e-3  # it does


def test_sigmoid_is_the_sigmoid_of_the_raw_score(folder: Path) -> None:
    samples = [sample("r", text) for text in ("yes", "no", "a much longer answer")]
    raw, sigmoid = values(folder, samples), values(folder, samples, output="sigmoid")
    assert sigmoid == pytest.approx([1 / (1 + math.exp(-value)) for value in raw], abs=1e-6)


def test_a_value_does_not_depend_on_batch_order_or_neighbours(folder: Path) -> None:
    samples = [sample("r", "answer " * n) for n in (1, 9, 2, 30, 5, 1, 17)]
    alone = [values(folder, [s])[0] for s in samples]
    assert len({round(v, 3) for v in alone}) > 3
    for micro_batch in (1, 3, 16):
        assert values(folder, samples, micro_batch=micro_batch) == pytest.approx(alone, abs=1e-4)
    assert values(folder, samples[::-1], micro_batch=3)[::-1] == pytest.approx(alone, abs=1e-4)


def test_agrees_with_transformers_own_forward_pass(folder: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    turns = [{"role": "user", "content": "help me?"}, {"role": "assistant", "content": "an answer"}]
    ids = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=False)
    with torch.no_grad():
        expected = AutoModelForSequenceClassification.from_pretrained(folder)(ids).logits.item()
    assert values(folder, [sample("r", "an answer")]) == pytest.approx([expected], abs=1e-5)


def test_an_empty_summary_gets_the_floor(folder: Path) -> None:
    reward = RewardModel(folder, empty=-7)
    unfinished, finished = reward.check_many([sample("never ends", ""), sample("r", "a")])
    assert (unfinished.value, unfinished.route) == (-7.0, "empty")
    assert finished.route == "raw"
    assert values(folder, [sample("r", "")], output="sigmoid", empty=None) == [0.0]


def test_truncation_is_counted_and_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    reward = RewardModel(folder, empty=-5, max_length=40)
    long, short = reward.check_many([sample("r", "x" * 100), sample("r", "x")])
    assert long.details["tokens"] == 40
    assert long.details["truncated"] > 60
    assert "tokens were cut" in long.reason
    assert short.details["truncated"] == 0
    assert "1 of 2 texts were longer than 40 tokens" in caplog.text


def test_the_end_survives_truncation(tmp_path: Path) -> None:
    tokenizer = save_tokenizer(tmp_path)
    ids, cut = encode(tokenizer, [{"role": "user", "content": "p" * 50}], "the end", 10)
    assert tokenizer.decode(ids).replace(" ", "").endswith("theend<eos>")
    assert (len(ids), cut > 40) == (10, True)


def test_a_chat_template_that_drops_the_thinking_does_not_hide_it(tmp_path: Path) -> None:
    tokenizer = save_tokenizer(tmp_path, DROPS_THINKING)
    ids, _ = encode(tokenizer, [], "<think>bad</think>good", 1000)
    assert "bad" in tokenizer.decode(ids).replace(" ", "")


def test_special_tokens_in_the_text_stay_text(tmp_path: Path) -> None:
    tokenizer = save_tokenizer(tmp_path)
    ids, _ = encode(tokenizer, [], "a<eos>b", 1000)
    assert ids.count(tokenizer.eos_token_id) == 1  # the template's own


def test_models_that_are_no_reward_models(tmp_path: Path) -> None:
    for name, kind, settings in (
        ("causal", "LlamaForCausalLM", {}),
        ("classes", "LlamaForSequenceClassification", {"num_labels": 3}),
    ):
        save_tokenizer(tmp_path / name)
        save_model(tmp_path / name, kind, **settings)
        with pytest.raises(UserError, match="is no reward model with one output"):
            values(tmp_path / name, [sample("r", "a")])
    with pytest.raises(UserError, match="no config"):
        values(tmp_path / "none", [sample("r", "a")])
    save_model(tmp_path / "mute")
    save_tokenizer(tmp_path / "mute", "")
    with pytest.raises(UserError, match="no chat template"):
        values(tmp_path / "mute", [sample("r", "a")])


def test_options() -> None:
    for options, message in (
        ({}, "say with `empty`"),
        ({"output": "logit"}, "'raw' or 'sigmoid', not 'logit'"),
        ({"empty": 0, "max_length": 0}, "max_length"),
    ):
        with pytest.raises(UserError, match=message):
            RewardModel("m", **options)
