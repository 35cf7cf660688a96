"""Courses: the mode drawn, unless it leaves the road or runs into somebody; then another path, or a brake."""

from dataclasses import replace

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm.boxes import Boxes, separation_m
from drive_wm.config import TINY
from drive_wm.courses import PACES, choose_courses, possible_courses
from drive_wm.kinematics import DT_S, MAX_BRAKE_MPS2
from drive_wm.log import PEDESTRIAN, VEHICLE
from drive_wm.metrics.drivable import sample_raster
from drive_wm.model.world_model import WorldModel

STEPS, SPEED_MPS, SIZE_M = 8, 8.0, (4.0, 2.0)
CAR, WALKER = (0.0, 0.0, VEHICLE), (0.0, 0.0, PEDESTRIAN)

# name: (agents x, y, kind; the first drives at 8 m/s, others stand), road ends at x, lateral way of each mode per step,
# where the first ends if mode 0 is drawn. 32 m as imagined; 3 + 7 * 2 m at half the speed, braked down to by 4 m/s²;
# braked to a stop by 4 m/s² 3 + 2 + 1 m, by 8 m/s² 2 m.
CASES = {
    "road ahead": ([CAR], 99.0, (0.0,), (32.0, 0.0)),
    "likelier mode not drawn": ([CAR], 99.0, (0.0, 1.0), (32.0, 0.0)),
    "road ends far ahead": ([CAR], 20.0, (0.0,), (17.0, 0.0)),
    "road ends": ([CAR], 12.0, (0.0,), (6.0, 0.0)),
    "road ends soon": ([CAR], 4.0, (0.0,), (2.0, 0.0)),
    "walks off the road": ([WALKER], 20.0, (0.0,), (32.0, 0.0)),
    "off the road already": ([CAR], -1.0, (0.0,), (2.0, 0.0)),
    "car far ahead": ([CAR, (24.0, 0.0, VEHICLE)], 99.0, (0.0,), (17.0, 0.0)),
    "car in the way": ([CAR, (20.0, 0.0, VEHICLE)], 99.0, (0.0,), (6.0, 0.0)),
    "another mode passes it": ([CAR, (20.0, 0.0, VEHICLE)], 99.0, (0.0, 1.0), (32.0, 8.0)),
    "car close ahead": ([CAR, (8.0, 0.0, VEHICLE)], 99.0, (0.0,), (2.0, 0.0)),
    "car behind": ([CAR, (-20.0, 0.0, VEHICLE)], 99.0, (0.0,), (32.0, 0.0)),
    "car beside": ([CAR, (20.0, 2.5, VEHICLE)], 99.0, (0.0,), (32.0, 0.0)),
    "overlap already": ([CAR, (3.0, 0.0, VEHICLE)], 99.0, (0.0,), (32.0, 0.0)),
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(TINY.model).eval()


def staged(model, scene, agents, velocity_mps, edge_m):
    """A scene with these agents (x, y, kind) now, and rollouts in which they keep a velocity per mode (M, A, 2)."""
    count = len(agents)
    tracks = scene.tracks.map(lambda x: x[:, :count].clone())
    tracks.position_m[0, :, -1] = tensor([agent[:2] for agent in agents])
    tracks.velocity_mps[0, :, -1] = velocity_mps[0]
    tracks.yaw_rad[0, :, -1] = torch.atan2(velocity_mps[0, :, 1], velocity_mps[0, :, 0])
    kind, valid = tensor([[agent[2] for agent in agents]]), torch.ones_like(tracks.valid)
    tracks = replace(tracks, size_m=tensor(SIZE_M).expand(1, count, 2), kind=kind, valid=valid)
    scene = replace(scene, tracks=tracks, edge_m=edge_m[None])
    with torch.inference_mode():
        rollouts = model.imagine(scene, steps=STEPS)
    way_m = velocity_mps[:, :, None] * DT_S * torch.arange(1, STEPS + 1)[:, None]
    position_m = tracks.position_m[:, None, None, :, -1:] + way_m
    yaw_rad = torch.atan2(velocity_mps[..., 1], velocity_mps[..., 0])[None, None, ..., None].expand(*position_m.shape[:-1])
    likely = torch.arange(len(velocity_mps), dtype=torch.float32)[None]
    return scene, replace(rollouts, position_m=position_m, yaw_rad=yaw_rad, mode_logits=likely)


def road_until(x_m: float) -> torch.Tensor:
    return x_m - torch.linspace(-29.75, 69.75, 200).expand(200, 200)


@pytest.mark.parametrize(("agents", "road_m", "left_m", "expected_m"), CASES.values(), ids=CASES)
def test_first_agent_ends(model, crossroads_scene, agents, road_m, left_m, expected_m):
    velocity_mps = torch.zeros(len(left_m), len(agents), 2)
    velocity_mps[:, 0, 0] = SPEED_MPS
    velocity_mps[:, 0, 1] = tensor(left_m) / DT_S
    scene, rollouts = staged(model, crossroads_scene, agents, velocity_mps, road_until(road_m))
    courses = choose_courses(scene, rollouts, tensor([0]))
    assert_close(courses.position_m[0, 0, -1], tensor(expected_m), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("speed_mps", "left_m"), [(1.0, 4.0), (0.4, 0.0)], ids=["drives", "stands"])
def test_who_drives_beside_the_road_comes_back(model, crossroads_scene, speed_mps, left_m):
    """The road begins 1 m to the left; one mode gets there, the other, which is drawn, goes straight on."""
    velocity_mps = tensor([[[speed_mps, 0.0]], [[speed_mps, 1.0]]])
    scene, rollouts = staged(model, crossroads_scene, [CAR], velocity_mps, -road_until(21.0).T)
    courses = choose_courses(scene, rollouts, tensor([0]))
    assert_close(courses.position_m[0, 0, -1, 1], tensor(left_m), atol=1e-3, rtol=0)


def test_without_a_raster_nobody_brakes_for_the_end_of_the_road(model, crossroads_scene):
    scene, rollouts = staged(model, crossroads_scene, [CAR], tensor([[[SPEED_MPS, 0.0]]]), road_until(20.0))
    bare = replace(scene, has_raster=tensor([False]))
    assert_close(choose_courses(bare, rollouts, tensor([0])).position_m, rollouts.position_m[:, 0, 0])


def test_of_two_whose_ways_cross_one_goes_on(model, crossroads_scene):
    """Both would be at (16, 0) after 2 s; at half its speed the first is at 9 m when the other passes."""
    agents, velocity_mps = [CAR, (16.0, -16.0, VEHICLE)], tensor([[[SPEED_MPS, 0.0], [0.0, SPEED_MPS]]])
    scene, rollouts = staged(model, crossroads_scene, agents, velocity_mps, road_until(99.0))
    courses = choose_courses(scene, rollouts, tensor([0]))
    moved_m = (courses.position_m[0, :, -1] - scene.tracks.position_m[0, :, -1]).norm(dim=-1)
    assert_close(moved_m.sort().values, tensor([17.0, 32.0]), atol=1e-3, rtol=0)
    first, second = (Boxes(courses.position_m[0, i], courses.yaw_rad[0, i], tensor(SIZE_M)) for i in range(2))
    assert (separation_m(first, second) > 0).all()


def test_braking_stays_on_the_path_and_within_its_limits(model, crossroads_scene):
    with torch.inference_mode():
        rollouts = model.imagine(crossroads_scene, steps=STEPS)
    tracks, modes = crossroads_scene.tracks, rollouts.mode_logits.shape[1]
    now_m = tracks.position_m[:, None, :, -1:]
    courses = possible_courses(crossroads_scene, rollouts)
    assert_close(courses.position_m[:, :modes], rollouts.position_m[:, 0])
    speed_mps = torch.cat([now_m.expand(-1, courses.yaw_rad.shape[1], -1, -1, -1), courses.position_m], 3).diff(dim=3)
    speed_mps = (speed_mps.norm(dim=-1) / DT_S).unflatten(1, (len(PACES), modes))
    start_mps = tracks.velocity_mps[:, None, None, :, -1].norm(dim=-1, keepdim=True).expand(*speed_mps.shape[:-1], 1)
    slowing_mps2 = -torch.cat([start_mps, speed_mps], -1).diff(dim=-1) / DT_S
    hardest_mps2 = slowing_mps2[:, 0].amax(-1).clamp(min=MAX_BRAKE_MPS2)
    assert (slowing_mps2[:, 1:].amax(-1) <= hardest_mps2[:, None] + 0.1).all()
    assert (speed_mps[:, 1:].sum(-1) <= speed_mps[:, :1].sum(-1) + 1e-3).all()
    last_m = courses.position_m.unflatten(1, (len(PACES), modes))[..., -1:, :]
    path_m = torch.cat([now_m.expand(-1, modes, -1, -1, -1), rollouts.position_m[:, 0]], 3)[:, None]
    start_m, way_m = path_m[..., :-1, :], path_m.diff(dim=-2)
    share = ((last_m - start_m) * way_m).sum(-1) / way_m.square().sum(-1).clamp(min=1e-9)
    away_m = (start_m + share.clamp(0, 1)[..., None] * way_m - last_m).norm(dim=-1).amin(-1)
    assert away_m.max() < 1e-3


def test_who_can_stay_on_the_road_does(model, crossroads_scene):
    """A vehicle at a speed from which it can stop never gets off the road, whatever is imagined."""
    for speed_mps in (2.0, 5.0, 8.0, 11.0):
        velocity_mps = tensor([[[speed_mps, 0.0]], [[speed_mps, 1.0]]])
        scene, rollouts = staged(model, crossroads_scene, [CAR], velocity_mps, road_until(10.0))
        courses = choose_courses(scene, rollouts, tensor([1]))
        edge_m, _ = sample_raster(scene.edge_m[:, None], courses.position_m[:, 0])
        assert edge_m.min() >= 0
