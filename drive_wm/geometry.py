"""Planar rigid motion: poses are (..., 3) x, y, yaw; `target_from_source` maps source coordinates to target."""

import math

import torch
from torch import Tensor


def wrap_angle(angle_rad: Tensor) -> Tensor:
    """Bring angles to [-pi, pi)."""
    return torch.remainder(angle_rad + math.pi, 2 * math.pi) - math.pi


def rotate(points: Tensor, yaw_rad: Tensor) -> Tensor:
    """Turn vectors (..., 2) counter-clockwise by yaw (...)."""
    cos, sin = yaw_rad.cos(), yaw_rad.sin()
    x, y = points[..., 0], points[..., 1]
    return torch.stack([cos * x - sin * y, sin * x + cos * y], dim=-1)


def transform(target_from_source: Tensor, points_in_source: Tensor) -> Tensor:
    """Move points (..., P, 2) from source to target; target_from_source is (..., 3) x, y, yaw."""
    offset, yaw_rad = target_from_source[..., :2], target_from_source[..., 2]
    return rotate(points_in_source, yaw_rad[..., None]) + offset[..., None, :]


def compose(target_from_middle: Tensor, middle_from_source: Tensor) -> Tensor:
    """Chain two poses (..., 3): target_from_source."""
    offset = target_from_middle[..., :2] + rotate(middle_from_source[..., :2], target_from_middle[..., 2])
    yaw_rad = wrap_angle(target_from_middle[..., 2] + middle_from_source[..., 2])
    return torch.cat([offset, yaw_rad[..., None]], dim=-1)


def inverse(target_from_source: Tensor) -> Tensor:
    """Pose (..., 3) of the target in the source: source_from_target."""
    yaw_rad = -target_from_source[..., 2]
    offset = -rotate(target_from_source[..., :2], yaw_rad)
    return torch.cat([offset, wrap_angle(yaw_rad)[..., None]], dim=-1)
