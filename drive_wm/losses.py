"""Losses of imagined rollouts against what happened: likelihood of the best joint mode, of naming it, and of all together.

Where agents go is learnt from the best mode, at the spread that it has. How far they are spread is learnt from the mixture of
all modes, by which forecasts and surprise are judged: fitted to the best mode alone, the mixture would be too wide.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from drive_wm.geometry import rotate
from drive_wm.metrics.calibration import mixture_nll
from drive_wm.rollouts import Rollouts, Trajectory
from drive_wm.scene import Future
from drive_wm.structs import TensorStruct

NAME_WEIGHT = 0.5
ALONE_WEIGHT = 0.5  # share of the loss in which each agent takes its own best mode, which keeps the modes apart
# Likelihood asks most where the spread is small, in the first seconds; a forecast is judged by metres, most of them late.
DISPLACEMENT_WEIGHT = 0.5
SPREAD_WEIGHT = 0.5
EXPECTED_WEIGHT = 0.25  # its own layers learn as fast with any; what all share is to serve the modes first
AHEAD_M = 2.0  # a second point, this far ahead of the rear axle, makes the heading of a trajectory count


@dataclass(frozen=True)
class Losses(TensorStruct):
    """One value per scene; scenes without any future agent count 0."""

    joint: Tensor  # (B,) negative log-likelihood per agent-step of the best joint mode
    alone: Tensor  # (B,) the same with the best mode chosen per agent
    name: Tensor  # (B,) cross-entropy of the best joint mode
    displacement_m: Tensor  # (B,) mean displacement of the best joint mode
    mixture: Tensor  # (B,) negative log-likelihood per agent-step of all modes together, which teaches spreads alone
    expected_m: Tensor  # (B,) mean displacement of the path that agent 0 is expected to take

    @property
    def total(self) -> Tensor:
        """What training minimises the mean of (B,)."""
        likelihood = self.joint + ALONE_WEIGHT * self.alone + NAME_WEIGHT * self.name + SPREAD_WEIGHT * self.mixture
        return likelihood + DISPLACEMENT_WEIGHT * self.displacement_m + EXPECTED_WEIGHT * self.expected_m


def laplace_nll(rollouts: Rollouts, future: Future) -> Tensor:
    """Negative log-likelihood (B, K, M, A, T) of the true box centres, along and across the imagined heading.

    Laplace with scale b = spread / sqrt(2): log(2 b) + |error| / b, summed over the two axes.
    """
    error_m = future.tracks.position_m[:, None, None] - rollouts.position_m
    error_m = rotate(error_m, -rollouts.yaw_rad.detach())
    scale_m = rollouts.spread_m.clamp(min=1e-2) / 2**0.5
    return ((2 * scale_m).log() + error_m.abs() / scale_m).sum(-1)


def rollout_losses(rollouts: Rollouts, future: Future, counts: Tensor, together: Tensor | None = None) -> Losses:
    """Losses of the first plan's rollouts; counts (B, A) says how much each agent counts, 0 for those not to be explained.

    `together` (B, A) says the same of those who share a joint mode, all who count by default. The best mode is the nearest.
    """
    alone, joint = (
        future.tracks.valid * count[..., None] for count in (counts, counts if together is None else together)
    )  # (B, A, T)
    nll = laplace_nll(replace(rollouts, spread_m=rollouts.spread_m.detach()), future)[:, 0]  # (B, M, A, T)
    spread = laplace_nll(replace(rollouts, position_m=rollouts.position_m.detach()), future)[:, 0]
    mixture = mixture_nll(spread, rollouts.mode_logits.detach())
    away_m = (future.tracks.position_m[:, None] - rollouts.position_m[:, 0]).square().sum(-1).add(1e-6).sqrt()
    displacement_m = _mean(away_m, joint)
    seen = future.tracks.valid[:, 0] & rollouts.valid[:, :1]  # (B, T)
    best = displacement_m.argmin(dim=1)
    own = (away_m * alone[:, None]).sum(-1).argmin(dim=1)  # (B, A)
    per_agent = (nll * alone[:, None]).sum(-1).gather(1, own[:, None])[:, 0]
    row = torch.arange(len(best), device=best.device)
    return Losses(
        joint=_mean(nll, joint)[row, best],
        alone=per_agent.sum(-1) / alone.sum((1, 2)).clamp(min=1),
        name=torch.nn.functional.cross_entropy(rollouts.mode_logits, best, reduction="none"),
        displacement_m=displacement_m[row, best],
        mixture=(mixture * alone).sum((1, 2)) / alone.sum((1, 2)).clamp(min=1),
        expected_m=(trajectory_away_m(rollouts.expected, future.ego_pose) * seen).sum(1) / seen.sum(1).clamp(min=1),
    )


def trajectory_away_m(trajectory: Trajectory, pose: Tensor) -> Tensor:
    """Mean distance (B, T) of the rear axle, and of a point ahead of it, from where they went: poses (B, T, 3)."""
    offsets_m = torch.stack([_point(trajectory.pose, ahead_m) - _point(pose, ahead_m) for ahead_m in (0.0, AHEAD_M)])
    return (offsets_m.square().sum(-1) + 1e-4).sqrt().mean(0)


def _point(pose: Tensor, ahead_m: float) -> Tensor:
    """Where a point so far ahead of the rear axle is (..., 2)."""
    return pose[..., :2] + ahead_m * torch.stack([pose[..., 2].cos(), pose[..., 2].sin()], dim=-1)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean (B, M) of values (B, M, A, T) by weight (B, A, T); 0 where nothing weighs."""
    return (values * weight[:, None]).sum((2, 3)) / weight.sum((1, 2)).clamp(min=1)[:, None]
