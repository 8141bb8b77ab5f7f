"""The packed forward against the plain one: log-probabilities, entropies and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from r1train.backends.trl.packed import Pair, completion_logprobs, lay_out, plant

WORDS = 17
token = st.integers(0, WORDS - 1)
prompts = st.lists(st.lists(token, min_size=1, max_size=7), min_size=1, max_size=3)


@st.composite
def batches(draw: Any) -> list[Pair]:
    """Pairs whose prompts are shared, or begin alike, or have nothing in common, in any order."""
    roots = draw(prompts)
    completion = st.lists(token, min_size=1, max_size=9)
    return draw(st.lists(st.tuples(st.sampled_from(roots), completion), min_size=1, max_size=8))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.5,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def plain(model: Any, pairs: list[Pair], temperature: float) -> tuple[Any, Any]:
    """One pair at a time through the whole model, as anyone would write it."""
    longest = max(len(completion) for _, completion in pairs)
    logprobs, entropies = [], []
    for prompt, completion in pairs:
        ids = torch.tensor([[*prompt, *completion]])
        logits = model(ids).logits[0, len(prompt) - 1 : -1].float() / temperature
        table = logits.log_softmax(-1)
        chosen = table[torch.arange(len(completion)), torch.tensor(completion)]
        pad = (0, longest - len(completion))
        logprobs.append(torch.nn.functional.pad(chosen, pad))
        entropies.append(torch.nn.functional.pad(-(table.exp() * table).sum(-1), pad))
    return torch.stack(logprobs), torch.stack(entropies)


def gradients(model: Any, logprobs: Any) -> list[Any]:
    """Of a sum in which every token has a weight of its own, so that no mix-up cancels out."""
    weights = torch.arange(logprobs.numel(), dtype=torch.float32).reshape(logprobs.shape).sin()
    model.zero_grad()
    (logprobs * weights).sum().backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


@settings(max_examples=30)
@given(pairs=batches(), width=st.integers(1, 60), temperature=st.sampled_from([1.0, 0.7]))
def test_packed_equals_plain(model: Any, pairs: list[Pair], width: int, temperature: float) -> None:
    packed, entropies = completion_logprobs(model, pairs, temperature=temperature, entropy=True, width=width)
    expected, expected_entropies = plain(model, pairs, temperature)
    torch.testing.assert_close(packed, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(entropies, expected_entropies, rtol=1e-4, atol=1e-5)
    assert entropies is not None and not entropies.requires_grad
    for ours, theirs in zip(gradients(model, packed), gradients(model, expected), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@given(pairs=batches(), width=st.integers(1, 60))
def test_every_pair_is_planted_once_and_rows_keep_their_width(pairs: list[Pair], width: int) -> None:
    rows = plant(pairs, width)
    members = sorted(member for row in rows for tree in row for member in tree.members)
    assert members == list(range(len(pairs)))
    for row in rows:
        assert sum(tree.size for tree in row) <= width or len(row) == 1
        for tree in row:
            assert tree.size <= width or len(tree.members) == 1
            assert [list(tree.prompt)] * len(tree.members) == [list(pairs[m][0]) for m in tree.members]
            assert tree.completions == [pairs[m][1] for m in tree.members]


def test_a_shared_prompt_is_computed_once() -> None:
    pairs = [([1, 2, 3, 4], [5, 6])] * 8
    [row] = plant(pairs, 100)
    assert len(lay_out(row).tokens) == 4 + 8 * 2


def test_without_entropy_there_is_none(model: Any) -> None:
    assert completion_logprobs(model, [([1], [2])])[1] is None
