"""The ego alone: the same from a log as from its scenes, and nothing else is read."""

from dataclasses import replace

import pytest
from torch.testing import assert_close

from drive_wm.ego_past import ego_past, ego_pasts_of
from drive_wm.errors import InputError
from drive_wm.log import Log, empty_map
from drive_wm.scene_at import scene_at
from drive_wm.structs import tensors


@pytest.mark.parametrize("step", [0, 2, 9, 22])
def test_a_log_gives_what_its_scenes_give(crossroads_log: Log, step: int) -> None:
    pasts, futures = ego_pasts_of(crossroads_log, 5, 12, "ground_truth_offset")
    scene, future = scene_at(crossroads_log, step, command="ground_truth_offset")
    for name, value in tensors(ego_past(scene)).items():
        assert_close(tensors(pasts)[name][step : step + 1], value, atol=0, rtol=0, msg=name)
    assert_close(futures.ego_pose[step : step + 1], future.ego_pose, atol=0, rtol=0)
    assert_close(futures.ego_valid[step : step + 1], future.ego_valid)
    assert_close(futures.tracks.position_m[step, 0], future.tracks.position_m[0, 0], atol=0, rtol=0)


def test_every_keyframe_that_another_follows_is_there(crossroads_log: Log) -> None:
    pasts, futures = ego_pasts_of(crossroads_log, 5, 12)
    assert len(pasts.command) == len(futures.ego_valid) == 23
    assert pasts.command_origin.tolist() == [0] * 23
    assert futures.ego_valid[:, 0].all()


def test_neither_map_nor_traffic_is_read(crossroads_log: Log) -> None:
    bare = replace(crossroads_log, map=empty_map(), position_m=crossroads_log.position_m + 7.0)
    for name, value in tensors(ego_pasts_of(bare, 5, 12)[0]).items():
        assert_close(value, tensors(ego_pasts_of(crossroads_log, 5, 12)[0])[name], atol=0, rtol=0)


def test_a_log_without_an_ego_is_named(crossroads_log: Log) -> None:
    with pytest.raises(InputError, match=r"'crossroads' has no ego"):
        ego_pasts_of(replace(crossroads_log, has_ego=False), 5, 12)
