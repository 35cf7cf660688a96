"""Choose: the valid plan of the highest total; the first of equals."""

import torch
from torch import Tensor

from drive_wm.planners.score import Scores, Weights, total
from drive_wm.rollouts import Plans, Trajectory

# Totals this close are equal, so that runtimes which round differently choose alike.
TIE = 1e-4


def choose_index(plans: Plans, scores: Scores, weights: Weights | None = None) -> Tensor:
    """Index (B,) of the chosen plan."""
    value = torch.where(plans.valid, total(scores, weights or Weights()), -1e6)
    best = value >= value.amax(1, keepdim=True) - TIE
    order = torch.arange(value.shape[1], device=value.device)
    return torch.where(best, order, value.shape[1]).amin(1)


def trajectory_at(plans: Plans, index: Tensor) -> Trajectory:
    """The plan of each scene at index (B,)."""
    wide = index[:, None, None, None]
    pose = torch.gather(plans.pose, 1, wide.expand(-1, 1, *plans.pose.shape[2:]))[:, 0]
    speed_mps = torch.gather(plans.speed_mps, 1, wide[..., 0].expand(-1, 1, plans.speed_mps.shape[2]))[:, 0]
    return Trajectory(pose, speed_mps)


def choose(plans: Plans, scores: Scores, weights: Weights | None = None) -> Trajectory:
    """The best plan as a Trajectory (B, T)."""
    return trajectory_at(plans, choose_index(plans, scores, weights))
