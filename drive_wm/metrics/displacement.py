"""How far imagined futures end from what happened. A mode is joint: one future of everybody at once."""

import torch
from torch import Tensor


def displacement_m(position_m: Tensor, truth_m: Tensor) -> Tensor:
    """Distance (B, M, A, T) of imagined box centres (B, M, A, T, 2) from the true ones (B, A, T, 2)."""
    return (position_m - truth_m[:, None]).square().sum(-1).sqrt()


def best_mode(error: Tensor, counted: Tensor) -> Tensor:
    """The joint mode (B,) with the least mean error (B, M, A, T) over the agent-steps counted (B, A, T)."""
    return torch.where(counted[:, None], error, 0.0).sum((2, 3)).argmin(dim=1)


def of_mode(values: Tensor, mode: Tensor) -> Tensor:
    """Values (B, ...) of one mode (B,) out of (B, M, ...)."""
    return values[torch.arange(len(mode), device=mode.device), mode]


def expected(values: Tensor, mode_logits: Tensor) -> Tensor:
    """Mean (B, ...) of values (B, M, ...) over the modes by their probability."""
    weight = mode_logits.softmax(-1).to(values.dtype)
    return (values * weight.reshape(*weight.shape, *(1,) * (values.ndim - 2))).sum(1)
