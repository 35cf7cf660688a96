import math

import numpy as np
import pytest

from drive_wm.datasets.sumo_simulation import STEP_S, Trace
from drive_wm.datasets.sumo_tracks import EGO_CENTRE_M, box_centres, overlaps, walking, wheeled
from drive_wm.datasets.sumo_traffic import EGO_SIZE_M
from drive_wm.log import Floats


def trace(front_m: Floats, compass_deg: Floats | float, type: str = "ego0", size_m: tuple[float, float] = EGO_SIZE_M) -> Trace:
    rows = np.column_stack([front_m, np.broadcast_to(compass_deg, len(front_m))])
    return Trace(type, size_m, 0, [tuple(row) for row in rows.tolist()], ["lane"] * len(rows))


def test_straight_drive_keeps_the_rear_axle_behind_the_bumper() -> None:
    front = np.stack([np.arange(20.0), np.zeros(20)], axis=1)
    poses = wheeled(trace(front, 90.0))  # east, that is along +x
    bumper_from_axle_m = EGO_CENTRE_M + EGO_SIZE_M[0] / 2
    np.testing.assert_allclose(poses, np.column_stack([front[:, 0] - bumper_from_axle_m, np.zeros((20, 2))]), atol=1e-9)
    np.testing.assert_allclose(box_centres(poses, EGO_SIZE_M[0])[:, 0], front[:, 0] - EGO_SIZE_M[0] / 2)


def test_rear_axle_cuts_a_circle_by_pythagoras() -> None:
    radius_m, angle = 20.0, np.arange(0, 3 * math.pi, 0.01)
    front = radius_m * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    poses = wheeled(trace(front, -np.degrees(angle)))  # driving counter-clockwise
    # The front axle lies 0.19 of the length behind the bumper along the tangent, on a circle a little wider.
    guide_m = math.hypot(radius_m, 0.19 * EGO_SIZE_M[0])
    wheelbase_m = EGO_SIZE_M[0] / 2 + EGO_CENTRE_M - 0.19 * EGO_SIZE_M[0]
    assert np.linalg.norm(poses[-1, :2]) == pytest.approx(math.sqrt(guide_m**2 - wheelbase_m**2), abs=0.02)


def test_rear_axle_moves_along_its_heading() -> None:
    s = np.arange(0, 60, 0.5)
    front = np.stack([s, 1.75 * (1 - np.cos(s * math.pi / 60))], axis=1)  # a lane change
    poses = wheeled(trace(front, 90.0))
    move = np.diff(poses[:, :2], axis=0)
    middle = (poses[1:, 2] + poses[:-1, 2]) / 2
    assert np.abs(-np.sin(middle) * move[:, 0] + np.cos(middle) * move[:, 1])[5:].max() < 2e-3


def test_standing_vehicle_keeps_its_heading() -> None:
    poses = wheeled(trace(np.tile([[3.0, 4.0]], (10, 1)), 30.0))
    np.testing.assert_allclose(np.diff(poses, axis=0), 0, atol=1e-12)


def test_walker_faces_its_way_and_keeps_it_when_it_stops() -> None:
    north = np.stack([np.zeros(40), np.minimum(np.arange(40) * 1.2 * STEP_S, 2.4)], axis=1)
    poses = walking(trace(north, 90.0, "walker0", (0.6, 0.6)))
    np.testing.assert_allclose(poses[:, 2], math.pi / 2)


OVERLAPS = {  # name: (second vehicle's place, its heading, shares ground)
    "behind": ((-6.0, 0.0), 0.0, False),
    "touching noses": ((3.9, 0.0), 0.0, True),
    "next lane": ((0.0, 3.0), 0.0, False),
    "across": ((2.5, 2.0), math.pi / 2, True),
}


@pytest.mark.parametrize(("place", "yaw", "expected"), OVERLAPS.values(), ids=OVERLAPS)
def test_overlaps(place: tuple[float, float], yaw: float, expected: bool) -> None:
    traces = {id: trace(np.zeros((4, 2)), 0.0, size_m=(4.0, 2.0)) for id in "ab"}
    boxes = {"a": np.zeros((4, 3)), "b": np.tile([*place, yaw], (4, 1))}
    assert overlaps(traces, boxes, ["a"], ["a", "b"]).any(axis=(0, 2)).tolist() == [False, expected]
