"""The expected path: where it goes without having learnt anything, in a mirror, and within what a car can do."""

import torch
from torch.testing import assert_close

from drive_wm.kinematics import MAX_ACCEL_MPS2, MAX_BRAKE_MPS2, MAX_LATERAL_ACCEL_MPS2, roll
from drive_wm.model.expectation import Expectation, driven
from drive_wm.rollouts import Trajectory
from drive_wm.scene import Scene, ego_speed_mps

WIDTH = 16


def expectation(std: float) -> Expectation:
    """With last layers so large; 0: it corrects nothing."""
    torch.manual_seed(0)
    expect = Expectation(WIDTH, 5, 12)
    for network in (expect.from_past, expect.from_scene):
        torch.nn.init.normal_(network[-1].weight, std=std)
    return expect


def expected(scene: Scene, std: float) -> Trajectory:
    with torch.no_grad():
        return expectation(std)(torch.randn(len(scene.command), WIDTH), scene)


def test_without_corrections_it_keeps_its_velocity(crossroads_batch: Scene) -> None:
    found, speed_mps = expected(crossroads_batch, 0.0), ego_speed_mps(crossroads_batch)
    assert_close(found.speed_mps, speed_mps[:, None].expand(3, 12))
    assert_close(found.pose[..., 0], speed_mps[:, None] * 0.5 * torch.arange(1, 13))
    assert not found.pose[..., 1:].any()


def test_however_wild_its_answer_a_car_can_drive_it(crossroads_batch: Scene) -> None:
    found = expected(crossroads_batch, 9.0)
    start_mps = ego_speed_mps(crossroads_batch)[:, None]
    accel_mps2 = torch.diff(found.speed_mps, dim=1, prepend=start_mps) / 0.5
    yaw_rate_radps = torch.diff(found.pose[..., 2], dim=1, prepend=torch.zeros(3, 1)) / 0.5
    assert accel_mps2.min() > -MAX_BRAKE_MPS2 - 1e-3
    assert accel_mps2.max() < MAX_ACCEL_MPS2 + 1e-3
    assert (found.speed_mps * yaw_rate_radps).abs().max() < MAX_LATERAL_ACCEL_MPS2 + 1e-2
    assert accel_mps2.std() > 1


def test_it_is_driven_as_a_unicycle_drives() -> None:
    """As `roll` does it step by step, and in a mirror where it steers to the other side."""
    speed_mps, curvature_per_m = 5 + torch.linspace(0, 4, 12)[None], torch.linspace(-0.05, 0.08, 12)[None]
    found = driven(speed_mps, curvature_per_m)
    accel_mps2 = torch.diff(speed_mps, dim=1, prepend=torch.tensor([[5.0]])) / 0.5
    pose, _ = roll(torch.zeros(1, 3), torch.tensor([5.0]), torch.stack([accel_mps2, curvature_per_m], dim=-1))
    assert_close(found.pose, pose, atol=1e-3, rtol=0)
    mirror = torch.tensor([1.0, -1.0, -1.0])
    assert_close(driven(speed_mps, -curvature_per_m).pose, found.pose * mirror)
