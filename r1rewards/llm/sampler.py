"""Seeded sampling on the CPU: one random number a token, in place of one for every word of the vocabulary.

vLLM's CPU sampler races exponential noise over the whole vocabulary, drawn anew for every request that has a
seed: half of the time of a step with 64 sequences and 49,152 words. Here the request's generator gives one
uniform number, which is looked up in the cumulated probabilities. The distribution is the same, and so is the
promise of a seed: the tokens of a request depend on nothing but its own logits.
"""

from __future__ import annotations

from typing import Any

#: How many of the likeliest words are tried for a nucleus, and how many times more where it is larger.
SHORTLIST, MORE = 64, 16
#: Rows that are worked on at a time: 8 x 49,152 probabilities in float32 are 1.5 MB, which a cache holds.
SLICE = 8


def install() -> None:
    """Have vLLM's CPU sampler use `draw` for batches in which every request has a seed."""
    from vllm.v1.sample.ops import topk_topp_sampler as vllm_sampler

    original = vllm_sampler.TopKTopPSampler.forward_cpu

    def forward_cpu(self: Any, logits: Any, generators: dict[int, Any], k: Any, p: Any) -> tuple[Any, Any]:
        plain = k is None and not self.use_fp64_gumbel and self.logprobs_mode.startswith("raw")
        if not plain or len(generators) != logits.shape[0]:
            return original(self, logits, generators, k, p)  # type: ignore[no-any-return]
        return draw(logits, generators, p), None

    vllm_sampler.TopKTopPSampler.forward_cpu = forward_cpu


def draw(logits: Any, generators: dict[int, Any], top_p: Any | None) -> Any:
    """One token a row.

    logits      (rows, words), already divided by the temperature
    generators  a torch.Generator for every row
    top_p       (rows,) nucleus masses, or None for all of the distribution
    """
    import torch

    uniform = torch.stack([torch.rand(1, generator=generators[row]) for row in range(logits.shape[0])])
    if top_p is None:
        return _from_all(logits, uniform)
    whole = top_p >= 1
    if not bool(whole.any()):
        return _from_nucleus(logits, uniform, top_p)
    # what a row gets must not depend on the rows beside it: each goes the way of its own top_p
    drawn = torch.empty(len(logits), dtype=torch.long)
    drawn[whole] = _from_all(logits[whole], uniform[whole])
    drawn[~whole] = _from_nucleus(logits[~whole], uniform[~whole], top_p[~whole])
    return drawn


def _from_nucleus(logits: Any, uniform: Any, top_p: Any, size: int = SHORTLIST) -> Any:
    """A word out of the fewest with a mass of `top_p` together, looked for among the `size` likeliest."""
    import torch

    words = logits.topk(min(size, logits.shape[-1]), dim=-1).indices
    parts = zip(logits.split(SLICE), words.split(SLICE), strict=True)
    mass = torch.cat([_probabilities(part).gather(-1, chosen) for part, chosen in parts])
    inside = mass.cumsum(-1) - mass < top_p[:, None]
    # by number, as without a nucleus: models that are alike then draw the same word with the same random
    # number, where the order of likelihood would change with the least difference between two likely words
    words, order = words.sort(-1)
    drawn = words.gather(-1, _invert((mass * inside).gather(-1, order), uniform)[:, None]).squeeze(-1)
    wide = mass.sum(-1) < top_p
    if size < logits.shape[-1] and bool(wide.any()):
        drawn[wide] = _from_nucleus(logits[wide], uniform[wide], top_p[wide], size * MORE)
    return drawn


def _probabilities(logits: Any) -> Any:
    import torch

    return logits.softmax(dim=-1, dtype=torch.float32)


def _from_all(logits: Any, uniform: Any) -> Any:
    """A word out of all of the vocabulary."""
    import torch

    parts = zip(logits.split(SLICE), uniform.split(SLICE), strict=True)
    return torch.cat([_invert(_probabilities(part), numbers) for part, numbers in parts])


def _invert(weights: Any, uniform: Any) -> Any:
    """The index at which the cumulated weights pass `uniform` times their sum; never one of weight zero."""
    import torch

    cumulated = weights.cumsum(-1)
    target = (uniform * cumulated[:, -1:]).clamp(min=torch.finfo(torch.float32).tiny)
    return torch.searchsorted(cumulated, target).squeeze(-1).clamp(max=weights.shape[-1] - 1)
