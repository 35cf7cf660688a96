"""Scores of whole scenes: which plans are punished, and which terms drop out."""

from dataclasses import fields, replace

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm.planners.constant_velocity import constant_velocity_rollouts
from drive_wm.planners.lattice import candidates
from drive_wm.planners.score import Scores, Weights, score, total
from drive_wm.rollouts import Trajectory
from drive_wm.structs import cat
from drive_wm.told import without_ego_status

HOLD, BRAKE = 61, 63  # places in the lattice


def scored(scene):
    plans = candidates(scene)
    return score(scene, plans, constant_velocity_rollouts(scene, plans))


def test_a_parked_car_ahead_makes_holding_speed_a_collision(road):
    # The car's rear is 7.7 m from the axle and the ego's front 3.7 m: 4 m at 5 m/s; braking fully takes 1.25 m.
    scores = scored(road(speed_mps=5.0, cars=((10.0, 0.0, 0.0),)))
    assert scores.collision[0, HOLD] > 0.9
    assert scores.collision[0, BRAKE] == 0.0
    assert scores.time_to_collision[0, HOLD] == 1.0


def test_an_empty_road_has_no_collision(road):
    scores = scored(road())
    assert_close(scores.collision, torch.zeros(1, 64))
    assert_close(scores.time_to_collision, torch.zeros(1, 64))


def test_leaving_the_road_costs(road):
    scores = scored(road(speed_mps=8.0))
    outermost = 12 + 4 * 7  # the fifth other path: 2.4 m to the left of a lane 3.5 m wide, speed held
    assert scores.offroad_m[0, HOLD] == 0.0
    assert scores.offroad_m[0, outermost] > 0.3


DROPPED = {  # name: (scene fields, flag, term)
    "no lanes": ("has_lanes", "has_lanes", "lane_offset_m"),
    "no raster": ("has_raster", "has_area", "offroad_m"),
}


@pytest.mark.parametrize(("field", "flag", "term"), DROPPED.values(), ids=DROPPED)
def test_map_terms_drop_out(road, field, flag, term):
    scene = road(left_lane=True)
    known, unknown = scored(scene), scored(replace(scene, **{field: tensor([False])}))
    assert getattr(known, flag).all()
    assert getattr(known, term).amax() > 0
    assert not getattr(unknown, flag).any()
    assert_close(getattr(unknown, term), torch.zeros(1, 64))


def test_a_scene_without_any_map_has_finite_scores(road):
    scene = road(cars=((20.0, 0.0, 0.0),))
    off = tensor([False])
    blind = replace(
        scene,
        lanes=scene.lanes.map(torch.zeros_like),
        raster=torch.zeros_like(scene.raster),
        edge_m=torch.zeros_like(scene.edge_m),
        has_lanes=off,
        has_raster=off,
    )
    scores = scored(blind)
    assert total(scores, Weights()).isfinite().all()
    assert not scores.has_lane_direction.any()
    assert scores.progress_m[0, HOLD] > 40


def test_a_route_defines_progress(road):
    scene = road(speed_mps=8.0, left_lane=True)
    route_m = torch.stack([torch.arange(40) * 2.0, torch.full((40,), 3.5)], dim=-1)[None]
    scores = scored(replace(scene, route_m=route_m, has_route=tensor([True])))
    assert scores.has_route.all()
    assert scores.route_offset_m[0, 0] < scores.route_offset_m[0, HOLD]  # path 0 now changes lanes
    assert_close(scores.progress_m[0, HOLD], tensor(48.0), atol=0.1, rtol=0)


def test_a_command_counts_when_it_has_an_origin(road):
    scene = replace(road(left_lane=True), command=tensor([0]))
    assert_close(scored(scene).command_m, torch.zeros(1, 64))
    commanded = scored(replace(scene, command_origin=tensor([1])))
    assert_close(commanded.command_m[0, HOLD], tensor(2.0))


def test_a_forecast_of_the_human_counts(road):
    scene = road(speed_mps=8.0)
    plans = candidates(scene)
    human = Trajectory(plans.pose[:, HOLD], plans.speed_mps[:, HOLD])
    scores = score(scene, plans, constant_velocity_rollouts(scene, plans), human=human)
    assert scores.has_human.all()
    assert scores.human_m[0, HOLD] < 0.01 < 1.0 < scores.human_m[0, BRAKE]


def test_total_is_the_weighted_sum():
    zero = torch.zeros(1, 1)
    fields = dict.fromkeys(Scores.__dataclass_fields__, zero)
    scores = Scores(**fields | {"collision": zero + 0.5, "offroad_m": zero + 2.0})
    assert_close(total(scores, Weights(collision=10.0, offroad_m=3.0)), tensor([[-11.0]]))
    assert_close(total(Scores(**fields | {"progress_m": zero + 1e3}), Weights(progress_m=0.5, enough_m=8.0)), tensor([[4.0]]))


def test_padding_and_far_agents_change_nothing(road):
    scene = road(cars=((20.0, 0.0, 0.0),))
    wide = replace(scene, tracks=scene.tracks.map(lambda x: torch.cat([x, torch.zeros_like(x)], dim=1)))
    assert_close(total(scored(wide), Weights()), total(scored(scene), Weights()))


def test_scenes_of_a_batch_do_not_mix(road):
    scenes = [road(speed_mps=5.0, cars=((10.0, 0.0, 0.0),)), road(speed_mps=9.0, left_lane=True)]
    together = scored(cat(scenes))
    for row, scene in enumerate(scenes):
        assert_close(total(together, Weights())[row], total(scored(scene), Weights())[0], atol=1e-3, rtol=0)


def test_terms_have_weights():
    terms = {f.name for f in fields(Scores) if not f.name.startswith("has_")}
    assert terms == {f.name for f in fields(Weights)} - {"enough_m"}


def test_from_an_unknown_speed_any_speed_may_be_held(road):
    """At a drive's first keyframe the speed reads 0: a plan at a steady 8 m/s is as calm as standing still."""
    scene = without_ego_status(road(speed_mps=8.0), tensor([True]))
    steady = candidates(road(speed_mps=8.0)).map(lambda x: x[:, [HOLD]])
    scores = score(scene, steady, constant_velocity_rollouts(scene, steady))
    assert_close(scores.effort, torch.zeros(1, 1), atol=1e-6, rtol=0)
    assert_close(scores.discomfort, torch.zeros(1, 1))
