"""The car that follows plans: laws of motion, and how well it keeps to what it is told."""

from math import atan, pi

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor
from torch.testing import assert_close

from drive_wm.bicycle import STEPS, CarState, follow_plan, move, reference_of
from drive_wm.geometry import compose
from drive_wm.kinematics import roll

BASE_M = tensor([2.6], dtype=torch.float64)


def car(speed_mps: float, steering_rad: float = 0.0) -> CarState:
    zero = torch.zeros(1, dtype=torch.float64)
    return CarState(torch.zeros(1, 3, dtype=torch.float64), zero + speed_mps, zero, zero + steering_rad)


def plan(speed_mps: float, accel: float, curvature: float, steps: int = 12) -> torch.Tensor:
    action = tensor([accel, curvature], dtype=torch.float64).expand(1, steps, 2)
    return roll(torch.zeros(1, 3, dtype=torch.float64), tensor([speed_mps], dtype=torch.float64), action)[0]


def drive(state: CarState, path: torch.Tensor, ticks: int) -> list[CarState]:
    """Follow one plan for several ticks, each from what is left of it."""
    states = []
    for tick in range(ticks):
        states += follow_plan(state, path[:, tick:], BASE_M)
        state = states[-1]
    return states


def test_a_steady_car_on_a_steady_plan_stays_on_it():
    states = follow_plan(car(8.0), plan(8.0, 0.0, 0.0), BASE_M)
    assert len(states) == STEPS
    assert_close(torch.stack([s.pose[0, 0] for s in states]), 0.8 * torch.arange(1, 6).double(), atol=1e-6, rtol=0)
    assert_close(states[-1].speed_mps, tensor([8.0], dtype=torch.float64))


def test_equations_of_motion():
    after = move(car(5.0, steering_rad=0.2), (tensor([3.0]).double(), tensor([0.3]).double()), BASE_M)
    assert_close(after.pose, tensor([[0.5, 0.0, 5.0 * tensor(0.2).tan().item() / 2.6 * 0.1]], dtype=torch.float64))
    assert_close(after.accel_mps2, tensor([1.0], dtype=torch.float64))  # a third of what was asked, after a delay of 0.2 s
    assert_close(after.speed_mps, tensor([5.1], dtype=torch.float64))
    assert_close(after.steering_rad, tensor([0.22], dtype=torch.float64))  # two thirds, after a delay of 0.05 s


PATHS = {  # name: (speed, acceleration, curvature, metres off at most: a plan's acceleration begins at once, a car's does not)
    "straight": (10.0, 0.0, 0.0, 0.01),
    "left turn": (6.0, 0.0, 0.08, 0.4),
    "right turn": (6.0, 0.0, -0.08, 0.4),
    "braking": (10.0, -2.0, 0.0, 1.0),
    "starting": (0.0, 1.5, 0.0, 1.0),
}


@pytest.mark.parametrize(("speed", "accel", "curvature", "most_m"), PATHS.values(), ids=PATHS)
def test_keeps_to_a_plan(speed, accel, curvature, most_m):
    path = plan(speed, accel, curvature)
    turning = car(speed, steering_rad=atan(2.6 * curvature))
    ends = torch.stack([s.pose for s in drive(turning, path, 8)[STEPS - 1 :: STEPS]], 1)
    assert (ends - path[:, :8])[..., :2].norm(dim=-1).max() < most_m


def test_stops_and_does_not_roll_back():
    states = drive(car(6.0), plan(6.0, -3.0, 0.0), 8)
    speed_mps = torch.stack([s.speed_mps for s in states])
    assert speed_mps.min() >= 0.0
    assert speed_mps[-1] < 0.1
    assert 6.0 <= states[-1].pose[0, 0] < 7.0  # 6 m is where 6 m/s ends at 3 m/s2


def test_comes_back_to_a_plan_beside_it():
    path = plan(8.0, 0.0, 0.0) + tensor([0.0, 0.5, 0.0], dtype=torch.float64)
    beside_m = torch.stack([s.pose[0, 1] for s in drive(car(8.0), path, 8)])
    assert abs(beside_m[-1] - 0.5) < 0.2


def test_the_reference_passes_through_the_plan():
    path = plan(5.0, 1.0, 0.05)
    reference = reference_of(torch.zeros(1, 3, dtype=torch.float64), path)
    assert_close(reference.pose[:, [5, 10]], path[:, :2])
    assert reference.pose.shape[1] == reference.speed_mps.shape[1] == 15


@given(st.floats(-300, 300), st.floats(-300, 300), st.floats(-pi, pi))
def test_a_turned_world_is_driven_alike(x, y, yaw):
    frame = tensor([x, y, yaw], dtype=torch.float64)
    path = plan(7.0, -0.5, 0.04)
    still = follow_plan(car(7.0), path, BASE_M)[-1]
    start = CarState(frame[None], *(getattr(car(7.0), n) for n in ("speed_mps", "accel_mps2", "steering_rad")))
    moved = follow_plan(start, compose(frame, path), BASE_M)[-1]
    assert_close(moved.pose[:, :2], compose(frame, still.pose)[:, :2], atol=1e-6, rtol=0)
    assert_close(moved.speed_mps, still.speed_mps)
