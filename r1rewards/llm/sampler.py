"""Seeded sampling on the CPU: one random number a token, in place of one for every word of the vocabulary.

vLLM's CPU sampler races exponential noise over the whole vocabulary, drawn anew for every request that has a
seed: half of the time of a step with 64 sequences and 49,152 words. Here the request's generator gives one
uniform number, which is looked up in the cumulated probabilities. The distribution is the same, and so is the
promise of a seed: the tokens of a request depend on nothing but its own logits.
"""

from __future__ import annotations

from typing import Any

#: How many of the likeliest words are tried for a nucleus before the whole vocabulary is sorted.
SHORTLIST = 256


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
    probabilities = logits.softmax(dim=-1, dtype=torch.float32)
    if top_p is None:
        return _invert(probabilities, uniform)
    mass, words = probabilities.topk(min(SHORTLIST, probabilities.shape[-1]), dim=-1)
    drawn = _nucleus(mass, words, uniform, top_p)
    # what a row gets must not depend on the rows beside it: each goes the way of its own top_p and logits
    whole = top_p >= 1
    wide = ~whole & (mass.sum(-1) < top_p)  # its nucleus is larger than the shortlist
    if bool(whole.any()):
        drawn[whole] = _invert(probabilities[whole], uniform[whole])
    if bool(wide.any()):
        mass, words = probabilities[wide].sort(dim=-1, descending=True)
        drawn[wide] = _nucleus(mass, words, uniform[wide], top_p[wide])
    return drawn


def _nucleus(mass: Any, words: Any, uniform: Any, top_p: Any) -> Any:
    """A word out of the fewest that have a mass of `top_p` together; `mass` falls along a row."""
    inside = mass.cumsum(-1) - mass < top_p[:, None]
    # by number, as without a nucleus: models that are alike then draw the same word with the same random
    # number, where the order of likelihood would change with the least difference between two likely words
    words, order = words.sort(-1)
    return words.gather(-1, _invert((mass * inside).gather(-1, order), uniform)[:, None]).squeeze(-1)


def _invert(weights: Any, uniform: Any) -> Any:
    """The index at which the cumulated weights pass `uniform` times their sum; never one of weight zero."""
    import torch

    cumulated = weights.cumsum(-1)
    target = (uniform * cumulated[:, -1:]).clamp(min=torch.finfo(torch.float32).tiny)
    return torch.searchsorted(cumulated, target).squeeze(-1).clamp(max=weights.shape[-1] - 1)
