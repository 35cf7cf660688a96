"""The ego alone: the same from a log as from its scenes, nothing else is read, and what networks read of it."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from drive_wm.ego_past import EgoPast, count_features, ego_past, ego_pasts_of, features
from drive_wm.errors import InputError
from drive_wm.log import Log, empty_map
from drive_wm.scene import Tracks
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


def straight_past(before_mps: float) -> EgoPast:
    """Along x, at 8 m/s now and at another speed before; its box centre is 1.4 m ahead of the rear axle."""
    position_m = torch.tensor([[1.4 + 4.0 * step, 0.0] for step in range(-4, 1)])
    velocity_mps = torch.tensor([[before_mps, 0.0]] * 4 + [[8.0, 0.0]])
    size_m, kind, valid = torch.ones(1, 1, 2), torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1, 5, dtype=torch.bool)
    tracks = Tracks(position_m[None, None], torch.zeros(1, 1, 5), velocity_mps[None, None], size_m, kind, valid)
    return EgoPast(tracks, torch.tensor([1.4]), torch.tensor([2]), torch.tensor([0]))


def test_features_by_hand() -> None:
    """From 6 to 8 m/s within half a second, in which the rear axle came 4 m; no command was given, then one to the right."""
    past = straight_past(6.0)
    read = features(past)[0]
    before, now = [-0.4, 0, 1, 0, 0, 0.6, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0.8, 0, 2, 0, 1]
    assert len(read) == count_features(5)
    assert_close(read[30:], torch.tensor([*before, *now, 0, 0, 0], dtype=torch.float32))
    assert features(replace(past, command_origin=torch.tensor([1])))[0, 50:].tolist() == [0, 0, 1]


def test_a_velocity_is_no_change_from_an_unknown_one() -> None:
    """The first keyframe of a drive has none, as if the ego stood: the second must not read a start from it."""
    assert_close(features(straight_past(0.0))[0, 47:49], torch.zeros(2))
