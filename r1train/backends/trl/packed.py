"""Log-probabilities of completions without padding and without computing any shared beginning twice.

A padded batch spends most of its tokens on padding, on copies of the prompt that a group of GRPO shares,
and on the system prompt that all rows share. Here the rows are laid out as a trie: in sorted order, each
adds only the tokens after what it has in common with the row before it. The tokens of the whole trie go
through the model as one flat row, so that its matrix products see each of them once; only attention knows
the trie: a row's new tokens look along the row's own path. The result is that of the plain forward
(tested), for half of the tokens or less. Only positions that predict a completion token are projected onto
the vocabulary.

This is what the trl backend uses on the CPU, where no fused kernel does the same; `packable` says for which
models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface

from r1train.backends.trl.chosen import chosen_logprobs

Pair = tuple[Sequence[int], Sequence[int]]

#: The name under which transformers knows `_attend`.
ATTENTION = "r1kit_trie"
#: Rows whose attention is computed side by side; of similar length, so that little of it is padding.
BLOCK = 16
#: Added to the score of what may not be seen; the softmax makes it 0.
HIDDEN = -1e9
#: Settings of a configuration that change logits or scores in ways that are not computed here.
UNSUPPORTED = ("final_logit_softcapping", "attn_logit_softcapping", "logit_scale", "logits_scaling")


@dataclass(frozen=True, slots=True)
class Trie:
    """The rows of a batch with every shared beginning laid out once.

    tokens     token ids, each row's new ones after those of the row before it in sorted order
    positions  of each token in its row
    paths      for each distinct row, in sorted order, the places of all of its tokens
    fresh      for each of them, how many at the end of its path it added
    rows       for each row of the batch, which of `paths` it is
    """

    tokens: list[int]
    positions: list[int]
    paths: list[list[int]]
    fresh: list[int]
    rows: list[int]


def plant(rows: Sequence[Sequence[int]]) -> Trie:
    """The rows as a trie: neighbours in sorted order share the longest beginnings."""
    order = sorted(set(map(tuple, rows)))
    tokens: list[int] = []
    positions: list[int] = []
    paths: list[list[int]] = []
    fresh: list[int] = []
    before: tuple[int, ...] = ()
    for row in order:
        shared = _common(before, row)
        paths.append(
            (paths[-1][:shared] if paths else []) + list(range(len(tokens), len(tokens) + len(row) - shared))
        )
        fresh.append(len(row) - shared)
        tokens += row[shared:]
        positions += range(shared, len(row))
        before = row
    number = {row: index for index, row in enumerate(order)}
    return Trie(tokens, positions, paths, fresh, [number[tuple(row)] for row in rows])


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens both begin with."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that attend side by side, padded to the longest of them.

    queries, keys  (rows, longest) places in the flat row: the new tokens, and the whole path
    distance       (rows, 1, queries, keys) how far back a key stands from a query
    bias           the same shape: what is added to a score, 0 where a token may look
    """

    queries: torch.Tensor
    keys: torch.Tensor
    distance: torch.Tensor
    bias: torch.Tensor


@dataclass(frozen=True, slots=True)
class Plan:
    """What attention needs to know: the blocks, and where each token's result stands among theirs."""

    blocks: list[Block]
    places: torch.Tensor


def plan(trie: Trie, device: torch.device) -> Plan:
    """Rows in blocks of similar shape; one that adds nothing (the beginning of another) asks nothing."""
    order = sorted(
        (i for i, new in enumerate(trie.fresh) if new), key=lambda i: (trie.fresh[i], len(trie.paths[i]))
    )
    places = torch.empty(len(trie.tokens), dtype=torch.long)
    blocks, offset = [], 0
    for start in range(0, len(order), BLOCK):
        chunk = order[start : start + BLOCK]
        width = max(trie.fresh[i] for i in chunk)
        length = max(len(trie.paths[i]) for i in chunk)
        queries = torch.zeros(len(chunk), width, dtype=torch.long)
        keys = torch.zeros(len(chunk), length, dtype=torch.long)
        begins = torch.tensor([len(trie.paths[i]) - trie.fresh[i] for i in chunk])
        for number, i in enumerate(chunk):
            path, new = torch.tensor(trie.paths[i]), trie.fresh[i]
            keys[number, : len(path)] = path
            queries[number, :new] = path[-new:]
            places[path[-new:]] = offset + number * width + torch.arange(new)
        distance = ((begins[:, None] + torch.arange(width))[:, :, None] - torch.arange(length))[:, None]
        bias = torch.zeros(distance.shape).masked_fill(distance < 0, HIDDEN)
        blocks.append(Block(queries.to(device), keys.to(device), distance.to(device), bias.to(device)))
        offset += len(chunk) * width
    return Plan(blocks, places.to(device))


def _attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    *,
    trie: Plan,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Any, None]:
    """Attention along the paths of the trie; query, key, value are (1, heads, tokens, size)."""
    window, scale = sliding_window, query.shape[3] ** -0.5 if scaling is None else scaling
    heads, groups, size = query.shape[1], key.shape[1], query.shape[3]
    q, k, v = (x[0].transpose(0, 1).flatten(1) for x in (query, key, value))  # (tokens, heads x size)
    if torch.is_autocast_enabled(q.device.type):
        q, k, v = (x.to(torch.get_autocast_dtype(q.device.type)) for x in (q, k, v))
    results = []
    for block in trie.blocks:
        rows, width = block.queries.shape
        bias = block.bias if window is None else block.bias.masked_fill(block.distance >= window, HIDDEN)
        asked = q.index_select(0, block.queries.flatten()).view(rows, width, groups, heads // groups, size)
        # the heads that share a key stand one after the other, as if they were more tokens
        asked = asked.permute(0, 2, 3, 1, 4).reshape(rows, groups, -1, size)
        seen, read = (
            x.index_select(0, block.keys.flatten()).view(rows, -1, groups, size).transpose(1, 2)
            for x in (k, v)
        )
        scores = ((asked * scale) @ seen.transpose(-1, -2)).float().unflatten(2, (-1, width))
        weights = (scores + bias[:, :, None]).softmax(-1).flatten(2, 3)
        # not torch's fused kernel, which takes three times as long backward on a CPU
        got = weights.to(read.dtype) @ read
        got = got.view(rows, groups, heads // groups, width, size).permute(0, 3, 1, 2, 4)
        results.append(got.reshape(rows * width, heads * size))
    flat = torch.cat(results).index_select(0, trie.places)
    return flat.view(1, -1, heads, size), None


AttentionInterface.register(ATTENTION, _attend)


def packable(model: Any) -> bool:
    """Whether `completion_logprobs` gives what this model does: plain attention and logits, on the CPU."""
    on_cpu = next(model.parameters()).device.type == "cpu"
    plain = all(getattr(model.config, name, None) is None for name in UNSUPPORTED)
    plain = plain and not hasattr(model, "peft_config")  # adapters wrap the layers that are called here
    return on_cpu and plain and bool(model._supports_attention_backend)


def hidden_states(model: Any, trie: Trie) -> torch.Tensor:
    """The last hidden state of every token of the trie, (tokens, size)."""
    device, before = next(model.parameters()).device, model.config._attn_implementation
    model.set_attn_implementation(ATTENTION)
    try:
        return model.base_model(  # type: ignore[no-any-return]
            input_ids=torch.tensor([trie.tokens], device=device),
            position_ids=torch.tensor([trie.positions], device=device),
            use_cache=False,
            trie=plan(trie, device),
        ).last_hidden_state[0]
    finally:
        model.set_attn_implementation(before)


def sequence_logits(model: Any, rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """What the head of a sequence classifier says at the end of each row, (rows, labels)."""
    trie = plant(rows)
    ends = torch.tensor([trie.paths[number][-1] for number in trie.rows])
    hidden = hidden_states(model, trie)
    return model.score(hidden.index_select(0, ends.to(hidden.device)))  # type: ignore[no-any-return]


def completion_logprobs(
    model: Any, pairs: Sequence[Pair], *, temperature: float = 1.0, entropy: bool = False
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Log-probabilities of every completion token, and the entropies of their distributions (no gradient).

    model        a causal language model of transformers for which `packable` holds
    pairs        (prompt tokens, completion tokens); no prompt may be empty
    temperature  what the logits are divided by

    Returns two tensors of shape (pairs, longest completion), zero beyond a completion's end.
    """
    trie = plant([(*prompt, *completion) for prompt, completion in pairs])
    device = next(model.parameters()).device
    # which place predicts which token, for every completion token of the batch
    sources: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    offsets: list[int] = []
    for member, (prompt, completion) in enumerate(pairs):
        path = trie.paths[trie.rows[member]]
        sources += path[len(prompt) - 1 : -1]
        targets += completion
        owners += [member] * len(completion)
        offsets += range(len(completion))
    # of a batch that is masked as a whole nothing is asked: an empty list says no type
    places, asked = torch.unique(torch.tensor(sources, dtype=torch.long, device=device), return_inverse=True)
    hidden = hidden_states(model, trie)
    chosen, spread = chosen_logprobs(
        hidden.index_select(0, places),
        model.get_output_embeddings(),
        asked,
        torch.tensor(targets, dtype=torch.long, device=device),
        temperature=temperature,
        entropy=entropy,
    )
    shape = (len(pairs), max(len(completion) for _, completion in pairs))
    where = tuple(torch.tensor(rows, dtype=torch.long, device=device) for rows in (owners, offsets))
    logprobs = torch.zeros(shape, device=device).index_put(where, chosen)
    return logprobs, None if spread is None else torch.zeros(shape, device=device).index_put(where, spread)
