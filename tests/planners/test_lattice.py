"""The lattice: what it always holds, and the limits it keeps."""

from dataclasses import replace

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm import kinematics
from drive_wm.planners.lattice import LatticeConfig, candidates

SPEEDS = (0.0, 0.4, 3.0, 8.0, 15.0, 30.0)


def test_the_default_has_64_plans(road):
    plans = candidates(road())
    assert LatticeConfig().plans == 64
    assert plans.action.shape == (1, 64, 12, 2)


@pytest.mark.parametrize("speed_mps", SPEEDS)
def test_plans_are_what_their_actions_do(road, speed_mps):
    plans = candidates(road(speed_mps=speed_mps, left_lane=True))
    start = torch.zeros(1, 64, 3), torch.full((1, 64), speed_mps)
    pose, reached_mps = kinematics.roll(*start, plans.action)
    assert_close(pose, plans.pose)
    assert_close(reached_mps, plans.speed_mps)


@pytest.mark.parametrize("speed_mps", SPEEDS)
def test_actions_are_physical(road, speed_mps):
    plans = candidates(road(speed_mps=speed_mps, left_lane=True))
    before_mps = torch.cat([torch.full((1, 64, 1), speed_mps), plans.speed_mps[..., :-1]], dim=-1)
    assert_close(kinematics.limit_action(plans.action, before_mps), plans.action)
    assert plans.pose.isfinite().all()
    assert (plans.speed_mps >= 0).all()


@pytest.mark.parametrize("speed_mps", SPEEDS)
def test_brake_and_stop_are_always_there(road, speed_mps):
    plans = candidates(road(speed_mps=speed_mps))
    assert plans.valid[0, -3:].all()
    full_brake = (speed_mps - 4.0 * torch.arange(1, 13)).clamp(min=0)
    comfortable = (speed_mps - 1.0 * torch.arange(1, 13)).clamp(min=0)
    assert_close(plans.speed_mps[0, -1], full_brake)
    assert_close(plans.speed_mps[0, -2], comfortable)
    assert_close(plans.speed_mps[0, -3], torch.full((12,), speed_mps))


def test_without_a_map_there_are_plans(road):
    scene = road()
    blind = replace(scene, lanes=scene.lanes.map(torch.zeros_like), has_lanes=tensor([False]), has_raster=tensor([False]))
    plans = candidates(blind)
    assert plans.valid.all()
    assert plans.pose.isfinite().all()


def test_stops_end_where_they_should(road):
    config = LatticeConfig(first_shares=(), first_stops_m=(12.0, 25.0), shares=(), stops_m=())
    plans = candidates(road(speed_mps=6.0), config)
    assert_close(plans.pose[0, 0, -1, 0], tensor(12.0), atol=0.5, rtol=0)
    assert_close(plans.pose[0, 1, -1, 0], tensor(25.0), atol=0.5, rtol=0)
    assert (plans.pose[0, :2, -1, 0] <= tensor([12.0, 25.0]) + 1e-3).all()


def test_a_standing_ego_creeps_up_to_a_stop(road):
    plans = candidates(road(speed_mps=0.0), LatticeConfig(first_shares=(), first_stops_m=(5.0,), shares=(), stops_m=()))
    assert_close(plans.pose[0, 0, -1, 0], tensor(5.0), atol=0.5, rtol=0)


def test_lane_changes_settle_on_the_lane(road):
    plans = candidates(road(speed_mps=8.0, left_lane=True))
    end = plans.pose[0, 12, -1]  # the second path, speed held
    assert_close(end[1:], tensor([3.5, 0.0]), atol=0.05, rtol=0)


def test_the_mirrored_scene_has_the_mirrored_plans(crossroads_scene, mirrored):
    config = LatticeConfig(paths=7)  # three centres and two pairs of offsets; an eighth path would be half of a pair
    here, there = candidates(crossroads_scene, config), candidates(mirrored(crossroads_scene), config)
    flip = tensor([1.0, -1.0, -1.0])
    ends = (here.pose[0, here.valid[0], -1] * flip, there.pose[0, there.valid[0], -1])
    apart = torch.cdist(*ends, compute_mode="donot_use_mm_for_euclid_dist")  # products of matrices lose centimetres
    assert apart.amin(0).amax() < 1e-2
    assert apart.amin(1).amax() < 1e-2


def test_the_crossroads_offer_a_turn_and_the_way_straight_on(crossroads_scene):
    plans = candidates(crossroads_scene)
    yaw_rad = plans.pose[0, plans.valid[0], -1, 2]
    assert yaw_rad.amax() > 1.0
    assert yaw_rad.abs().amin() < 0.05


def test_proposals_take_the_places_before_the_last_three(road):
    scene = road()
    plans = candidates(scene)
    mixed = candidates(scene, proposals=plans.map(lambda x: x[:, :2]))
    assert mixed.valid.shape == (1, 64)
    assert_close(mixed.pose[:, :59], plans.pose[:, :59])
    assert_close(mixed.pose[:, 59:61], plans.pose[:, :2])
    assert_close(mixed.pose[:, 61:], plans.pose[:, 61:])


def test_more_agents_and_lanes_in_the_padding_change_nothing(road):
    scene = road(cars=((20.0, 0.0, 0.0),))
    wide = replace(
        scene,
        tracks=scene.tracks.map(lambda x: torch.cat([x, torch.zeros_like(x)], dim=1)),
        lanes=scene.lanes.map(lambda x: torch.cat([x, torch.zeros_like(x)], dim=1)),
    )
    assert_close(candidates(wide).pose, candidates(scene).pose)
