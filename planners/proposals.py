"""Learned proposals: what the world model expects the ego to do by itself, one plan per joint mode, likeliest first."""

from collections.abc import Callable

import torch
from torch import Tensor

from drive_wm.kinematics import follow, roll
from drive_wm.rollouts import Plans, Rollouts
from drive_wm.scene import Scene, ego_speed_mps


def proposer(imagine_alone: Callable[[Scene], Rollouts]) -> Callable[[Scene], Plans]:
    """Plans (B, M) from rollouts in which the ego acts by itself (K = 1)."""
    return lambda scene: proposals(scene, imagine_alone(scene))


def proposals(scene: Scene, rollouts: Rollouts) -> Plans:
    """The imagined ego's paths as plans (B, M), sorted by the probability of their mode."""
    order = torch.topk(rollouts.mode_logits, rollouts.mode_logits.shape[1], dim=1).indices
    centre_m = _sorted(rollouts.position_m[:, 0, :, 0], order)
    yaw_rad = _sorted(rollouts.yaw_rad[:, 0, :, 0, :, None], order)[..., 0]
    heading = torch.stack([yaw_rad.cos(), yaw_rad.sin()], dim=-1)
    axle_m = centre_m - scene.ego_centre_m[:, None, None, None] * heading
    speed_mps = ego_speed_mps(scene)[:, None].expand(order.shape)
    pose = torch.zeros_like(axle_m[:, :, 0, :1]).expand(-1, -1, 3)
    action = follow(pose, speed_mps, axle_m)
    return Plans(action, *roll(pose, speed_mps, action), valid=torch.ones_like(order, dtype=torch.bool))


def _sorted(values: Tensor, order: Tensor) -> Tensor:
    """values (B, M, T, D) with modes in this order."""
    return torch.gather(values, 1, order[:, :, None, None].expand_as(values))
