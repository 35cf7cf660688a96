"""Calibration: whether what is called likely happens as often as said.

The level of a truth is the share of a prediction's mass in the smallest central interval that holds it: where a
prediction is calibrated, levels are uniform over 0..1, and a share p of truths has a level of at most p.
Source: Gneiting, Balabdaoui, Raftery, Probabilistic forecasts, calibration and sharpness, J. R. Statist. Soc. B, 2007.
"""

import torch
from torch import Tensor

from drive_wm.geometry import rotate
from drive_wm.rollouts import Rollouts


def mixture_nll(nll: Tensor, mode_logits: Tensor) -> Tensor:
    """Negative log-likelihood (B, ...) under all modes together, from each mode's own (B, M, ...)."""
    log_weight = mode_logits.log_softmax(-1)
    return -torch.logsumexp(log_weight.reshape(*log_weight.shape, *(1,) * (nll.ndim - 2)) - nll, dim=1)


def laplace_level(error_m: Tensor, spread_m: Tensor) -> Tensor:
    """Level (...) of errors under a Laplace distribution around 0 with this standard deviation."""
    return 1 - torch.exp(-(2**0.5) * error_m.abs() / spread_m)


def pit(truth: Tensor, draws: Tensor) -> Tensor:
    """Where the truth (...) falls among draws (S, ...) of its prediction: one of S + 1 values between 0 and 1.

    The probability integral transform by rank: uniform where the truth is one more draw. Half of the draws that equal
    the truth count as below it.
    """
    below = (draws < truth).sum(0) + 0.5 * (draws == truth).sum(0)
    return (below + 0.5) / (len(draws) + 1)


def level(pit: Tensor) -> Tensor:
    """Level (...) of a truth from its probability integral transform."""
    return (2 * pit - 1).abs()


def draw_positions(rollouts: Rollouts, count: int, random: torch.Generator) -> Tensor:
    """Box centres (S, B, A, T, 2) drawn from what is predicted under the first plan: a joint mode, then Laplace noise along
    and across its heading; noise of different agents and steps is independent."""
    mode = torch.multinomial(rollouts.mode_logits.softmax(-1), count, replacement=True, generator=random).T  # (S, B)
    row = torch.arange(mode.shape[1])
    position_m, yaw_rad, spread_m = (x[:, 0][row, mode] for x in (rollouts.position_m, rollouts.yaw_rad, rollouts.spread_m))
    uniform = torch.rand(spread_m.shape, generator=random).clamp(min=1e-6) - 0.5  # inverse transform
    noise = -uniform.sign() * torch.log1p(-2 * uniform.abs()) / 2**0.5
    return position_m + rotate(noise * spread_m, yaw_rad)


def calibration_error(count: Tensor, said: Tensor, happened: Tensor) -> Tensor:
    """Expected calibration error (...): |said - happened| of each bin, weighed by its count (..., N).

    `said` and `happened` (..., N) are sums over the bin's members of the probability given and of how often it came true.
    Source: Guo et al., On calibration of modern neural networks, ICML 2017, equation 5.
    """
    return (said - happened).abs().sum(-1) / count.sum(-1)
