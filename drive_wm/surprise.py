"""Surprise: how unlikely the world model found what then happened, half a second after it looked.

High values say that the scene is not one that the model understands: a track that jumps, a sensor gone wrong, traffic
unlike any it learned from.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from drive_wm.losses import laplace_nll
from drive_wm.metrics.calibration import mixture_nll
from drive_wm.rollouts import Rollouts
from drive_wm.scene import Future
from drive_wm.structs import TensorStruct


@dataclass(frozen=True)
class Surprise(TensorStruct):
    """Negative log-likelihood of the first imagined step, in nats, under all modes together."""

    nats: Tensor  # (B, A), 0 where not seen
    seen: Tensor  # (B, A) bool: there now, and there half a second later

    @property
    def most(self) -> Tensor:
        """The most surprising agent's (B,): one wrong track is enough."""
        return torch.where(self.seen, self.nats, -1e4).amax(-1)

    @property
    def mean(self) -> Tensor:
        """The mean over agents (B,), 0 where none is seen."""
        return self.nats.sum(-1) / self.seen.sum(-1).clamp(min=1)


def surprise(rollouts: Rollouts, future: Future) -> Surprise:
    """Surprise at what happened half a second after the Scene that was imagined from.

    Both have the same frame, agents and steps, one at least. The first plan serves: what others do in the first step
    depends on none.
    """
    seen = rollouts.valid & future.tracks.valid[..., 0]
    nats = mixture_nll(laplace_nll(rollouts, future)[:, 0, ..., 0], rollouts.mode_logits)
    return Surprise(torch.where(seen, nats, 0.0), seen)


def p_value(value: Tensor, clean: Tensor) -> Tensor:
    """How likely (...) a surprise as high as value (...) is in clean scenes, by values (N,) measured on held-out logs.

    (1 + how many reach it) / (N + 1): right at any N where both come from the same traffic (Vovk et al., Algorithmic
    Learning in a Random World, 2005, section 2.2).
    """
    reach_it = len(clean) - torch.searchsorted(clean.sort().values, value.contiguous())
    return (1 + reach_it) / (len(clean) + 1)
