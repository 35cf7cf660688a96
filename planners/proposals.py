"""Learned proposals: what the world model expects the ego to do by itself: the mean of its modes, then each of them."""

from collections.abc import Callable

import torch
from torch import Tensor

from drive_wm.geometry import wrap_angle
from drive_wm.kinematics import DT_S, roll
from drive_wm.rollouts import Plans, Rollouts
from drive_wm.scene import Scene, ego_speed_mps

STILL_MPS = 1e-3  # below it a turn says nothing of the curvature


def proposer(imagine_alone: Callable[[Scene], Rollouts]) -> Callable[[Scene], Plans]:
    """Plans (B, 1 + M) from rollouts in which the ego acts by itself (K = 1)."""
    return lambda scene: proposals(scene, imagine_alone(scene))


def proposals(scene: Scene, rollouts: Rollouts) -> Plans:
    """What the imagined ego does as plans (B, 1 + M): the mean over modes, then each mode, sorted by probability.

    Modes part to cover what may happen, so that no single one is what is to be expected. The ego was imagined as a
    unicycle: its actions follow from its speeds and turns.
    """
    likely, order = torch.topk(rollouts.mode_logits.softmax(-1), rollouts.mode_logits.shape[1], dim=1)
    ego = torch.cat([rollouts.velocity_mps, rollouts.yaw_rad[..., None]], dim=-1)[:, 0, :, 0]
    velocity_mps, yaw_rad = _sorted(ego, order).split([2, 1], dim=-1)
    speed_mps = (velocity_mps * torch.cat([yaw_rad.cos(), yaw_rad.sin()], dim=-1)).sum(-1)
    turn_rad = wrap_angle(_change(torch.zeros_like(speed_mps[..., :1]), yaw_rad[..., 0]))
    speed_mps, turn_rad = (_mean_first(x, likely) for x in (speed_mps, turn_rad))
    start_mps = ego_speed_mps(scene)[:, None].expand_as(speed_mps[..., 0])
    accel_mps2 = _change(start_mps[..., None], speed_mps) / DT_S
    curvature_per_m = torch.where(speed_mps > STILL_MPS, turn_rad / (speed_mps * DT_S).clamp(min=STILL_MPS * DT_S), 0.0)
    action = torch.stack([accel_mps2, curvature_per_m], dim=-1)
    pose = torch.zeros_like(speed_mps[..., :1]).expand(*speed_mps.shape[:2], 3)
    return Plans(action, *roll(pose, start_mps, action), valid=torch.ones_like(start_mps, dtype=torch.bool))


def _mean_first(values: Tensor, likely: Tensor) -> Tensor:
    """The mean of values (B, M, T) by probability (B, M), followed by them: (B, 1 + M, T)."""
    return torch.cat([(values * likely[..., None]).sum(1, keepdim=True), values], dim=1)


def _change(start: Tensor, values: Tensor) -> Tensor:
    """From each value (B, M, T) to the next, beginning with start (B, M, 1)."""
    return values - torch.cat([start, values[..., :-1]], dim=-1)


def _sorted(values: Tensor, order: Tensor) -> Tensor:
    """values (B, M, T, D) with modes in this order."""
    return torch.gather(values, 1, order[:, :, None, None].expand_as(values))
