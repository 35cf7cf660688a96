"""The intelligent driver model: its equation, its manners behind others, and its plans."""

from dataclasses import replace

import pytest
import torch
from torch import tensor

from drive_wm.kinematics import MAX_BRAKE_MPS2
from drive_wm.planners.idm import ACCEL_MPS2, FREE_M, HEADWAY_S, MIN_GAP_M, Leader, accel_mps2, advance, plan

FRONT_M = 1.4 + 4.6 / 2  # from the rear axle to the bumper
ACCELS = {  # name: (speed, wished, gap, the leader's speed, expected)
    "free, from rest": (0.0, 10.0, FREE_M, 0.0, 1.0),
    "free, at the wished speed": (10.0, 10.0, FREE_M, 10.0, 0.0),
    "free, at half of it": (5.0, 10.0, FREE_M, 5.0, 1 - 0.5**4),
    "standing at the least gap": (0.0, 10.0, MIN_GAP_M, 0.0, 0.0),
    "follows at the gap that balances": (5.0, 10.0, (1 + 7.5) / (1 - 0.5**4) ** 0.5, 5.0, 0.0),
    "far too near": (10.0, 10.0, 0.5, 0.0, -MAX_BRAKE_MPS2),
}


@pytest.mark.parametrize(("speed", "wished", "gap", "leader", "expected"), ACCELS.values(), ids=ACCELS)
def test_accel(speed, wished, gap, leader, expected):
    found = accel_mps2(*(tensor([x], dtype=torch.float64) for x in (speed, wished, gap, leader)))
    assert found.item() == pytest.approx(expected, abs=5e-4)


def test_never_hits_a_standing_leader_that_it_sees_in_time():
    speed = torch.linspace(0, 25, 51, dtype=torch.float64).repeat_interleave(4)
    spare_m = tensor([0.0, 1.0, 10.0, 100.0], dtype=torch.float64).repeat(51)
    gap_m = speed**2 / (2 * MAX_BRAKE_MPS2) + 1.5 * speed + MIN_GAP_M + spare_m
    now, leader = speed, Leader(gap_m, torch.zeros_like(gap_m))
    for _ in range(600):
        now, _, leader = advance(now, speed.clamp(min=10.0), leader, 0.1)
        assert leader.gap_m.min() > 0
    assert now.max() < 0.6


def test_free_road(road):
    found = plan(road(speed_mps=5.0))
    assert found.pose.shape == (1, 12, 3)
    assert found.pose[..., 1:].abs().max() < 1e-3
    assert (found.speed_mps[:, 1:] > found.speed_mps[:, :-1]).all()
    assert found.speed_mps.max() < 10.0
    assert found.speed_mps[0, 0] == pytest.approx(5 + 0.5 * ACCEL_MPS2 * (1 - 0.5**4), abs=0.03)


def test_faster_cars_keep_their_speed(road):
    assert plan(road(speed_mps=14.0)).speed_mps.min() > 13.9


@pytest.mark.parametrize("car_x_m", [12.0, 25.0, 40.0])
def test_stops_behind_a_standing_car(road, car_x_m):
    found = plan(road(speed_mps=6.0, cars=((car_x_m, 0.0, 0.0),)))
    assert found.pose[0, -1, 0] + FRONT_M < car_x_m - 4.6 / 2


def test_follows_a_slower_car_at_a_distance(road):
    found = plan(road(speed_mps=6.0, cars=((6.0 + FRONT_M + 4.6 / 2 + 6.0 * HEADWAY_S, 0.0, 4.0),)))
    assert found.speed_mps[0, -1] == pytest.approx(4.0, abs=0.7)


ASIDE = {"in the next lane": (20.0, 3.5, 0.0), "behind": (-8.0, 0.0, 0.0), "beyond reach": (95.0, 0.0, 0.0)}


@pytest.mark.parametrize("car", ASIDE.values(), ids=ASIDE)
def test_who_is_not_in_the_way_does_not_matter(road, car):
    free, found = plan(road(speed_mps=6.0)), plan(road(speed_mps=6.0, cars=(car,)))
    assert torch.allclose(found.pose, free.pose)


def test_crossroads(crossroads_batch):
    seen = plan(crossroads_batch)
    assert seen.pose.isfinite().all()
    assert seen.speed_mps.min() >= 0


def test_left_and_right_are_alike(road, mirrored):
    scene = road(speed_mps=6.0, cars=((20.0, 1.0, 2.0),))
    assert torch.allclose(plan(mirrored(scene)).speed_mps, plan(scene).speed_mps, atol=1e-4)


def test_goes_straight_on_where_another_way_turns_off_from_the_same_place(road):
    """A piece that lies on the ego's own and then leaves to the right is nearest, by its index."""
    scene = road(speed_mps=6.0)
    lanes = scene.lanes
    position_m, yaw_rad, valid = lanes.position_m.clone(), lanes.yaw_rad.clone(), lanes.valid.clone()
    along_m = torch.linspace(0, 1, position_m.shape[2])
    turn = torch.stack([-2 + 22 * along_m, -14 * along_m.clamp(min=0.3).sub(0.3)], -1)
    order = torch.cat([torch.tensor([0]), torch.arange(position_m.shape[1] - 1)])
    position_m, yaw_rad, valid = position_m[:, order], yaw_rad[:, order], valid[:, order]
    position_m[0, 0], yaw_rad[0, 0] = turn, torch.where(along_m > 0.3, -0.57, 0.0)
    successor = torch.where(lanes.successor >= 0, lanes.successor + 1, -1)[:, order]
    successor[0, 0] = -1
    found = replace(scene, lanes=replace(lanes, position_m=position_m, yaw_rad=yaw_rad, valid=valid, successor=successor))
    assert plan(found).pose[0, :, 1].abs().max() < 0.1
