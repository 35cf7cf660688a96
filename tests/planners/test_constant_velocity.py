"""Constant velocity, planned and imagined."""

import torch
from torch.testing import assert_close

from drive_wm.planners.constant_velocity import constant_velocity_rollouts, plan
from drive_wm.planners.lattice import candidates


def test_plan(road):
    trajectory = plan(road(speed_mps=8.0))
    assert_close(trajectory.pose[0, :, 0], 4.0 * torch.arange(1, 13))
    assert_close(trajectory.pose[0, :, 1:], torch.zeros(12, 2))
    assert_close(trajectory.speed_mps, torch.full((1, 12), 8.0))


def test_everyone_keeps_their_velocity_and_the_ego_its_plan(road):
    scene = road(cars=((20.0, 3.5, 6.0),))
    plans = candidates(scene)
    imagined = constant_velocity_rollouts(scene, plans)
    assert imagined.position_m.shape == (1, 64, 1, 32, 12, 2)
    assert_close(imagined.position_m[0, 5, 0, 1, :, 0], 20 + 3.0 * torch.arange(1, 13))
    assert_close(imagined.position_m[0, 0, 0, 0, :, 0], plans.pose[0, 0, :, 0] + 1.4)
    assert imagined.valid[0].sum() == 2
