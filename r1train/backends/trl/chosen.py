"""Log-probabilities of chosen words, with the passes over the vocabulary kept few and inside the cache.

The logits of a step are its largest tensor by far (4,000 tokens x 49,152 words). The plain way makes a
dozen passes over it in float32: convert, divide, exponentiate, subtract, and all of it again backward. Here
the logits stay in the precision of the product, a slice of them at a time is worked on, and the gradient is
written over them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

#: Tokens whose logits are worked on at a time: 16 x 49,152 words in float32 are 3 MB.
SLICE = 16


def chosen_logprobs(
    hidden: torch.Tensor,
    project: torch.nn.Linear,
    asked: torch.Tensor,
    words: torch.Tensor,
    *,
    temperature: float = 1.0,
    entropy: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """log softmax(project(hidden) / temperature) of some words, and the entropies they were drawn with.

    hidden  (places, size) hidden states, each projected once
    asked   (n,) for each chosen word, the place whose distribution it is drawn from
    words   (n,) the chosen words

    Returns two float32 tensors of shape (n,); the entropies have no gradient, and are None if not asked for.
    """
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    with torch.autocast(device, enabled=False):
        logprobs, entropies = _Chosen.apply(  # type: ignore[no-untyped-call]
            hidden.to(dtype), project.weight.to(dtype), project.bias, asked, words, temperature, entropy
        )
    return logprobs, entropies if entropy else None


class _Chosen(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Any,
        weight: Any,
        bias: Any,
        asked: Any,
        words: Any,
        temperature: float,
        entropy: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits = torch.nn.functional.linear(hidden, weight, None if bias is None else bias.to(hidden.dtype))
        normalizer = torch.empty(len(logits), device=logits.device)
        spread = torch.zeros(len(logits), device=logits.device)
        for start in range(0, len(logits), SLICE):
            part = slice(start, start + SLICE)
            scaled = logits[part].float() / temperature
            normalizer[part] = scaled.logsumexp(-1)
            if entropy:
                shares = (scaled - normalizer[part, None]).exp_()
                spread[part] = normalizer[part] - (shares * scaled).sum(-1)
        chosen = logits[asked, words].float() / temperature - normalizer[asked]
        ctx.temperature = temperature
        ctx.logits = logits if any(ctx.needs_input_grad[:3]) else None  # written over in `backward`
        ctx.save_for_backward(hidden, weight, bias, asked, words, normalizer)
        spread = spread[asked]
        ctx.mark_non_differentiable(spread)
        return chosen, spread

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Any, _: Any) -> tuple[Any, ...]:
        hidden, weight, bias, asked, words, normalizer = ctx.saved_tensors
        logits, ctx.logits = ctx.logits, None
        if logits is None:
            raise RuntimeError("the log-probabilities of one forward can be differentiated once")
        total = torch.zeros_like(normalizer).index_add_(0, asked, grad)
        order = asked.argsort()
        ends = torch.searchsorted(
            asked[order], torch.arange(0, len(logits) + SLICE, SLICE, device=asked.device)
        )
        for number, start in enumerate(range(0, len(logits), SLICE)):
            part = slice(start, start + SLICE)
            scaled = logits[part].float().div_(ctx.temperature).sub_(normalizer[part, None]).exp_()
            scaled *= -total[part, None]
            mine = order[ends[number] : ends[number + 1]]
            scaled.index_put_((asked[mine] - start, words[mine]), grad[mine], accumulate=True)
            logits[part] = scaled.div_(ctx.temperature)
        needs = ctx.needs_input_grad
        return (
            logits @ weight if needs[0] else None,
            logits.T @ hidden if needs[1] else None,
            logits.float().sum(0) if bias is not None and needs[2] else None,
            *(None,) * 4,
        )
