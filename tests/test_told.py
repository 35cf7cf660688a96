"""What is kept from a planner is not in its scene, what it is told is, and nothing else changes."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from drive_wm.ego_past import ego_past
from drive_wm.log import Log
from drive_wm.scene import COMMAND_ORIGINS, COMMANDS, Scene
from drive_wm.scene_at import scene_at, scenes_of
from drive_wm.structs import tensors
from drive_wm.told import with_command, without_agents, without_command, without_ego_status, without_lanes, without_raster

STATUS = ("tracks.position_m", "tracks.yaw_rad", "tracks.velocity_mps", "tracks.valid")


def test_without_ego_status_nothing_of_its_motion_is_left(crossroads_batch: Scene) -> None:
    hidden = without_ego_status(crossroads_batch, torch.tensor([True, True, True])).tracks
    assert hidden.valid[:, 0].tolist() == [[False] * 4 + [True]] * 3
    for field in (hidden.position_m[:, 0, :-1], hidden.yaw_rad[:, 0, :-1], hidden.velocity_mps[:, 0]):
        assert not field.any()
    assert_close(hidden.position_m[:, 0, -1], crossroads_batch.tracks.position_m[:, 0, -1])


def test_it_looks_as_at_the_first_keyframe(crossroads_log: Log) -> None:
    """There velocity and past are unknown too, so that a model trained on whole drives has seen this."""
    first = ego_past(scene_at(crossroads_log, 0)[0])
    later = without_ego_status(ego_past(scene_at(crossroads_log, 12)[0]), torch.tensor([True]))
    for name, value in tensors(first).items():
        assert_close(tensors(later)[name], value, atol=1e-5, rtol=0, msg=name)


def test_only_the_hidden_ego_changes(crossroads_batch: Scene) -> None:
    before, after = (
        tensors(x) for x in (crossroads_batch, without_ego_status(crossroads_batch, torch.tensor([False, True, False])))
    )
    for name, value in before.items():
        if name in STATUS:
            assert_close(after[name][:, 1:], value[:, 1:], msg=name)
            assert_close(after[name][[0, 2]], value[[0, 2]], msg=name)
        else:
            assert_close(after[name], value, msg=name)


@pytest.mark.parametrize(
    ("without", "emptied"),
    [
        (without_lanes, {"has_lanes", "lanes.valid", "elements.valid"}),
        (without_raster, {"has_raster", "raster", "edge_m"}),
    ],
)
def test_only_the_hidden_map_changes(crossroads_batch: Scene, without, emptied: set[str]) -> None:
    before = tensors(crossroads_batch)
    after = tensors(without(crossroads_batch, torch.tensor([False, True, False])))
    for name, value in before.items():
        if name in emptied:
            assert not after[name][1].any(), name
            assert_close(after[name][[0, 2]], value[[0, 2]], msg=name)
        else:
            assert_close(after[name], value, msg=name)


def test_only_hidden_agents_go(crossroads_batch: Scene) -> None:
    hidden = torch.zeros(crossroads_batch.tracks.kind.shape, dtype=torch.bool)
    hidden[1, 2] = True
    assert crossroads_batch.tracks.valid[1, 2].any()
    full = replace(crossroads_batch, has_all_traffic=torch.ones(3, dtype=torch.bool))
    before, after = tensors(full), tensors(without_agents(full, hidden))
    for name, value in before.items():
        if name == "tracks.valid":
            assert not after[name][hidden].any()
            assert torch.equal(after[name][~hidden], value[~hidden])
        elif name == "has_all_traffic":
            assert after[name].tolist() == [True, False, True]
        else:
            assert torch.equal(after[name], value), name


@pytest.mark.parametrize("origin", COMMAND_ORIGINS)
def test_a_command_is_told_as_scene_at_tells_it(crossroads_log: Log, origin: str) -> None:
    bare, _ = scenes_of(crossroads_log)
    told = with_command(bare, crossroads_log, origin)
    for step in (0, 10, 23):
        scene, _ = scene_at(crossroads_log, step, command=origin)
        assert (told.command[step], told.command_origin[step]) == (scene.command[0], scene.command_origin[0])


def test_a_command_is_withheld_where_hidden(crossroads_log: Log) -> None:
    scene = scene_at(crossroads_log, 10, command="ground_truth_offset")[0]
    assert COMMANDS[int(scene.command)] == "left"
    kept, gone = (without_command(scene, torch.tensor([hidden])) for hidden in (False, True))
    assert COMMANDS[int(kept.command)] == "left"
    assert (COMMANDS[int(gone.command)], COMMAND_ORIGINS[int(gone.command_origin)]) == ("straight", "none")
