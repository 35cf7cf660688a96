"""Laws of the mirror: twice is nothing, and a mirrored log gives the mirrored scene."""

from dataclasses import replace

import numpy as np
import torch
from torch.testing import assert_close

from drive_wm.datasets.sumo_cut import mirrored as mirrored_log
from drive_wm.ego_past import ego_past
from drive_wm.log import Log
from drive_wm.losses import trajectory_away_m
from drive_wm.mirror import mirrored, mirrored_future, mirrored_past
from drive_wm.rollouts import Trajectory
from drive_wm.scene import COMMANDS, Scene
from drive_wm.scene_at import scene_at
from drive_wm.structs import tensors

STEP = 6


def test_mirrored_twice_is_the_scene(crossroads_log: Log) -> None:
    scene, future = scene_at(crossroads_log, STEP)
    for twice, once in ((mirrored(mirrored(scene)), scene), (mirrored_future(mirrored_future(future)), future)):
        for name, value in tensors(once).items():
            assert_close(tensors(twice)[name], value, msg=name)


def test_a_mirrored_log_gives_the_mirrored_scene(crossroads_log: Log) -> None:
    scene, future = scene_at(crossroads_log, STEP, command="ground_truth_offset")
    there, then = scene_at(mirrored_log(crossroads_log), STEP, command="ground_truth_offset")
    found = tensors(mirrored(scene), "scene.") | tensors(mirrored_future(future), "future.")
    for name, value in (tensors(there, "scene.") | tensors(then, "future.")).items():
        if name.startswith(("scene.raster", "scene.edge")):
            # The painter rounds to one side: single cells at borders may differ.
            assert (found[name] - value).abs().mean() < 0.01, name
        else:
            assert_close(found[name], value, atol=1e-4, rtol=1e-5, msg=name)


def test_left_becomes_right_in_the_command(crossroads_scene: Scene) -> None:
    sides = [replace(crossroads_scene, command=torch.tensor([i])) for i in range(len(COMMANDS))]
    assert [int(mirrored(scene).command) for scene in sides] == [2, 1, 0]


def test_successors_still_go_from_left_to_right(crossroads_scene: Scene) -> None:
    successor = torch.full_like(crossroads_scene.lanes.successor, -1)
    successor[0, 0] = torch.tensor([4, 7, -1])  # left, right
    scene = replace(crossroads_scene, lanes=replace(crossroads_scene.lanes, successor=successor))
    assert np.array_equal(mirrored(scene).lanes.successor[0, 0], [7, 4, -1])


def test_the_ego_alone_is_mirrored_as_in_its_scene(crossroads_log: Log) -> None:
    scene, _ = scene_at(crossroads_log, 10, command="ground_truth_offset")
    for name, value in tensors(ego_past(mirrored(scene))).items():
        assert_close(tensors(mirrored_past(ego_past(scene)))[name], value, atol=0, rtol=0, msg=name)


def test_a_mirrored_trajectory_misses_the_mirrored_future_by_as_much(crossroads_log: Log) -> None:
    _, future = scene_at(crossroads_log, STEP)
    pose = future.ego_pose + torch.randn(future.ego_pose.shape, generator=torch.Generator().manual_seed(0))
    there, here = pose * torch.tensor([1.0, -1.0, -1.0]), pose
    found, expected = (
        trajectory_away_m(Trajectory(path, torch.zeros(1, 12)), then.ego_pose)
        for path, then in ((there, mirrored_future(future)), (here, future))
    )
    assert_close(found, expected)
