"""Comfort of short plans, worked by hand."""

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm.metrics.comfort import discomfort, effort, is_comfortable, motion

COMFORTABLE = {  # name: (start speed, speeds, curvatures, expected)
    "steady": (10.0, (10.0, 10.0, 10.0), (0.0, 0.0, 0.0), True),
    "brakes at 4 m/s2": (10.0, (8.0, 6.0, 4.0), (0.0, 0.0, 0.0), True),
    "brakes at 4.2 m/s2": (10.0, (7.9, 5.8, 3.7), (0.0, 0.0, 0.0), False),
    "accelerates at 2.6 m/s2": (5.0, (6.3, 7.6, 8.9), (0.0, 0.0, 0.0), False),
    "turns at 4 m/s2": (10.0, (10.0, 10.0, 10.0), (0.04, 0.04, 0.04), True),
    "turns at 5 m/s2": (10.0, (10.0, 10.0, 10.0), (0.05, 0.05, 0.05), False),
    "turns at 1 rad/s": (4.0, (4.0, 4.0, 4.0), (0.25, 0.25, 0.25), False),
    "jerks by 5 m/s3": (10.0, (10.0, 8.75, 7.5), (0.0, 0.0, 0.0), False),
    "swings by 2 rad/s2": (10.0, (5.0, 5.0, 5.0), (0.1, -0.1, 0.1), False),
}


@pytest.mark.parametrize(("start", "speeds", "curvatures", "expected"), COMFORTABLE.values(), ids=COMFORTABLE)
def test_is_comfortable(start, speeds, curvatures, expected):
    m = motion(tensor([[speeds]]), tensor([[curvatures]]), tensor([[start]]))
    assert is_comfortable(m).item() is expected
    assert (discomfort(m).item() == 0.0) is expected


def test_motion_of_a_braking_turn():
    m = motion(tensor([[[8.0, 6.0]]]), tensor([[[0.05, 0.1]]]), tensor([[9.0]]))
    assert_close(m.accel_mps2, tensor([[[-2.0, -4.0]]]))
    assert_close(m.lateral_accel_mps2, tensor([[[3.2, 3.6]]]))
    assert_close(m.yaw_rate_radps, tensor([[[0.4, 0.6]]]))
    assert_close(m.longitudinal_jerk_mps3, tensor([[[-4.0]]]))
    assert_close(m.jerk_mps3, tensor([[[(16 + 0.64) ** 0.5]]]))
    assert_close(m.yaw_accel_radps2, tensor([[[0.4]]]))


def test_a_steady_plan_takes_no_effort():
    m = motion(torch.full((1, 1, 12), 7.0), torch.zeros(1, 1, 12), tensor([[7.0]]))
    assert_close(effort(m), tensor([[0.0]]), atol=1e-6, rtol=0)
