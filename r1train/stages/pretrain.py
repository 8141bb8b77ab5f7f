"""A base model of its own, for recipes without one: a small Llama and its tokenizer, pre-trained on stage 0.

It reads the training problems in the chat template, a share of them worked out in the recipe's template, the
others with nothing but the bare answer. So it knows the language of the problems and a little arithmetic, and
most of what the four stages do is left for them to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1data.sample import ask
from r1data.worked import worked_trace
from r1rewards.core.rows import response_uid
from r1rewards.core.store import read_rows, write_rows
from r1train.recipe import PretrainStage
from r1train.run import Model, RunFolder, seed_of
from r1train.stages.fit import encode, load_tokenizer
from r1train.stages.train import train

#: The conversation format of the model: one token each side of a turn.
CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")


def run_pretrain(run: RunFolder, folder: Path, stage: PretrainStage) -> None:
    """Make the model, then train it on the texts as an SFT job whose completions are whole answers."""
    problems = run.folder / "0-data" / "train.parquet"
    shape = stage.model_dump(include={"vocabulary", "hidden", "layers", "heads", "max_length"})
    seed = seed_of(run.recipe.seed, "pretrain")
    with run.step(folder / "start", {**shape, "seed": seed}, [problems]) as step:
        if step is not None:
            texts = [text for row in read_rows(problems) for text in _texts(run, row)]
            _make(step.path / "model", stage, texts, seed)
            step.finish({"texts": len(texts)})
    start = Model(folder / "start" / "model", f"{run.recipe.name}/start", str(shape))
    if not (folder / "train" / "step.json").exists():
        run.engines.start(start.path)  # it loads while this trains
    with run.step(folder / "dataset", {"traces": stage.traces, "seed": seed}, [problems]) as step:
        if step is not None:
            tokenizer = load_tokenizer(start.path)
            rows = [
                {"uid": row["id"], **encode(tokenizer, conversation, text)}
                for row in read_rows(problems)
                for conversation, text in _examples(run, row, stage.traces)
            ]
            step.finish({"rows": write_rows(step.path / "tokens.jsonl", rows)})
    data = folder / "dataset" / "tokens.jsonl"
    train(run, folder / "train", stage=folder.name, kind="pretrain", model=start, settings=stage, data=data)


def _texts(run: RunFolder, row: Any) -> Iterator[str]:
    """What the tokenizer learns its words from."""
    for turn in ask(row, run.template):
        yield turn["content"]
    trace = worked_trace(row)
    if trace is not None:
        yield run.template.render(*trace)


def _examples(run: RunFolder, row: Any, share: float) -> Iterator[tuple[list[Any], str]]:
    """The problem answered in the template for a share of the rows, by the bare answer for the others."""
    trace = worked_trace(row)
    if trace is None:
        return
    lot = int(response_uid(row["id"], "pretrain", {}, 0)[:8], 16) / 2**32
    if lot < share:
        yield ask(row, run.template), run.template.render(*trace)
    else:
        yield row["prompt"], trace[1]


def _make(folder: Path, stage: PretrainStage, texts: list[str], seed: int) -> None:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    words.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    words.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=stage.vocabulary,
            special_tokens=list(SPECIAL),
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<|pad|>", eos_token="<|end|>")
    tokenizer.chat_template = CHAT_TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=stage.hidden,
        intermediate_size=stage.hidden * 4,
        num_hidden_layers=stage.layers,
        num_attention_heads=stage.heads,
        num_key_value_heads=stage.heads,
        max_position_embeddings=stage.max_length,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
