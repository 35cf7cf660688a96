"""Corruptions: what they do to the agent that they name, and to nobody else."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from drive_wm.benchmarks.corruptions import CORRUPTIONS, TELEPORT_M, Corrupted
from drive_wm.kinematics import DT_S
from drive_wm.scene import Future, Scene
from drive_wm.scene_at import scene_at
from drive_wm.structs import cat, tensors


@pytest.fixture(scope="module")
def scenes(crossroads_log) -> tuple[Scene, Future]:
    scene, future = zip(*(scene_at(crossroads_log, step) for step in (4, 6, 9)), strict=True)
    return cat(scene), cat(future)


def corrupted(name: str, scenes: tuple[Scene, Future], seed: int = 0) -> Corrupted:
    return CORRUPTIONS[name](*scenes, torch.Generator().manual_seed(seed))


def of_changed(values: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    return values[torch.arange(len(changed)), changed]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_only_one_track_changes(name, scenes):
    """Two where tracks are swapped; the input stays as it is, and the same seed gives the same."""
    before = {key: x.clone() for key, x in tensors(scenes[1]).items()}
    found = corrupted(name, scenes)
    assert all(torch.equal(before[key], x) for key, x in tensors(scenes[1]).items())
    moved = (found.future.tracks.position_m != scenes[1].tracks.position_m).any(-1).any(-1)
    assert moved.sum(1).tolist() == [2 if name == "swapped tracks" else 1] * 3
    assert of_changed(moved, found.changed).all()
    assert (found.changed > 0).all()  # never the ego
    assert torch.equal(found.future.tracks.position_m, corrupted(name, scenes).future.tracks.position_m)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_velocity_is_the_backward_difference(name, scenes):
    found = corrupted(name, scenes)
    track = found.future.tracks
    now_m = scenes[0].tracks.position_m[:, :, -1:]
    step_mps = torch.cat([now_m, track.position_m], dim=2).diff(dim=2) / DT_S
    velocity = of_changed(track.velocity_mps, found.changed)
    valid = of_changed(track.valid, found.changed)
    assert_close(velocity[valid], of_changed(step_mps, found.changed)[valid])
    assert (velocity[~valid] == 0).all()


def test_three_times_as_far_and_as_far_back(scenes):
    for name, times in (("3x speed", 3.0), ("wrong way", -1.0)):
        found = corrupted(name, scenes)
        now_m = of_changed(scenes[0].tracks.position_m[:, :, -1:], found.changed)
        valid = of_changed(found.future.tracks.valid, found.changed)
        went_m = of_changed(scenes[1].tracks.position_m, found.changed) - now_m
        goes_m = of_changed(found.future.tracks.position_m, found.changed) - now_m
        assert_close(goes_m[valid], times * went_m[valid], atol=1e-4, rtol=0)
        assert (went_m[:, 0].norm(dim=-1) > DT_S).all()  # it moves at 1 m/s or more


def test_wrong_way_drives_forward_again(scenes):
    """Turned round: the heading points where the agent goes."""
    found = corrupted("wrong way", scenes)
    yaw_rad = of_changed(found.future.tracks.yaw_rad, found.changed)[:, 0]
    velocity = of_changed(found.future.tracks.velocity_mps, found.changed)[:, 0]
    assert ((yaw_rad.cos() * velocity[:, 0] + yaw_rad.sin() * velocity[:, 1]) > 0.9 * velocity.norm(dim=-1)).all()


def test_teleports_by_five_metres(scenes):
    found = corrupted("teleports", scenes)
    jump_m = of_changed(found.future.tracks.position_m - scenes[1].tracks.position_m, found.changed)
    valid = of_changed(found.future.tracks.valid, found.changed)
    assert_close(jump_m[valid].norm(dim=-1), torch.full((int(valid.sum()),), TELEPORT_M), atol=1e-4, rtol=0)


def test_swapped_tracks_are_each_others(scenes):
    found = corrupted("swapped tracks", scenes)
    for scene in range(3):
        one = int(found.changed[scene])
        before, after = scenes[1].tracks.position_m[scene], found.future.tracks.position_m[scene]
        (other,) = ((before == after[one]).all(-1).all(-1)).nonzero()[0].tolist()
        assert torch.equal(after[other], before[one])
        assert scenes[0].tracks.kind[scene, one] == scenes[0].tracks.kind[scene, other]


def test_without_anyone_nothing_changes(scenes):
    scene, future = scenes
    alone = replace(scene, tracks=replace(scene.tracks, valid=torch.zeros_like(scene.tracks.valid)))
    for name in CORRUPTIONS:
        found = corrupted(name, (alone, future))
        assert found.changed.tolist() == [-1] * 3
        assert all(torch.equal(a, b) for a, b in zip(tensors(found.future).values(), tensors(future).values(), strict=True))
