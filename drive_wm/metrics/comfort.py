"""Comfort: accelerations, jerks and turn rates of a plan against nuPlan's bounds.

Bounds: nuPlan devkit, closed-loop metric `ego_is_comfortable`, taken from the human drivers of that data set.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from drive_wm.kinematics import DT_S
from drive_wm.structs import TensorStruct

MAX_ACCEL_MPS2 = 2.40
MAX_BRAKE_MPS2 = 4.05
MAX_LATERAL_ACCEL_MPS2 = 4.89
MAX_JERK_MPS3 = 8.37
MAX_LONGITUDINAL_JERK_MPS3 = 4.13
MAX_YAW_RATE_RADPS = 0.95
MAX_YAW_ACCEL_RADPS2 = 1.93


@dataclass(frozen=True)
class Motion(TensorStruct):
    """How a plan feels; changes from step to step have one entry fewer."""

    accel_mps2: Tensor  # (B, K, T)
    lateral_accel_mps2: Tensor  # (B, K, T) left positive
    yaw_rate_radps: Tensor  # (B, K, T)
    longitudinal_jerk_mps3: Tensor  # (B, K, T-1)
    jerk_mps3: Tensor  # (B, K, T-1) of both directions together, never negative
    yaw_accel_radps2: Tensor  # (B, K, T-1)


def motion(speed_mps: Tensor, curvature_per_m: Tensor, start_mps: Tensor) -> Motion:
    """Motion of speeds and curvatures (B, K, T) from start speeds (B, K), or (B, 1)."""
    before_mps = torch.cat([start_mps[..., None].expand_as(speed_mps[..., :1]), speed_mps[..., :-1]], dim=-1)
    accel = (speed_mps - before_mps) / DT_S
    yaw_rate = speed_mps * curvature_per_m
    lateral = speed_mps * yaw_rate
    jerk, lateral_jerk = _rate(accel), _rate(lateral)
    return Motion(accel, lateral, yaw_rate, jerk, (jerk**2 + lateral_jerk**2 + 1e-9).sqrt(), _rate(yaw_rate))


def shares(m: Motion) -> list[Tensor]:
    """Each quantity as a share of its bound; above 1 is outside."""
    return [
        torch.maximum(m.accel_mps2 / MAX_ACCEL_MPS2, -m.accel_mps2 / MAX_BRAKE_MPS2),
        m.lateral_accel_mps2.abs() / MAX_LATERAL_ACCEL_MPS2,
        m.yaw_rate_radps.abs() / MAX_YAW_RATE_RADPS,
        m.longitudinal_jerk_mps3.abs() / MAX_LONGITUDINAL_JERK_MPS3,
        m.jerk_mps3 / MAX_JERK_MPS3,
        m.yaw_accel_radps2.abs() / MAX_YAW_ACCEL_RADPS2,
    ]


def is_comfortable(m: Motion) -> Tensor:
    """Whether every quantity stays within its bound throughout, (B, K) bool: nuPlan's metric."""
    return torch.stack([share.amax(-1) for share in shares(m)]).amax(0) <= 1.0


def discomfort(m: Motion) -> Tensor:
    """Excess over the bounds (B, K): the mean over time of the share above 1, summed over the six quantities."""
    return torch.stack([torch.relu(share - 1).mean(-1) for share in shares(m)]).sum(0)


def effort(m: Motion) -> Tensor:
    """Mean square share (B, K) of the bounds in use: tells apart plans that are all comfortable."""
    return torch.stack([share.square().mean(-1) for share in shares(m)]).mean(0)


def _rate(values: Tensor) -> Tensor:
    return (values[..., 1:] - values[..., :-1]) / DT_S
