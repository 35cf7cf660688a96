"""Collision and time to collision of one straight plan, worked by hand."""

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm.metrics.collision import blame, collision, ego_boxes, nearest_others, time_to_collision
from drive_wm.rollouts import Rollouts, Trajectory

CAR_M = (4.0, 2.0)
STEPS = 4


def rollouts(cars, modes=1, logits=(0.0,), spread_m=0.0):
    """Cars (x m, y m, speed along x) that keep their velocity; in modes after the first they stand far away."""
    a = len(cars) + 1
    times_s = 0.5 * torch.arange(1, STEPS + 1)
    state = tensor([(0.0, 0.0, 0.0), *cars])
    x_m = state[:, 0, None] + state[:, 2, None] * times_s
    first = torch.stack([x_m, state[:, 1, None].expand(a, STEPS)], dim=-1)
    far = torch.full_like(first, 900.0)
    position_m = torch.stack([first] + [far] * (modes - 1))[None, None]
    return Rollouts(
        position_m=position_m,
        yaw_rad=torch.zeros(position_m.shape[:-1]),
        velocity_mps=torch.zeros_like(position_m),
        spread_m=torch.full_like(position_m, spread_m),
        mode_logits=tensor([logits]),
        size_m=tensor(CAR_M).expand(1, a, 2),
        valid=torch.ones(1, a, dtype=torch.bool),
        expected=Trajectory(torch.zeros(1, STEPS, 3), torch.zeros(1, STEPS)),
    )


def straight(speed_mps):
    """The ego's boxes and speeds; its box centre is 1 m ahead of the rear axle."""
    x_m = speed_mps * 0.5 * torch.arange(1, STEPS + 1)
    pose = torch.stack([x_m, torch.zeros(STEPS), torch.zeros(STEPS)], dim=-1)[None, None]
    return ego_boxes(pose, tensor([1.0]), tensor([CAR_M])), torch.full((1, 1, STEPS), speed_mps)


# The ego's front is 3 m ahead of its axle, so a car at x begins to touch when the axle reaches x - 5.
COLLISIONS = {  # name: (ego speed, cars, expected)
    "free road": (5.0, [(50.0, 0.0, 0.0)], 0.0),
    "parked car 15 m ahead, axle at 10 m after 2 s": (5.0, [(15.0, 0.0, 0.0)], 1.0),
    "parked car 15.1 m ahead": (5.0, [(15.1, 0.0, 0.0)], 0.0),
    "car ahead at the same speed": (5.0, [(6.0, 0.0, 5.0)], 0.0),
    "car beside, 0.1 m apart": (5.0, [(5.0, 2.1, 0.0)], 0.0),
    "car beside, 0.1 m deep": (5.0, [(5.0, 1.9, 0.0)], 1.0),
    "hit from behind": (2.0, [(-8.0, 0.0, 8.0)], 0.5),
    "standing ego is hit": (0.0, [(12.0, 0.0, -8.0)], 0.5),
}


@pytest.mark.parametrize(("speed_mps", "cars", "expected"), COLLISIONS.values(), ids=COLLISIONS)
def test_collision(speed_mps, cars, expected):
    ego, speeds = straight(speed_mps)
    imagined = rollouts(cars)
    others = nearest_others(ego.centre_m, imagined, count=4)
    assert_close(collision(ego, others, blame(ego, speeds, others), imagined.mode_logits), tensor([[expected]]))


def test_modes_weigh_by_their_probability():
    ego, speeds = straight(5.0)
    imagined = rollouts([(12.0, 0.0, 0.0)], modes=2, logits=(0.0, 1.0986123))  # 1 : 3
    others = nearest_others(ego.centre_m, imagined, count=1)
    assert_close(collision(ego, others, blame(ego, speeds, others), imagined.mode_logits), tensor([[0.25]]))


MARGINS = {  # name: (margin, margin per spread, fade, expected) for a car that passes 0.2 m beside the ego
    "none": (0.0, 0.0, 0.0, 0.0),
    "half of the margin": (0.4, 0.0, 0.0, 0.5),
    "spread of 0.5 m widens": (0.0, 0.8, 0.0, 0.5),
    "both": (0.4, 0.8, 0.0, 0.75),
    "the first of four steps does not fade": (0.4, 0.0, 0.9, 0.5),
}


@pytest.mark.parametrize(("margin_m", "per_spread", "fade", "expected"), MARGINS.values(), ids=MARGINS)
def test_margin(margin_m, per_spread, fade, expected):
    ego, speeds = straight(5.0)
    imagined = rollouts([(4.0, 2.2, 0.0)], spread_m=0.5)
    others = nearest_others(ego.centre_m, imagined, count=1)
    found = collision(ego, others, blame(ego, speeds, others), imagined.mode_logits, margin_m, per_spread, fade)
    assert_close(found, tensor([[expected]]))


SOON = {  # name: (ego speed, cars, expected): from the last steps the ego is projected 0.5 and 1 s on
    "free road": (5.0, [(50.0, 0.0, 0.0)], 0.0),
    "parked car reached in time": (5.0, [(14.0, 0.0, 0.0)], 1.0),
    "parked car beyond": (5.0, [(15.1, 0.0, 0.0)], 0.0),
    "follows at the same speed": (5.0, [(5.5, 0.0, 5.0)], 0.0),
    "car from behind": (2.0, [(-8.0, 0.0, 8.0)], 0.0),
}


@pytest.mark.parametrize(("speed_mps", "cars", "expected"), SOON.values(), ids=SOON)
def test_time_to_collision(speed_mps, cars, expected):
    ego, speeds = straight(speed_mps)
    imagined = rollouts(cars)
    others = nearest_others(ego.centre_m, imagined, count=4)
    assert_close(time_to_collision(ego, speeds, others, blame(ego, speeds, others), imagined.mode_logits), tensor([[expected]]))


def test_a_margin_makes_time_to_collision_soft():
    """The parked car that is just not reached, 10 cm on: half as sure within a margin of 20 cm."""
    ego, speeds = straight(5.0)
    imagined = rollouts([(15.1, 0.0, 0.0)])
    others = nearest_others(ego.centre_m, imagined, count=1)
    blamed = blame(ego, speeds, others)
    assert_close(time_to_collision(ego, speeds, others, blamed, imagined.mode_logits, 0.2), tensor([[0.5]]))


def test_braking_late_is_a_near_miss():
    ego, _ = straight(0.0)
    ego = ego_boxes(torch.zeros(1, 1, STEPS, 3), tensor([1.0]), tensor([CAR_M]))
    speeds = tensor([[[4.0, 0.0, 0.0, 0.0]]])
    imagined = rollouts([(8.0, 0.0, 0.0)])  # 3 m between the boxes: 0.75 s at 4 m/s
    others = nearest_others(ego.centre_m, imagined, count=1)
    assert_close(collision(ego, others, blame(ego, speeds, others), imagined.mode_logits), tensor([[0.0]]))
    assert_close(time_to_collision(ego, speeds, others, blame(ego, speeds, others), imagined.mode_logits), tensor([[1.0]]))


def test_the_nearest_decide():
    generator = torch.Generator().manual_seed(0)
    cars = (torch.rand(20, 3, generator=generator) * tensor([40.0, 20.0, 4.0]) - tensor([0.0, 10.0, 0.0])).tolist()
    ego, speeds = straight(6.0)
    imagined = rollouts(cars, spread_m=0.3)
    few, all_of_them = (nearest_others(ego.centre_m, imagined, count) for count in (8, 20))
    terms = [
        collision(ego, others, blame(ego, speeds, others), imagined.mode_logits, 0.4, 0.3, 0.5) for others in (few, all_of_them)
    ]
    assert_close(*terms)


def test_absent_agents_do_not_collide():
    ego, speeds = straight(5.0)
    imagined = rollouts([(10.0, 0.0, 0.0)])
    absent = Rollouts(**{**vars(imagined), "valid": tensor([[True, False]])})
    others = nearest_others(ego.centre_m, absent, count=1)
    assert_close(collision(ego, others, blame(ego, speeds, others), absent.mode_logits), tensor([[0.0]]))
