"""Learned proposals: what the world model expects the ego to do by itself, one plan per joint mode, the most central first."""

from collections.abc import Callable

import torch
from torch import Tensor

from drive_wm.geometry import wrap_angle
from drive_wm.kinematics import DT_S
from drive_wm.rollouts import Plans, Rollouts
from drive_wm.scene import Scene, ego_speed_mps

STILL_MPS = 1e-3  # below it a turn says nothing of the curvature


def proposer(imagine_alone: Callable[[Scene], Rollouts]) -> Callable[[Scene], Plans]:
    """Plans (B, M) from rollouts in which the ego acts by itself (K = 1)."""
    return lambda scene: proposals(scene, imagine_alone(scene))


def proposals(scene: Scene, rollouts: Rollouts) -> Plans:
    """The imagined ego's paths as plans (B, M), sorted by how far each is from what else may happen, by its probability.

    The first is the medoid: with several modes about as likely, it misses the human's path by less than the likeliest does.
    The ego was imagined as a unicycle, so its actions follow from its poses: no step depends on the one before.
    """
    order = torch.topk(_apart_m(rollouts), rollouts.mode_logits.shape[1], dim=1, largest=False).indices
    ego = torch.cat([rollouts.position_m, rollouts.velocity_mps, rollouts.yaw_rad[..., None]], dim=-1)[:, 0, :, 0]
    centre_m, velocity_mps, yaw_rad = _sorted(ego, order).split([2, 2, 1], dim=-1)
    heading = torch.cat([yaw_rad.cos(), yaw_rad.sin()], dim=-1)
    pose = torch.cat([centre_m - scene.ego_centre_m[:, None, None, None] * heading, yaw_rad], dim=-1)
    speed_mps = (velocity_mps * heading).sum(-1)
    start_mps = ego_speed_mps(scene)[:, None, None].expand_as(speed_mps[..., :1])
    accel_mps2 = _change(start_mps, speed_mps) / DT_S
    turn_rad = wrap_angle(_change(torch.zeros_like(start_mps), yaw_rad[..., 0]))
    curvature_per_m = torch.where(speed_mps > STILL_MPS, turn_rad / (speed_mps * DT_S).clamp(min=STILL_MPS * DT_S), 0.0)
    action = torch.stack([accel_mps2, curvature_per_m], dim=-1)
    return Plans(action, pose, speed_mps, valid=torch.ones_like(order, dtype=torch.bool))


def _apart_m(rollouts: Rollouts) -> Tensor:
    """Expected distance (B, M) of each mode's path of the ego, over its steps, from the path that comes true."""
    path_m = rollouts.position_m[:, 0, :, 0]
    between_m = (path_m[:, :, None] - path_m[:, None]).square().sum(-1).sqrt().mean(-1)
    return (between_m * rollouts.mode_logits.softmax(-1)[:, None]).sum(-1)


def _change(start: Tensor, values: Tensor) -> Tensor:
    """From each value (B, M, T) to the next, beginning with start (B, M, 1)."""
    return values - torch.cat([start, values[..., :-1]], dim=-1)


def _sorted(values: Tensor, order: Tensor) -> Tensor:
    """values (B, M, T, D) with modes in this order."""
    return torch.gather(values, 1, order[:, :, None, None].expand_as(values))
