"""A drive seen from another vehicle: where everyone is does not change, who is agent 0 does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from drive_wm.errors import InputError
from drive_wm.geometry import transform
from drive_wm.scene import SceneConfig
from drive_wm.scene_at import SceneBuilder
from drive_wm.structs import cat, tensors
from drive_wm.viewpoint import seen_from, target_view, views_of

LEADER, CROSSING, ONCOMING = 0, 1, 2


def test_agent_and_ego_change_places(crossroads_log):
    view = seen_from(crossroads_log, LEADER, range(4, 9), 8)
    view.check()
    assert view.keyframes == crossroads_log.keyframes[4:9]
    assert view.agents == (*crossroads_log.agents[1:], "ego")
    assert not view.has_ego
    heading = np.stack([np.cos(view.ego_pose[:, 2]), np.sin(view.ego_pose[:, 2])], -1)
    np.testing.assert_allclose(view.ego_pose[:, :2] + view.ego_centre_m * heading, crossroads_log.position_m[LEADER, 4:9])
    ego = crossroads_log.ego_pose[4:9]
    ahead = np.stack([np.cos(ego[:, 2]), np.sin(ego[:, 2])], -1)
    np.testing.assert_allclose(view.position_m[-1], ego[:, :2] + crossroads_log.ego_centre_m * ahead)
    np.testing.assert_allclose(view.size_m[-1], np.broadcast_to(crossroads_log.ego_size_m, (5, 2)))
    np.testing.assert_array_equal(view.position_m[:-1], crossroads_log.position_m[1:, 4:9])


def test_the_reference_point_scales_with_length(crossroads_log):
    share = crossroads_log.ego_centre_m / crossroads_log.ego_size_m[0]
    assert seen_from(crossroads_log, CROSSING, range(2, 5), 4).ego_centre_m == pytest.approx(8.0 * share)


def test_the_scene_lies_around_the_agent(crossroads_log):
    """Every box keeps its place in the world, and the agent's history comes in as agent 0's."""
    builder = SceneBuilder(crossroads_log)
    view = seen_from(crossroads_log, ONCOMING, range(4, 9), 8)
    scene, future = builder.with_log(view).at(4)
    scene.check()
    assert not bool(scene.has_ego)
    assert not bool(future.tracks.valid.any())
    in_global = transform(torch.from_numpy(view.ego_pose[-1]), scene.tracks.position_m[0, 0].double())
    assert_close(in_global.numpy(), crossroads_log.position_m[ONCOMING, 4:9], atol=1e-4, rtol=0)
    original, _ = builder.at(8)
    assert int(scene.tracks.valid[..., -1].sum()) == int(original.tracks.valid[..., -1].sum())
    assert bool(scene.lanes.valid.any())


def test_the_builder_keeps_its_own_log(crossroads_log):
    builder = SceneBuilder(crossroads_log)
    before, _ = builder.at(8)
    builder.with_log(seen_from(crossroads_log, LEADER, range(4, 9), 8)).at(4)
    assert_close(builder.at(8)[0].tracks.position_m, before.tracks.position_m, atol=0, rtol=0)
    assert bool(before.has_ego)


def test_a_drive_without_ego(crossroads_log):
    """Nobody joins the others, and only a view of it has scenes."""
    alone = replace(crossroads_log, has_ego=False, ego_pose=np.zeros((24, 3)))
    view = seen_from(alone, LEADER, range(4, 9), 8)
    view.check()
    assert view.agents == crossroads_log.agents[1:]
    with pytest.raises(InputError, match="no ego"):
        SceneBuilder(alone).at(4)
    scene, _, _ = target_view(SceneBuilder(alone), LEADER, 8)
    original, _, _ = target_view(SceneBuilder(crossroads_log), LEADER, 8)
    assert int(scene.tracks.valid[..., -1].sum()) == int(original.tracks.valid[..., -1].sum()) - 1


def test_a_target_is_agent_0_with_its_own_past_and_future(crossroads_log):
    """The oncoming car is there from keyframe 2, the lorry until 18: three keyframes of past, three of future."""
    builder = SceneBuilder(crossroads_log)
    scene, future, pose = target_view(builder, ONCOMING, 4)
    scene.check()
    assert scene.tracks.valid[0, 0].tolist() == [False, False, True, True, True]
    heading = np.array([np.cos(pose[2]), np.sin(pose[2])])
    centre_m = pose[:2].numpy() + float(scene.ego_centre_m) * heading
    np.testing.assert_allclose(centre_m, crossroads_log.position_m[ONCOMING, 4], atol=1e-5)
    in_global = transform(pose, future.tracks.position_m[0, 0].double())
    assert_close(in_global.numpy(), crossroads_log.position_m[ONCOMING, 5:17], atol=1e-4, rtol=0)
    _, future, _ = target_view(builder, CROSSING, 15)
    assert future.ego_valid[0].tolist() == [True] * 3 + [False] * 9
    assert torch.equal(future.tracks.valid[0, 0], future.ego_valid[0])


@pytest.mark.parametrize("agent", [LEADER, CROSSING, ONCOMING])
def test_nothing_after_the_keyframe_goes_in(crossroads_log, agent):
    """Another future, sizes included, leaves every tensor of the Scene as it is; the Future is another."""
    later = np.arange(24) > 8
    other = replace(
        crossroads_log,
        position_m=np.where(later[:, None], 1e4, crossroads_log.position_m),
        size_m=np.where(later[:, None] & crossroads_log.valid[..., None], 33.0, crossroads_log.size_m),
        valid=crossroads_log.valid & ~(later & (np.arange(24) % 2 == 0)),
        ego_pose=np.where(later[:, None], -1e4, crossroads_log.ego_pose),
    )
    (scene, future, pose), (found, other_future, found_pose) = (
        target_view(SceneBuilder(log), agent, 8) for log in (crossroads_log, other)
    )
    for name, x in tensors(scene).items():
        assert torch.equal(tensors(found)[name], x), name
    assert torch.equal(pose, found_pose)
    assert not torch.equal(future.ego_pose, other_future.ego_pose)


def test_views_are_keyframes_then_targets(crossroads_log):
    log = replace(crossroads_log, targets=np.array([[LEADER, 3], [ONCOMING, 9]]))
    scenes = cat([scene for scene, _ in views_of(log, SceneConfig())])
    assert scenes.has_ego.tolist() == [True] * 24 + [False] * 2
    assert torch.equal(scenes[25:].tracks.position_m, target_view(SceneBuilder(log), ONCOMING, 9)[0].tracks.position_m)
    assert len(list(views_of(replace(log, has_ego=False), SceneConfig()))) == 2


BAD = {"not there yet": (ONCOMING, range(0, 4)), "gone": (CROSSING, range(17, 21)), "no keyframe": (LEADER, range(4, 4))}


@pytest.mark.parametrize(("agent", "steps"), BAD.values(), ids=BAD)
def test_refuses(crossroads_log, agent, steps):
    with pytest.raises(InputError, match="not there at every keyframe"):
        seen_from(crossroads_log, agent, steps, 4)
