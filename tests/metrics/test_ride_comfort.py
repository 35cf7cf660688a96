"""Comfort at 10 Hz: signals whose smoothed values are known by hand, since the filters leave parabolas as they are."""

import pytest
import torch

from drive_wm.metrics.ride_comfort import is_steady, is_within_bounds

TIME_S = 0.1 * torch.arange(41, dtype=torch.float64)
STILL = torch.zeros(1, 41, dtype=torch.float64)


def even(value: float) -> torch.Tensor:
    return torch.full((1, 41), value, dtype=torch.float64)


RIDES = {  # name: (acceleration, yaw, within bounds)
    "steady": (STILL, STILL, True),
    "accelerates at 2.3 m/s2": (even(2.3), STILL, True),
    "accelerates at 2.5 m/s2": (even(2.5), STILL, False),
    "brakes at 4 m/s2": (even(-4.0), STILL, True),
    "brakes at 4.1 m/s2": (even(-4.1), STILL, False),
    "jerk of 1.5 m/s3": (1.5 * TIME_S[None] - 3.7, STILL, True),
    "turns at 0.9 rad/s": (STILL, 0.9 * TIME_S[None], True),
    "turns at 1 rad/s": (STILL, 1.0 * TIME_S[None], False),
    "yaw that passes a half turn": (STILL, (0.9 * TIME_S[None] + torch.pi) % (2 * torch.pi) - torch.pi, True),
    "swings by 1.7 rad/s2": (STILL, 1.7 / 16 * (4 * TIME_S[None]).sin(), True),
    "swings by 2.3 rad/s2": (STILL, 2.3 / 16 * (4 * TIME_S[None]).sin(), False),
}


@pytest.mark.parametrize(("accel", "yaw", "expected"), RIDES.values(), ids=RIDES)
def test_is_within_bounds(accel, yaw, expected):
    assert is_within_bounds(accel, yaw).item() is expected


def test_v1_smooths_a_jolt_over_the_whole_drive():
    jolt = STILL.clone()
    jolt[0, 18:24] = 6.0
    assert not is_within_bounds(jolt, STILL).item()
    assert is_within_bounds(jolt / 2.4, STILL, v1=True).item()
    assert not is_within_bounds(jolt / 2.4, STILL).item()


STEADY = {  # name: (acceleration and yaw of the one, of the other, steady)
    "equal": ((even(1.0), STILL), (even(1.0), STILL), True),
    "0.6 m/s2 apart": ((even(1.0), STILL), (even(1.6), STILL), True),
    "0.8 m/s2 apart": ((even(1.0), STILL), (even(1.8), STILL), False),
    "brakes as hard as the other accelerates": ((even(1.0), STILL), (even(-1.0), STILL), True),
    "0.4 m/s3 apart": ((0.1 * TIME_S[None], STILL), (0.5 * TIME_S[None] - 0.8, STILL), True),
    "0.09 rad/s apart": ((STILL, 0.09 * TIME_S[None]), (STILL, STILL), True),
    "0.11 rad/s apart": ((STILL, 0.11 * TIME_S[None]), (STILL, STILL), False),
    "0.12 rad/s2 apart": ((STILL, 0.06 * (TIME_S[None] - 2) ** 2), (STILL, STILL), False),
}


@pytest.mark.parametrize(("one", "other", "expected"), STEADY.values(), ids=STEADY)
def test_is_steady(one, other, expected):
    assert is_steady(one, other).item() is expected
    assert is_steady(other, one).item() is expected
