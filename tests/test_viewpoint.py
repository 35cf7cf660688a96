"""A drive seen from another vehicle: where everyone is does not change, who is agent 0 does."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from drive_wm.errors import InputError
from drive_wm.geometry import transform
from drive_wm.scene_at import SceneBuilder
from drive_wm.viewpoint import seen_from

LEADER, CROSSING, ONCOMING = 0, 1, 2


def test_agent_and_ego_change_places(crossroads_log):
    view = seen_from(crossroads_log, LEADER, range(4, 9))
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
    assert seen_from(crossroads_log, CROSSING, range(2, 5)).ego_centre_m == pytest.approx(8.0 * share)


def test_the_scene_lies_around_the_agent(crossroads_log):
    """Every box keeps its place in the world, and the agent's history comes in as agent 0's."""
    builder = SceneBuilder(crossroads_log)
    view = seen_from(crossroads_log, ONCOMING, range(4, 9))
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
    builder.with_log(seen_from(crossroads_log, LEADER, range(4, 9))).at(4)
    assert_close(builder.at(8)[0].tracks.position_m, before.tracks.position_m, atol=0, rtol=0)
    assert bool(before.has_ego)


BAD = {"not there yet": (ONCOMING, range(0, 4)), "gone": (CROSSING, range(17, 21)), "no keyframe": (LEADER, range(4, 4))}


@pytest.mark.parametrize(("agent", "steps"), BAD.values(), ids=BAD)
def test_refuses(crossroads_log, agent, steps):
    with pytest.raises(InputError, match="not there at every keyframe"):
        seen_from(crossroads_log, agent, steps)
