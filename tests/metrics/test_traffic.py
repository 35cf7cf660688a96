"""Speeds, accelerations and gaps by hand; they do not change when the world moves."""

import torch
from torch.testing import assert_close

from drive_wm.boxes import Boxes
from drive_wm.geometry import rotate
from drive_wm.metrics.traffic import FAR_M, accel_mps2, nearest_gap_m, speed_mps

TIME_S = torch.tensor([0.0, 0.5, 1.0, 2.0])
POSITION = torch.tensor([[[0.0, 0.0], [3.0, 4.0], [3.0, 4.0], [9.0, 12.0]]])


def test_speed_and_acceleration_by_hand():
    speed, known = speed_mps(POSITION, torch.ones(1, 4).bool(), TIME_S)
    assert speed.tolist() == [[0.0, 10.0, 0.0, 10.0]]
    assert known.tolist() == [[False, True, True, True]]
    accel, changed = accel_mps2(speed, known, TIME_S)
    assert accel.tolist() == [[0.0, 0.0, -20.0, 10.0]]
    assert changed.tolist() == [[False, False, True, True]]


def test_a_gap_leaves_nothing_known_beside_it():
    valid = torch.tensor([[True, False, True, True]])
    speed, known = speed_mps(POSITION, valid, TIME_S)
    assert known.tolist() == [[False, False, False, True]]
    assert speed.tolist() == [[0.0, 0.0, 0.0, 10.0]]
    assert not accel_mps2(speed, known, TIME_S)[1].any()


def boxes(turn_rad: float = 0.0) -> Boxes:
    """Four boxes of 4 x 2 m in a row along x at 0, 6, 9 and 100 m: gaps of 2 m, an overlap of 1 m, and far away."""
    turn = torch.tensor(turn_rad)
    centre_m = rotate(torch.tensor([[0.0, 0.0], [6.0, 0.0], [9.0, 0.0], [100.0, 0.0]]), turn.expand(4)) + 7.0
    return Boxes(centre_m, turn.expand(4), torch.tensor([4.0, 2.0]).expand(4, 2))


def test_nearest_gap_by_hand():
    everybody = torch.ones(4).bool()
    assert_close(nearest_gap_m(boxes(), everybody), torch.tensor([2.0, -1.0, -1.0, 87.0]))
    assert_close(nearest_gap_m(boxes(), torch.tensor([True, False, True, False])), torch.tensor([5.0, FAR_M, 5.0, FAR_M]))


def test_nearest_gap_is_unchanged_when_the_world_turns():
    everybody = torch.ones(4).bool()
    assert_close(nearest_gap_m(boxes(1.0), everybody), nearest_gap_m(boxes(), everybody), atol=1e-4, rtol=0)
