"""Lane-keeping vehicles beside the ego of each branch, on the crossroads."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from drive_wm.benchmarks.branch_idm import idm_futures
from drive_wm.log import Log
from drive_wm.scene import SceneConfig
from drive_wm.scene_at import SceneBuilder

STEP, SIZES = 4, SceneConfig(agents=8, lanes=4, elements=4)


@pytest.fixture(scope="module")
def logs(crossroads_log) -> list[Log]:
    """The leader of the drive is put 15 m behind the ego, on its lane and at its speed; the ego goes on, or
    brakes at 4 m/s² from 8 m/s, which takes it 8 m."""
    behind = crossroads_log.ego_pose.copy()
    behind[:, :2] -= 15.0 * np.stack([np.cos(behind[:, 2]), np.sin(behind[:, 2])], -1)
    position_m, yaw_rad = crossroads_log.position_m.copy(), crossroads_log.yaw_rad.copy()
    position_m[0], yaw_rad[0] = behind[:, :2], behind[:, 2]
    keep = replace(crossroads_log, position_m=position_m, yaw_rad=yaw_rad)
    stops, braked_s = keep.ego_pose.copy(), 0.5 * np.arange(1, len(keep.keyframes) - STEP).clip(max=4)
    x_m, y_m, heading_rad = stops[STEP]
    driven_m = 8.0 * braked_s - 2.0 * braked_s**2
    stops[STEP + 1 :] = np.stack(
        [x_m + driven_m * np.cos(heading_rad), y_m + driven_m * np.sin(heading_rad), np.full_like(driven_m, heading_rad)], -1
    )
    return [keep, replace(keep, ego_pose=stops)]


@pytest.fixture(scope="module")
def futures_m(logs):
    return idm_futures(logs, STEP, SIZES)


def place(logs: list[Log], name: str) -> int:
    """Where an agent stands in the scene."""
    return SceneBuilder(logs[0], SIZES).shown(STEP).tolist().index(1 + logs[0].agents.index(name))


def test_the_follower_answers_to_the_ego(logs, futures_m):
    follower = place(logs, "leader")
    assert futures_m[0, follower, -1, 0] > 20.0
    bumper_m = 8.0 + logs[0].ego_centre_m - logs[0].ego_size_m[0] / 2  # the ego's, behind; its car brakes a metre late
    assert futures_m[1, follower, -1, 0] + 4.5 / 2 == pytest.approx(bumper_m, abs=1.5)


def test_walkers_keep_their_velocity(logs, futures_m):
    walker = place(logs, "walker")
    tracks = SceneBuilder(logs[0], SIZES).at(STEP)[0].tracks
    at_m = tracks.position_m[0, walker, -1] + 3.0 * tracks.velocity_mps[0, walker, -1]
    torch.testing.assert_close(futures_m[:, walker, 5], at_m.expand(2, 2), atol=1e-3, rtol=0)


def test_nothing_of_the_others_is_read_after_the_step(logs, futures_m):
    """Whatever the others did later in the log changes nothing, only what the ego did."""
    changed = []
    for log in logs:
        position_m = log.position_m.copy()
        position_m[:, STEP + 1 :] += 3.0
        changed.append(replace(log, position_m=position_m))
    assert torch.equal(idm_futures(changed, STEP, SIZES), futures_m)


def test_places_that_hold_nobody_are_empty(logs, futures_m):
    there = SceneBuilder(logs[0], SIZES).at(STEP)[0].tracks.valid[0, :, -1]
    assert (futures_m[:, ~there] == 0).all()
    assert (futures_m[:, 0] == 0).all()
