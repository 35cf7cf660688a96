"""Motion models: arcs worked by hand, limits, and follow as the inverse of roll."""

from math import pi

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import tensor
from torch.testing import assert_close

from drive_wm.geometry import rotate
from drive_wm.kinematics import (
    MAX_CURVATURE_PER_M,
    MAX_LATERAL_ACCEL_MPS2,
    MAX_PEDESTRIAN_SPEED_MPS,
    follow,
    limit_action,
    point_mass,
    roll,
    unicycle,
)

ARCS = {  # name: (pose, speed, (accel, curvature), pose after 0.5 s, speed after)
    "keep on": ((0.0, 0.0, 0.0), 10.0, (0.0, 0.0), (5.0, 0.0, 0.0), 10.0),
    "speed up": ((1.0, 2.0, 0.0), 10.0, (2.0, 0.0), (6.5, 2.0, 0.0), 11.0),
    "brake to a stop, not backwards": ((0.0, 0.0, 1.0), 2.0, (-8.0, 0.1), (0.0, 0.0, 1.0), 0.0),
    "northward": ((0.0, 0.0, pi / 2), 4.0, (0.0, 0.0), (0.0, 2.0, pi / 2), 4.0),
    # An arc of 5 m on a circle of radius 10 / pi * 3 turns by pi / 6: x = R sin(pi/6), y = R (1 - cos(pi/6)).
    "left by 30 degrees": ((0.0, 0.0, 0.0), 10.0, (0.0, pi / 30), (4.774648, 1.279363, pi / 6), 10.0),
    "right by 30 degrees": ((0.0, 0.0, 0.0), 10.0, (0.0, -pi / 30), (4.774648, -1.279363, -pi / 6), 10.0),
}
LIMITS = {  # name: (action, speed, expected)
    "within": ((1.0, 0.1), 5.0, (1.0, 0.1)),
    "hard braking": ((-20.0, 0.0), 5.0, (-8.0, 0.0)),
    "hard throttle": ((9.0, 0.0), 5.0, (4.0, 0.0)),
    "steering lock at walking pace": ((0.0, 1.0), 1.0, (0.0, MAX_CURVATURE_PER_M)),
    "grip at 20 m/s": ((0.0, -0.2), 20.0, (0.0, -MAX_LATERAL_ACCEL_MPS2 / 400)),
}
gentle = st.tuples(st.floats(-1.0, 2.0), st.floats(-0.02, 0.02))


@pytest.mark.parametrize(("pose", "speed", "action", "reached", "speed_after"), ARCS.values(), ids=ARCS)
def test_unicycle(pose, speed, action, reached, speed_after):
    pose, speed = unicycle(tensor(pose), tensor(speed), tensor(action))
    assert_close(pose, tensor(reached), atol=1e-4, rtol=0)
    assert_close(speed, tensor(speed_after))


@pytest.mark.parametrize(("action", "speed", "expected"), LIMITS.values(), ids=LIMITS)
def test_limit_action(action, speed, expected):
    assert_close(limit_action(tensor(action), tensor(speed)), tensor(expected))


@settings(max_examples=50, deadline=None)
@given(st.floats(3, 15), st.lists(gentle, min_size=4, max_size=4), st.floats(-3, 3))
def test_follow_finds_actions_that_reach_the_targets(speed, actions, yaw):
    pose, speed = tensor([3.0, -2.0, yaw], dtype=torch.float64), tensor(speed, dtype=torch.float64)
    reached, speeds = roll(pose, speed, tensor(actions, dtype=torch.float64))
    found = follow(pose, speed, reached[:, :2])
    again, speeds_again = roll(pose, speed, found)
    assert_close(again, reached, atol=1e-4, rtol=0)
    assert_close(speeds_again, speeds, atol=1e-4, rtol=0)


def test_follow_stands_still_for_a_target_behind():
    action = follow(tensor([0.0, 0.0, 0.0]), tensor(2.0), tensor([[-3.0, 0.5]]))
    pose, speed = roll(tensor([0.0, 0.0, 0.0]), tensor(2.0), action)
    assert_close(pose[0], torch.zeros(3))
    assert speed == 0


@given(st.floats(-3, 3), st.floats(0, 20), st.floats(-8, 4), st.floats(-0.2, 0.2))
def test_unicycle_does_not_depend_on_where_it_starts(yaw, speed, accel, curvature):
    here, there = torch.zeros(3), tensor([4.0, -7.0, yaw])
    moved, speed_here = unicycle(here, tensor(speed), tensor([accel, curvature]))
    other, speed_there = unicycle(there, tensor(speed), tensor([accel, curvature]))
    assert_close(rotate(moved[:2], there[2]) + there[:2], other[:2], atol=1e-4, rtol=1e-5)
    assert_close(speed_here, speed_there)


def test_point_mass_walks_turns_and_keeps_to_a_pace():
    pose, velocity = point_mass(tensor([0.0, 0.0, pi / 2]), tensor([0.0, 1.0]), tensor([0.0, -2.0]))
    assert_close(velocity, tensor([1.0, 1.0]))  # to the right of north is east
    assert_close(pose, tensor([0.5, 0.5, pi / 4]))
    _, fast = point_mass(torch.zeros(3), tensor([9.0, 0.0]), torch.zeros(2))
    assert_close(fast.norm(), tensor(MAX_PEDESTRIAN_SPEED_MPS))
    still, _ = point_mass(tensor([0.0, 0.0, 1.2]), torch.zeros(2), torch.zeros(2))
    assert_close(still[2], tensor(1.2))
