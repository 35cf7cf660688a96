"""Collisions and times to collision, worked by hand: the ego drives along +x, its box 4 m by 2 m, 1 m ahead of the axle."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from drive_wm.geometry import compose, transform
from drive_wm.metrics.at_fault import no_at_fault_collision, time_to_collision
from drive_wm.metrics.simulated import Crowd, Driven

STEPS, KNOWN = 41, 51
TIME_S = 0.1 * torch.arange(KNOWN, dtype=torch.float64)


def ego(speed_mps: float) -> Driven:
    x_m = speed_mps * TIME_S[:STEPS]
    pose = torch.stack([x_m, 0 * x_m, 0 * x_m], -1)[None]
    speed = torch.full((1, STEPS), speed_mps, dtype=torch.float64)
    return Driven(pose, speed, 0 * speed, tensor([[4.0, 2.0]], dtype=torch.float64), tensor([1.0], dtype=torch.float64))


def other(x_m: float, y_m: float, vx: float, vy: float, can_move: bool = True) -> Crowd:
    """A box of 4 m by 2 m along x that moves evenly."""
    position_m = torch.stack([x_m + vx * TIME_S, y_m + vy * TIME_S], -1)[None, None]
    size_m = tensor([4.0, 2.0], dtype=torch.float64).expand(1, 1, KNOWN, 2)
    speed = torch.full((1, 1, KNOWN), (vx**2 + vy**2) ** 0.5, dtype=torch.float64)
    return Crowd(position_m, 0 * speed, speed, size_m, tensor([[can_move]]), torch.ones(1, 1, KNOWN, dtype=torch.bool))


def everywhere(value: bool) -> torch.Tensor:
    return torch.full((1, STEPS), value)


COLLISIONS = {  # name: (ego speed, other, encroaching, expected)
    "runs into a slower car": (10.0, other(15.2, 0, 5, 0), False, 0.0),
    "runs into a standing car": (10.0, other(20.3, 0, 0, 0), False, 0.0),
    "runs into a cone": (10.0, other(20.3, 0, 0, 0, can_move=False), False, 0.5),
    "stops short of a standing car": (4.0, other(21.1, 0, 0, 0), False, 1.0),
    "touches a standing car at the end": (4.0, other(21.0, 0, 0, 0), False, 0.0),
    "is hit from behind, and the other drives on through it": (5.0, other(-10, 0, 15, 0), False, 1.0),
    "stands and is hit from ahead": (0.0, other(20, 0, -10, 0), False, 1.0),
    "is hit from the side in its lane": (10.0, other(0, 4, 10, -1), False, 1.0),
    "is hit from the side over the line": (10.0, other(0, 4, 10, -1), True, 0.0),
    "scrapes along a standing car": (10.0, other(20.3, 1.9, 0, 0), False, 0.0),
    "passes beside it": (10.0, other(20, 2.1, 0, 0), True, 1.0),
    "meets one head on": (10.0, other(40.3, 0, -10, 0), False, 0.0),
}


@pytest.mark.parametrize(("speed", "crowd", "over", "expected"), COLLISIONS.values(), ids=COLLISIONS)
def test_no_at_fault_collision(speed, crowd, over, expected):
    assert no_at_fault_collision(ego(speed), crowd, everywhere(over)).tolist() == [expected]


def test_absent_agents_and_empty_roads_hit_nobody():
    gone = other(15, 0, 5, 0).map(lambda x: torch.zeros_like(x) if x.dtype == torch.bool and x.ndim == 3 else x)
    nobody = gone.map(lambda x: x[:, :0])
    assert no_at_fault_collision(ego(10.0), gone, everywhere(True)).tolist() == [1.0]
    assert no_at_fault_collision(ego(10.0), nobody, everywhere(True)).tolist() == [1.0]
    assert time_to_collision(ego(10.0), nobody, everywhere(True), everywhere(True), 40).tolist() == [1.0]


# A car that stands 5 m beyond where the ego's bumper is at 4 s is reached 0.5 s later: seen from 3.6 s on, at 0.9 s.
TIMES = {  # name: (ego speed, other, over or in junction, last step, expected)
    "follows at equal speed": (10.0, other(8, 0, 10, 0), False, 40, 1.0),
    "v1 sees what the end hides from v2": (10.0, other(50, 0, 0, 0), False, 40, 0.0),
    "v2 stops 0.9 s before the end": (10.0, other(50, 0, 0, 0), False, 31, 1.0),
    "would reach a standing car 1 s after the end": (10.0, other(55, 0, 0, 0), False, 40, 1.0),
    "is chased": (1.0, other(-6, 0, 2, 0), False, 40, 1.0),
    "is chased by one who will be past by then": (5.0, other(-10, 0, 15, 0), False, 40, 0.0),
    "stands": (0.0, other(20, 0, -10, 0), False, 40, 1.0),
    "somebody comes from the side": (1.0, other(0, 4, 1, -1), False, 40, 1.0),
    "somebody comes from the side in a junction": (1.0, other(0, 4, 1, -1), True, 40, 0.0),
}


@pytest.mark.parametrize(("speed", "crowd", "wide", "last", "expected"), TIMES.values(), ids=TIMES)
def test_time_to_collision(speed, crowd, wide, last, expected):
    found = time_to_collision(ego(speed), crowd, everywhere(False), everywhere(wide), last)
    assert found.tolist() == [expected]
    assert time_to_collision(ego(speed), crowd, everywhere(wide), everywhere(False), last).tolist() == [expected]


@given(st.sampled_from(sorted(COLLISIONS)), st.tuples(*[st.floats(-500, 500)] * 2, st.floats(-3.1, 3.1)))
def test_a_turned_and_shifted_world_scores_the_same(name, move):
    speed, crowd, over, expected = COLLISIONS[name]
    pose = tensor(move, dtype=torch.float64)
    still = ego(speed)
    driven = Driven(compose(pose, still.pose), still.speed_mps, still.accel_mps2, still.size_m, still.centre_m)
    position_m = transform(pose, crowd.position_m.flatten(0, 2)).reshape(crowd.position_m.shape)
    moved = Crowd(position_m, crowd.yaw_rad + pose[2], crowd.speed_mps, crowd.size_m, crowd.can_move, crowd.valid)
    if "touches" not in name:  # rounding decides whether boxes that only touch meet
        assert no_at_fault_collision(driven, moved, everywhere(over)).tolist() == [expected]
