"""Recorded drives between keyframes, and with another ending."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from drive_wm.benchmarks.closed_loop_log import Human, Others, others_at, with_ending
from drive_wm.scene_at import scene_at
from drive_wm.structs import tensors


def test_others_between_keyframes(drive):
    moved = replace(drive, position_m=drive.position_m + np.arange(10)[:, None] * drive.valid[..., None])
    found = others_at(moved, np.array([0.5, 0.75, 1.0]))
    assert_allclose(found.position_m[0, 1], moved.position_m[0, 1] + 0.5)
    assert_allclose(found.position_m[:, 0], moved.position_m[:, 1])
    assert found.valid[0].tolist() == [True, True, True]


APPEARS = {  # name: (time, present); agent 6 is there from 1.5 s to the end of the log
    "before the keyframe": (1.4, False),
    "at the keyframe": (1.5, True),
    "at the log's end": (4.5, True),
    "after it": (4.6, False),
}


@pytest.mark.parametrize(("time_s", "valid"), APPEARS.values(), ids=APPEARS)
def test_presence(drive, time_s, valid):
    found = others_at(drive, np.array([time_s]))
    assert found.valid[6].tolist() == [valid]
    assert (found.size_m[6, 0] > 0).all() == valid


def test_turns_take_the_short_way(drive):
    yaw_rad = np.where(np.arange(10) < 5, np.pi - 0.1, -np.pi + 0.1)[None] * np.ones((11, 1)) * drive.valid
    found = others_at(replace(drive, yaw_rad=yaw_rad), np.array([2.25]))
    assert abs(found.yaw_rad[0, 0]) == pytest.approx(np.pi)


def test_human_is_at_every_keyframe_and_keeps_on_after_the_last(crossroads_log):
    human = Human(crossroads_log)
    pose = human.pose(crossroads_log.time_s)
    assert_allclose(pose[:, :2], crossroads_log.ego_pose[:, :2], atol=1e-9)
    last = human.pose(np.array([11.5, 12.5]))
    assert np.linalg.norm(np.diff(last[:, :2], axis=0)) == pytest.approx(human.speed_mps(np.array([11.5]))[0], abs=0.01)
    assert last[0, 2] == last[1, 2]
    assert human.accel_mps2(np.array([12.5])).tolist() == [0.0]


def test_human_state(drive):
    car = Human(drive).car(np.array([1.0, 2.2]))
    assert_allclose(car.speed_mps, [4.0, 4.0])  # 2 m a step
    assert_allclose(car.accel_mps2, [0.0, 0.0], atol=1e-9)
    assert_allclose(car.steering_rad, [0.0, 0.0], atol=1e-9)


def test_the_recorded_ending_gives_the_recorded_scene(crossroads_log):
    step, count = 6, 3
    others = others_at(crossroads_log, crossroads_log.time_s[step] + 0.5 * np.arange(1, count + 1))
    ending = with_ending(crossroads_log, step, crossroads_log.ego_pose[step + 1 : step + 1 + count], others)
    ending.check()
    assert len(ending.keyframes) == step + 1 + count
    found, expected = (scene_at(log, step + count)[0] for log in (ending, crossroads_log))
    for name, value in tensors(found).items():
        assert_allclose(value, tensors(expected)[name], atol=1e-4, err_msg=name)


def test_nothing_after_the_ending_is_left(crossroads_log):
    none = Others(*(np.zeros((7, 0, *tail)) for tail in ((2,), (), (2,))), np.zeros((7, 0), bool))
    ending = with_ending(crossroads_log, 6, np.zeros((0, 3)), none)
    assert ending.keyframes == crossroads_log.keyframes[:7]
    assert ending.position_m.shape == (7, 7, 2)
