"""The packed forward against the plain one: log-probabilities, entropies and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from r1train.backends.trl.packed import Pair, completion_logprobs, packable, plant, sequence_logits
from r1train.backends.trl.reward import pack

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


@settings(max_examples=40)
@given(pairs=batches(), temperature=st.sampled_from([1.0, 0.7]))
def test_packed_equals_plain(model: Any, pairs: list[Pair], temperature: float) -> None:
    packed, entropies = completion_logprobs(model, pairs, temperature=temperature, entropy=True)
    expected, expected_entropies = plain(model, pairs, temperature)
    torch.testing.assert_close(packed, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(entropies, expected_entropies, rtol=1e-4, atol=1e-5)
    assert entropies is not None and not entropies.requires_grad
    ours, theirs = gradients(model, packed), gradients(model, expected)
    # small gradients are what is left of large ones that cancel, and keep the rounding errors of those
    largest = max(float(gradient.abs().max()) for gradient in theirs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5 * max(1.0, largest))


def test_more_rows_than_a_block_of_attention(model: Any) -> None:
    pairs: list[Pair] = [([1, 2, 3], [i % WORDS, *range(i % 5)]) for i in range(50)]
    packed, _ = completion_logprobs(model, pairs)
    torch.testing.assert_close(packed, plain(model, pairs, 1.0)[0], rtol=1e-4, atol=1e-5)


def test_a_sliding_window_is_kept_to() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = MistralConfig(
        vocab_size=WORDS, num_key_value_heads=2, sliding_window=3, initializer_range=0.5, **sizes
    )
    windowed = MistralForCausalLM(config)
    pairs: list[Pair] = [([1, 2, 3, 4, 5], [6, 7, 8]), ([1, 2, 3, 4, 5], [6, 9])]
    packed, _ = completion_logprobs(windowed, pairs)
    torch.testing.assert_close(packed, plain(windowed, pairs, 1.0)[0], rtol=1e-4, atol=1e-5)


def test_a_classifier_says_of_each_row_what_it_says_of_it_alone() -> None:
    from transformers import LlamaConfig, LlamaForSequenceClassification

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=WORDS, pad_token_id=0, num_labels=1, initializer_range=0.5, **sizes)
    classifier = LlamaForSequenceClassification(config)
    rows = [[1, 2, 3, 4], [1, 2, 3], [1, 2, 5, 6, 7], [8], [1, 2, 3, 4]]
    expected = torch.cat([classifier(torch.tensor([row])).logits for row in rows])
    torch.testing.assert_close(sequence_logits(classifier, rows), expected, rtol=1e-4, atol=1e-5)
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    pack(classifier)
    packed = classifier(input_ids=ids, attention_mask=mask, use_cache=False).logits
    torch.testing.assert_close(packed, expected, rtol=1e-4, atol=1e-5)


def test_the_model_keeps_its_own_attention(model: Any) -> None:
    before = model.config._attn_implementation
    completion_logprobs(model, [([1, 2], [3])])
    assert model.config._attn_implementation == before


def test_models_with_scores_of_their_own_kind_are_not_packed(model: Any) -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    assert packable(model)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Gemma2Config(vocab_size=WORDS, num_key_value_heads=1, head_dim=8, **sizes)
    assert not packable(Gemma2ForCausalLM(config))


@given(rows=st.lists(st.lists(token, min_size=1, max_size=8), min_size=1, max_size=8))
def test_every_beginning_is_laid_out_once(rows: list[list[int]]) -> None:
    trie = plant(rows)
    beginnings = {tuple(row[: end + 1]) for row in rows for end in range(len(row))}
    assert len(trie.tokens) == len(trie.positions) == len(beginnings)
    for row, number in zip(rows, trie.rows, strict=True):
        path = trie.paths[number]
        assert [trie.tokens[place] for place in path] == row
        assert [trie.positions[place] for place in path] == list(range(len(row)))
    added = [path[len(path) - new :] for path, new in zip(trie.paths, trie.fresh, strict=True)]
    assert sorted(place for new in added for place in new) == list(range(len(trie.tokens)))


def test_without_entropy_there_is_none(model: Any) -> None:
    assert completion_logprobs(model, [([1], [2])])[1] is None
