"""The fused kernels compute what vLLM's plain operations do, and leave alone what they do not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip("vllm")

from vllm import ir

from r1rewards.llm import kernels

WIDTH = 576


@pytest.fixture(scope="module", params=[torch.bfloat16, torch.float32], ids=str)
def dtype(request: pytest.FixtureRequest) -> Any:
    return request.param


def tensors(dtype: Any, *shape: int) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


def close(one: Any, other: Any) -> bool:
    # a product is rounded once in the kernels, after the norm and after the weight outside of them
    tolerance = 2e-2 if one.dtype == torch.bfloat16 else 1e-5
    return torch.allclose(one.float(), other.float(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rows", [1, 3, 256])
def test_norms(dtype: Any, rows: int) -> None:
    x, residual, weight = (
        tensors(dtype, rows, WIDTH),
        tensors(dtype, rows + 1, WIDTH)[1:],
        tensors(dtype, WIDTH),
    )
    plain = ir.ops.rms_norm.impls["native"].impl_fn(x, weight, 1e-5)
    assert close(kernels.rms_norm(x, weight, 1e-5), plain)
    plain, added = ir.ops.fused_add_rms_norm.impls["native"].impl_fn(x, residual, weight, 1e-5)
    fused, kept = kernels.fused_add_rms_norm(x.clone(), residual.clone(), weight, 1e-5)
    assert close(fused, plain) and close(kept, added)


def test_activation(dtype: Any) -> None:
    from vllm.model_executor.layers.activation import SiluAndMul

    x = tensors(dtype, 5, 2 * WIDTH)
    fused = kernels.silu_and_mul(None, x)  # type: ignore[arg-type]  # the layer itself holds nothing of use
    assert close(fused, SiluAndMul.forward_native(x))


def test_what_does_not_fit_goes_the_plain_way() -> None:
    x, weight = tensors(torch.bfloat16, 4, WIDTH), tensors(torch.float32, WIDTH)
    assert not kernels._fits(x, weight, 1e-5)
    assert not kernels._fits(x, None, 1e-5)
    assert not kernels._fits(x.t(), weight.bfloat16(), 1e-5)
    assert not kernels._fits_added(x, x.t().contiguous().t(), weight.bfloat16(), 1e-5)
    assert kernels._fits_added(x, x, weight.bfloat16(), 1e-5)
