"""Reactive traffic on the crossroads: paths along the lane graph, and manners towards the ego."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from drive_wm.benchmarks.closed_loop import LEAD, Starts, simulate
from drive_wm.benchmarks.closed_loop_idm import LanePaths
from drive_wm.benchmarks.closed_loop_log import Human
from drive_wm.benchmarks.closed_loop_run import traffic_named
from drive_wm.rollouts import Trajectory
from drive_wm.scene import SceneConfig
from drive_wm.scene_at import SceneBuilder

PLACE = np.array([612.3, 1834.7, 0.3])  # where the crossroads lies in the global frame, and how it is turned


def at(x_m, y_m):
    cos, sin = np.cos(PLACE[2]), np.sin(PLACE[2])
    return np.array([cos * x_m - sin * y_m, sin * x_m + cos * y_m]) + PLACE[:2]


def inverse_at(xy_m):
    cos, sin = np.cos(PLACE[2]), np.sin(PLACE[2])
    return (xy_m - PLACE[:2]) @ np.array([[cos, -sin], [sin, cos]])


ON_LANES = {  # name: (x, y, heading, on a lane); lanes lie 1.75 and 5.25 m beside the middle
    "inner lane eastwards": (-60.0, -1.75, 0.0, True),
    "a metre beside it": (-60.0, -2.75, 0.0, True),
    "against it": (-60.0, -1.75, np.pi, False),
    "across it": (-60.0, -1.75, np.pi / 2, False),
    "off the road": (-60.0, -9.0, 0.0, False),
}


@pytest.mark.parametrize(("x", "y", "yaw", "found"), ON_LANES.values(), ids=ON_LANES)
def test_whose_lane(crossroads_log, x, y, yaw, found):
    path = LanePaths(crossroads_log.map).from_pose(at(x, y), yaw + PLACE[2])
    assert (path is not None) == found


def test_paths_go_straightest_on_through_the_junction(crossroads_log):
    path = LanePaths(crossroads_log.map).from_pose(at(-30.0, -1.75), PLACE[2])
    ahead = np.array(path.interpolate(70.0).coords[0])
    assert inverse_at(ahead)[1] == pytest.approx(-1.75, abs=0.05)
    assert path.length > 150


def simulated(log, ego_mps, steps=(8,), ticks=8):
    """The ego drives straight on at one speed among reactive traffic."""

    def plan(scene):
        pose = torch.zeros(len(scene.has_ego), 12, 3)
        pose[..., 0] = ego_mps * 0.5 * torch.arange(1, 13)
        return Trajectory(pose, torch.full(pose.shape[:2], ego_mps))

    starts = Starts(SceneBuilder(log, SceneConfig(agents=8, lanes=4, elements=4)), Human(log), steps, ticks)
    return simulate(starts, plan, lambda recorded: traffic_named("idm", log, None, recorded)), starts


def test_moving_vehicles_are_driven_and_the_rest_is_recorded(crossroads_log):
    _, starts = simulated(crossroads_log, 5.0, ticks=1)
    driven = traffic_named("idm", crossroads_log, None, starts.recorded()).driven[0]
    names = np.array(crossroads_log.agents)
    assert {*names[driven.numpy()]} <= {"leader", "crossing", "oncoming"}
    assert driven.sum() >= 2
    assert starts.recorded().valid[0, driven, LEAD].all()


def test_a_follower_stops_behind_the_ego_that_stands(crossroads_log):
    """The leader of the drive is put 15 m behind the ego, on its lane and at its speed; the ego brakes to a stop."""
    log, step = crossroads_log, 4
    behind = log.ego_pose.copy()
    behind[:, :2] -= 15.0 * np.stack([np.cos(behind[:, 2]), np.sin(behind[:, 2])], -1)
    position_m, yaw_rad = log.position_m.copy(), log.yaw_rad.copy()
    position_m[0], yaw_rad[0] = behind[:, :2], behind[:, 2]
    found, _ = simulated(replace(log, position_m=position_m, yaw_rad=yaw_rad), 0.0, steps=(step,), ticks=12)
    gap_m = (found.crowd.position_m[0, 0, :61] - found.driven.boxes().centre_m[0]).norm(dim=-1)
    assert found.driven.speed_mps[0, -1] < 0.1
    assert found.crowd.speed_mps[0, 0, 60] < 1.5
    assert gap_m.min() > 4.084 / 2 + 4.5 / 2


def test_alone_it_keeps_its_speed_and_comes_to_its_lanes_centre(crossroads_log):
    found, _ = simulated(crossroads_log, 5.0, steps=(2,), ticks=8)
    oncoming = crossroads_log.agents.index("oncoming")
    assert found.crowd.speed_mps[0, oncoming, 1:20].min() > 9.0
    end = inverse_at(found.crowd.position_m[0, oncoming, 45].numpy())
    assert abs(end[1]) == pytest.approx(5.25, abs=0.1)
