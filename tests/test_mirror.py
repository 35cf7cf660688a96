"""Laws of the mirror: twice is nothing, and a mirrored log gives the mirrored scene."""

from dataclasses import replace

import numpy as np
import torch
from torch.testing import assert_close

from drive_wm.datasets.sumo_cut import mirrored as mirrored_log
from drive_wm.ego_past import ego_past
from drive_wm.log import Log
from drive_wm.mirror import mirrored, mirrored_future, mirrored_past
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
