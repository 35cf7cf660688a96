"""Comfort of a simulated drive as NAVSIM measures it: nuPlan's bounds on signals smoothed by a Savitzky-Golay filter.

Source: navsim `pdm_comfort_metrics.py` (autonomousvision/navsim, v1.1 and v2); the bounds are nuPlan's, see `comfort`.
NAVSIM's kinematic bicycle has no lateral acceleration, so that bound never binds there and the magnitude of acceleration is
that along the heading; `comfort.is_comfortable` of the same drive checks the lateral bound, too.
"""

from collections.abc import Callable

import torch
from scipy.signal import savgol_filter
from torch import Tensor

from drive_wm.geometry import wrap_angle
from drive_wm.metrics.comfort import (
    MAX_ACCEL_MPS2,
    MAX_BRAKE_MPS2,
    MAX_JERK_MPS3,
    MAX_LONGITUDINAL_JERK_MPS3,
    MAX_YAW_ACCEL_RADPS2,
    MAX_YAW_RATE_RADPS,
)
from drive_wm.metrics.simulated import STEP_S

ACCEL_WINDOW, JERK_WINDOW, YAW_WINDOW = 8, 15, 5  # steps
V1_WINDOW = 41  # NAVSIM v1 smooths acceleration and jerk over its whole 4 s
EXTENDED_ACCEL_MPS2 = 0.7
EXTENDED_JERK_MPS3 = 0.5
EXTENDED_YAW_RATE_RADPS = 0.1
EXTENDED_YAW_ACCEL_RADPS2 = 0.1


def is_within_bounds(accel_mps2: Tensor, yaw_rad: Tensor, v1: bool = False) -> Tensor:
    """Whether signals (B, T) at 10 Hz keep nuPlan's bounds throughout, (B,) bool.

    NAVSIM v1's `comfort` takes the drive alone; v2's `history_comfort` puts the 1.5 s before it in front.
    """
    smooth = _smoothed(accel_mps2, ACCEL_WINDOW)
    window = V1_WINDOW if v1 else JERK_WINDOW
    accel = _smoothed(accel_mps2, V1_WINDOW) if v1 else smooth
    jerk = _rate(smooth, window)
    jerk_of_magnitude = _rate(_smoothed(accel_mps2.abs(), ACCEL_WINDOW), window)
    turn = _unwrapped(yaw_rad)
    kept = [
        (accel > -MAX_BRAKE_MPS2) & (accel < MAX_ACCEL_MPS2),
        jerk_of_magnitude.abs() < MAX_JERK_MPS3,
        jerk.abs() < MAX_LONGITUDINAL_JERK_MPS3,
        _rate(turn, YAW_WINDOW, order=2, polynomial=3).abs() < MAX_YAW_ACCEL_RADPS2,
        _rate(turn, YAW_WINDOW).abs() < MAX_YAW_RATE_RADPS,
    ]
    return torch.stack([each.all(-1) for each in kept]).all(0)


def is_steady(now: tuple[Tensor, Tensor], before: tuple[Tensor, Tensor]) -> Tensor:
    """NAVSIM v2's extended comfort (B,) bool: whether two drives, begun 0.5 s apart, feel alike where they overlap.

    Each is acceleration and yaw (B, T) at equal times. The root mean squares of the differences in acceleration, jerk, yaw
    rate and yaw acceleration have bounds.
    """
    kept = [
        (_differ(now[0], before[0], _accel) <= EXTENDED_ACCEL_MPS2),
        (_differ(now[0], before[0], lambda x: _rate(_accel(x), JERK_WINDOW)) <= EXTENDED_JERK_MPS3),
        (_differ(now[1], before[1], lambda x: _rate(_unwrapped(x), YAW_WINDOW)) <= EXTENDED_YAW_RATE_RADPS),
        (_differ(now[1], before[1], lambda x: _rate(_unwrapped(x), YAW_WINDOW, order=2)) <= EXTENDED_YAW_ACCEL_RADPS2),
    ]
    return torch.stack(kept).all(0)


def _differ(a: Tensor, b: Tensor, signal: Callable[[Tensor], Tensor]) -> Tensor:
    return (signal(a) - signal(b)).square().mean(-1).sqrt()


def _accel(accel_mps2: Tensor) -> Tensor:
    return _smoothed(accel_mps2.abs(), ACCEL_WINDOW)


def _unwrapped(yaw_rad: Tensor) -> Tensor:
    """Yaw (B, T) without jumps of a whole turn."""
    turns = wrap_angle(yaw_rad[..., 1:] - yaw_rad[..., :-1]).cumsum(-1)
    return torch.cat([yaw_rad[..., :1], yaw_rad[..., :1] + turns], dim=-1)


def _smoothed(values: Tensor, window: int) -> Tensor:
    found = savgol_filter(values.numpy(), window_length=min(window, values.shape[-1]), polyorder=2)
    return torch.from_numpy(found.round(8))


def _rate(values: Tensor, window: int, order: int = 1, polynomial: int = 2) -> Tensor:
    """Derivative of this order by time."""
    length = min(window, values.shape[-1])
    found = savgol_filter(values.numpy(), window_length=length, polyorder=polynomial, deriv=order, delta=STEP_S)
    return torch.from_numpy(found.round(8))
