"""What each protocol takes from a drive: classes, filters, frames, samples."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from drive_wm.benchmarks.planning_samples import (
    ego_from_sensor,
    plan_in_lidar,
    protocol_boxes,
    protocol_steps,
    truth_of,
)
from drive_wm.errors import InputError
from drive_wm.metrics.planning import PROTOCOLS

OBSTACLES = {  # protocol: agents 1.5 s after keyframe 0
    "uniad": {0, 6, 7, 8, 9, 10},
    "stp3_vad": {0, 1, 10},
    "bev_planner": {0, 6, 7, 8, 9, 10},
    "sparsedrive": {0, 1, 2, 3, 4, 5, 6, 8, 9, 10},
    "strict": {0, 1, 2, 4, 5, 6, 7, 8, 9, 10},
}


def agents_in(boxes: np.ndarray) -> set[int]:
    """Agents by their length, 1 + i / 10 m."""
    return {round(10 * length) - 10 for length in boxes[:, 2]}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_who_is_an_obstacle(protocol, drive):
    boxes = protocol_boxes(protocol, drive, 0)
    assert agents_in(boxes[2]) == OBSTACLES[protocol]
    assert agents_in(boxes[1]) == OBSTACLES[protocol] - {6}  # not there yet at 1 s


def test_vad_numbers_mean_other_classes_on_plain_nuscenes(drive):
    assert agents_in(protocol_boxes("stp3_vad", drive, 0, legacy_index=True)[2]) == {0, 2, 10}


def test_vad_keeps_the_size_and_the_agents_of_now(drive):
    size_m = drive.size_m.copy()
    size_m[0, 3:] = 9.0
    grown = replace(drive, size_m=size_m)
    assert protocol_boxes("stp3_vad", grown, 0)[2][0, 2] == 1.0
    assert protocol_boxes("uniad", grown, 0)[2][0, 2] == 9.0


def test_boxes_stand_in_the_frame_of_the_first_keyframe(drive):
    for protocol, y_m in (("uniad", 19.0), ("stp3_vad", 19.0), ("bev_planner", 20.0), ("sparsedrive", 19.0), ("strict", 19.0)):
        for step in protocol_boxes(protocol, drive, 0):
            assert_allclose(step[0], (-3.0, y_m, 1.0, 0.5, pi / 2), atol=1e-9)


def test_there_are_no_boxes_past_the_end(drive):
    boxes = protocol_boxes("strict", drive, 7)
    assert [len(step) > 0 for step in boxes] == [True, True, False, False, False, False]
    assert boxes[5].shape == (0, 5)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_samples(protocol, drive):
    assert protocol_steps(protocol, drive) == list(range(10 if protocol in ("uniad", "strict") else 4))


def test_truth_is_the_path_of_the_sensor(drive):
    path, valid = truth_of(drive, 5)
    assert valid.tolist() == [True] * 4 + [False] * 2
    assert_allclose(path, [(0, 2), (0, 4), (0, 6), (0, 8), (0, 0), (0, 0)], atol=1e-9)


def test_truth_turns_with_the_ego(drive):
    pose = drive.ego_pose.copy()
    pose[1:, 2] += pi / 2  # to the left
    turned = replace(drive, ego_pose=pose)
    # The rear axle is 2 m ahead; LIDAR_TOP, 1 m ahead of it, now sits 1 m to its left: 1 m ahead of where it was.
    assert_allclose(truth_of(turned, 0)[0][0], (-1.0, 1.0), atol=1e-9)
    assert_allclose(truth_of(turned, 0, "bev_planner")[0][0], (0.0, 2.0), atol=1e-9)


PLANS = {  # name: (rear-axle pose in the ego frame, LIDAR_TOP's position in its own frame at t0), lidar 1 m ahead
    "stays": ((0.0, 0.0, 0.0), (0.0, 0.0)),
    "ahead": ((5.0, 0.0, 0.0), (0.0, 5.0)),
    "left": ((0.0, 2.0, 0.0), (-2.0, 0.0)),
    "turns left on the spot": ((0.0, 0.0, pi / 2), (-1.0, -1.0)),
    "turns round ahead": ((10.0, 0.0, pi), (0.0, 8.0)),
}


@pytest.mark.parametrize(("pose", "expected"), PLANS.values(), ids=PLANS)
def test_plan_in_lidar(pose, expected, drive):
    poses = torch.tensor(pose, dtype=torch.float64).expand(3, 12, 3)
    path = plan_in_lidar(poses, torch.from_numpy(drive.ego_from_lidar))
    assert path.shape == (3, 6, 2)
    assert_allclose(path, np.broadcast_to(expected, (3, 6, 2)), atol=1e-9)


def test_the_driven_poses_as_plan_are_the_truth(drive):
    pose = torch.zeros(1, 12, 3, dtype=torch.float64)
    pose[..., 0] = 2.0 * torch.arange(1, 13)
    for protocol in PROTOCOLS:
        path = plan_in_lidar(pose, torch.from_numpy(ego_from_sensor(protocol, drive)))
        assert_allclose(path[0], truth_of(drive, 0, protocol)[0], atol=1e-9)


def test_a_short_plan_is_refused():
    with pytest.raises(InputError, match=r"at least 6 steps"):
        plan_in_lidar(torch.zeros(2, 4, 3), torch.zeros(3))
