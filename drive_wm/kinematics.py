"""Motion models with physical limits: unicycle for wheeled agents and the ego, point mass for pedestrians.

Speed is held over each step at its end value (semi-implicit Euler), which makes the model the exact
inverse of the backward differences that measure velocity in a Log.
"""

import torch
from torch import Tensor

from drive_wm.geometry import inverse, transform, wrap_angle

DT_S = 0.5
MAX_ACCEL_MPS2 = 4.0
MAX_BRAKE_MPS2 = 8.0
MAX_CURVATURE_PER_M = 0.25  # a passenger car's tightest turn has a radius near 4 to 5 m
MAX_LATERAL_ACCEL_MPS2 = 6.0
MAX_PEDESTRIAN_SPEED_MPS = 4.0


def unicycle(pose: Tensor, speed_mps: Tensor, action: Tensor, dt_s: float = DT_S) -> tuple[Tensor, Tensor]:
    """Pose (..., 3) and speed (...) after holding action (..., 2) accel_mps2, curvature_per_m for dt along an exact arc."""
    x, y, yaw_rad = pose.unbind(-1)
    accel_mps2, curvature_per_m = action.unbind(-1)
    *moved, speed_mps = arc(x, y, yaw_rad, speed_mps, accel_mps2, curvature_per_m, dt_s=dt_s)
    return torch.stack(moved, dim=-1), speed_mps


def arc(
    x: Tensor, y: Tensor, yaw_rad: Tensor, speed_mps: Tensor, accel_mps2: Tensor, curvature_per_m: Tensor, *, dt_s: float = DT_S
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`unicycle` on separate numbers (...), the faster form where there are many: x, y, yaw_rad and speed_mps after dt."""
    speed_mps = (speed_mps + accel_mps2 * dt_s).clamp(min=0.0)
    arc_m = speed_mps * dt_s
    half_turn_rad = 0.5 * arc_m * curvature_per_m
    square = half_turn_rad * half_turn_rad
    # sin(x)/x by its series: turns within a step are small, and the quotient has no value at 0.
    chord_m = arc_m * (1 - square / 6 + square * square / 120)
    heading = yaw_rad + half_turn_rad
    turned_rad = wrap_angle(yaw_rad + 2 * half_turn_rad)
    return x + chord_m * heading.cos(), y + chord_m * heading.sin(), turned_rad, speed_mps


def limit_action(action: Tensor, speed_mps: Tensor) -> Tensor:
    """Clip action (..., 2) to what tyres and steering allow at this speed (...)."""
    accel = action[..., 0].clamp(-MAX_BRAKE_MPS2, MAX_ACCEL_MPS2)
    bound_per_m = max_curvature_per_m(speed_mps)
    return torch.stack([accel, torch.minimum(torch.maximum(action[..., 1], -bound_per_m), bound_per_m)], dim=-1)


def max_curvature_per_m(speed_mps: Tensor) -> Tensor:
    """The sharpest turn (...) at this speed: steering at low speed, grip at high speed."""
    slowest = speed_mps.clamp(min=1.0)
    return (MAX_LATERAL_ACCEL_MPS2 / (slowest * slowest)).clamp(max=MAX_CURVATURE_PER_M)


def roll(pose: Tensor, speed_mps: Tensor, actions: Tensor, dt_s: float = DT_S) -> tuple[Tensor, Tensor]:
    """Poses (..., T, 3) and speeds (..., T) along actions (..., T, 2)."""
    poses, speeds = [], []
    for action in actions.unbind(dim=-2):
        pose, speed_mps = unicycle(pose, speed_mps, action, dt_s)
        poses.append(pose)
        speeds.append(speed_mps)
    return torch.stack(poses, dim=-2), torch.stack(speeds, dim=-1)


def follow(pose: Tensor, speed_mps: Tensor, targets_m: Tensor, dt_s: float = DT_S) -> Tensor:
    """Actions (..., T, 2) whose arcs pass through targets (..., T, 2) as far as the limits allow.

    The arc from a pose through a point at (x, y) in its frame has curvature 2 y / (x^2 + y^2) (pure pursuit).
    """
    actions = []
    for target_m in targets_m.unbind(dim=-2):
        ahead, left = transform(inverse(pose), target_m[..., None, :])[..., 0, :].unbind(dim=-1)
        chord_m = (ahead**2 + left**2 + 1e-6).sqrt()
        moving = ahead > 0.05
        curvature = torch.where(moving, 2 * left / chord_m**2, 0.0)
        arc_m = torch.where(moving, chord_m, 0.0)
        half_turn_rad = 0.5 * arc_m * curvature
        arc_m = arc_m * (1 + half_turn_rad**2 / 6 + 7 * half_turn_rad**4 / 360)
        action = limit_action(torch.stack([(arc_m / dt_s - speed_mps) / dt_s, curvature], dim=-1), speed_mps)
        pose, speed_mps = unicycle(pose, speed_mps, action, dt_s)
        actions.append(action)
    return torch.stack(actions, dim=-2)


def point_mass(pose: Tensor, velocity_mps: Tensor, accel_mps2: Tensor, dt_s: float = DT_S) -> tuple[Tensor, Tensor]:
    """Pose (..., 3) and velocity (..., 2) after accel (..., 2, in the frame of the pose); yaw turns with the motion."""
    *moved, vx, vy = walk(*pose.unbind(-1), *velocity_mps.unbind(-1), *accel_mps2.unbind(-1), dt_s=dt_s)
    return torch.stack(moved, dim=-1), torch.stack([vx, vy], dim=-1)


def walk(
    x: Tensor, y: Tensor, yaw_rad: Tensor, vx: Tensor, vy: Tensor, ahead: Tensor, left: Tensor, *, dt_s: float = DT_S
) -> tuple[Tensor, ...]:
    """`point_mass` on separate numbers (...): x, y, yaw_rad and the velocity's vx, vy after accelerations ahead and left."""
    cos, sin = yaw_rad.cos(), yaw_rad.sin()
    vx = vx + (cos * ahead - sin * left) * dt_s
    vy = vy + (sin * ahead + cos * left) * dt_s
    speed_mps = (vx * vx + vy * vy + 1e-9).sqrt()
    share = (MAX_PEDESTRIAN_SPEED_MPS / speed_mps).clamp(max=1.0)
    vx, vy = vx * share, vy * share
    turned_rad = torch.where(speed_mps > 0.3, torch.atan2(vy, vx + 1e-9), yaw_rad)
    return x + vx * dt_s, y + vy * dt_s, turned_rad, vx, vy
