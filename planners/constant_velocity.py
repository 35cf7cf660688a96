"""Constant velocity: the baseline planner, and the baseline imagination in which everybody keeps their velocity."""

import torch
from torch import Tensor

from drive_wm.kinematics import DT_S
from drive_wm.rollouts import Plans, Rollouts, Trajectory
from drive_wm.scene import Scene, ego_speed_mps

STEPS = 12
SPREAD_PER_S_M = (0.5, 0.25)  # along and across, growing with time; nobody keeps their velocity for long


def plan(scene: Scene, steps: int = STEPS) -> Trajectory:
    """The ego keeps its speed and heading, for 6 s by default."""
    speed_mps = ego_speed_mps(scene)[:, None].expand(-1, steps)
    x_m = speed_mps * _times_s(steps, speed_mps)
    zero = torch.zeros_like(x_m)
    return Trajectory(torch.stack([x_m, zero, zero], dim=-1), speed_mps)


def constant_velocity_rollouts(scene: Scene, plans: Plans) -> Rollouts:
    """One mode: the ego (agent 0) follows each plan, every other agent its present velocity."""
    b, k, t, _ = plans.pose.shape
    now = scene.tracks
    a = now.size_m.shape[1]
    times_s = _times_s(t, plans.pose)
    velocity = now.velocity_mps[:, :, -1][:, :, None].expand(b, a, t, 2)
    position_m = now.position_m[:, :, -1][:, :, None] + velocity * times_s[:, None]
    yaw_rad = now.yaw_rad[:, :, -1][:, :, None].expand(b, a, t)
    ahead = torch.stack([plans.pose[..., 2].cos(), plans.pose[..., 2].sin()], dim=-1)
    own_m = plans.pose[..., :2] + scene.ego_centre_m[:, None, None, None] * ahead
    spread_m = times_s[:, None] * times_s.new_tensor(SPREAD_PER_S_M)
    return Rollouts(
        position_m=_with_ego(own_m, position_m),
        yaw_rad=_with_ego(plans.pose[..., 2], yaw_rad),
        velocity_mps=_with_ego(plans.speed_mps[..., None] * ahead, velocity),
        spread_m=spread_m.expand(b, k, 1, a, t, 2),
        mode_logits=torch.zeros_like(now.size_m[:, :1, 0]),
        size_m=now.size_m,
        valid=now.valid[:, :, -1],
        expected=plan(scene, t),
    )


def _with_ego(own: Tensor, agents: Tensor) -> Tensor:
    """Join the ego (B, K, T, ...) and the agents (B, A, T, ...), the same for every plan, to (B, K, 1, A, T, ...)."""
    others = agents[:, None, None, 1:]
    return torch.cat([own[:, :, None, None], others.expand(-1, own.shape[1], *others.shape[2:])], dim=3)


def _times_s(steps: int, like: Tensor) -> Tensor:
    return torch.arange(1, steps + 1, dtype=like.dtype, device=like.device) * DT_S
