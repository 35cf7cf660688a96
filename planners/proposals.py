"""Learned proposals: what the world model expects the ego to do by itself, then one plan per joint mode."""

import torch
from torch import Tensor

from drive_wm.geometry import wrap_angle
from drive_wm.kinematics import DT_S
from drive_wm.rollouts import Plans, Rollouts
from drive_wm.scene import Scene, ego_speed_mps

STILL_MPS = 1e-3  # below it a turn says nothing of the curvature


def proposals(scene: Scene, rollouts: Rollouts) -> Plans:
    """The expected path and the imagined ego's as plans (B, 1 + M).

    The first misses the human's path by less than any mode does, the others are what may happen instead. All are paths of a
    unicycle, so their actions follow from their poses: no step depends on the one before.
    """
    centre_m, velocity_mps = rollouts.position_m[:, 0, :, 0], rollouts.velocity_mps[:, 0, :, 0]
    yaw_rad = rollouts.yaw_rad[:, 0, :, 0]
    heading = torch.stack([yaw_rad.cos(), yaw_rad.sin()], dim=-1)
    pose = torch.cat([centre_m - scene.ego_centre_m[:, None, None, None] * heading, yaw_rad[..., None]], dim=-1)
    return _plans(
        scene,
        torch.cat([rollouts.expected.pose[:, None], pose], dim=1),
        torch.cat([rollouts.expected.speed_mps[:, None], (velocity_mps * heading).sum(-1)], dim=1),
    )


def _plans(scene: Scene, pose: Tensor, speed_mps: Tensor) -> Plans:
    """Poses (B, P, T, 3) and speeds (B, P, T) of a unicycle, with the actions that lead to them."""
    start_mps = ego_speed_mps(scene)[:, None, None].expand_as(speed_mps[..., :1])
    accel_mps2 = _change(start_mps, speed_mps) / DT_S
    turn_rad = wrap_angle(_change(torch.zeros_like(start_mps), pose[..., 2]))
    curvature_per_m = torch.where(speed_mps > STILL_MPS, turn_rad / (speed_mps * DT_S).clamp(min=STILL_MPS * DT_S), 0.0)
    action = torch.stack([accel_mps2, curvature_per_m], dim=-1)
    return Plans(action, pose, speed_mps, valid=torch.ones_like(speed_mps[..., 0], dtype=torch.bool))


def _change(start: Tensor, values: Tensor) -> Tensor:
    """From each value (B, P, T) to the next, beginning with start (B, P, 1)."""
    return values - torch.cat([start, values[..., :-1]], dim=-1)
