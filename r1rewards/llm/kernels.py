"""Quicker kernels for vLLM on the CPU: its own fused ones to normalize, two torch operations to activate.

vLLM counts on `torch.compile` there, which would take longer than all that a small model generates; without
it both are chains of plain torch operations, a quarter of the time of a step. Its build for the CPU has fused
kernels that only its GPU path calls. Imports torch and vLLM, so only the engine's process imports this.
"""

import torch
from torch import Tensor
from vllm import ir
from vllm.model_executor.layers.activation import SiluAndMul
from vllm.platforms import current_platform

current_platform.import_kernels()

_PROVIDER = "r1kit_cpu"


def install() -> dict[str, list[str]]:
    """Make the kernels known to vLLM, once a process; the `ir_op_priority` that uses them, {} off the CPU."""
    if not current_platform.is_cpu():
        return {}
    ir.ops.rms_norm.register_impl(_PROVIDER, supports_args=_fits)(rms_norm)
    ir.ops.fused_add_rms_norm.register_impl(_PROVIDER, supports_args=_fits_added, inplace=True)(
        fused_add_rms_norm
    )
    SiluAndMul.forward_cpu = silu_and_mul
    return {"rms_norm": [_PROVIDER], "fused_add_rms_norm": [_PROVIDER]}


def rms_norm(x: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None) -> Tensor:
    out = torch.empty_like(x)
    torch.ops._C.rms_norm(out, x, weight, epsilon)
    return out


def fused_add_rms_norm(
    x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None
) -> tuple[Tensor, Tensor]:
    torch.ops._C.fused_add_rms_norm(x, x_residual, weight, epsilon)
    return x, x_residual


def silu_and_mul(layer: SiluAndMul, x: Tensor) -> Tensor:
    gate, up = x.chunk(2, dim=-1)
    return torch.nn.functional.silu(gate).mul_(up)  # vLLM's fused one takes several times as long


def _fits(x: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None) -> bool:
    return variance_size is None and weight is not None and weight.dtype == x.dtype and x.is_contiguous()


def _fits_added(
    x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None
) -> bool:
    return _fits(x, weight, epsilon, variance_size) and x_residual.is_contiguous()
