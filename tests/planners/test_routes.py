"""Routes of hand-built roads."""

from dataclasses import replace

import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm.planners.routes import SPACING_M, routes, yaw_rate_per_m


def fork(road):
    """The lane piece under the ego goes on to the left, straight and to the right, 16 m ahead."""
    scene = road()
    lanes = scene.lanes
    along_m = torch.linspace(0, 20, lanes.position_m.shape[2])
    position_m, yaw_rad, successor = lanes.position_m.clone(), lanes.yaw_rad.clone(), lanes.successor.clone()
    valid = lanes.valid.clone()
    for piece, side in ((20, 1.0), (21, -1.0)):
        angle = along_m / 20
        position_m[0, piece] = torch.stack([16 + 20 * angle.sin(), side * 20 * (1 - angle.cos())], dim=-1)
        yaw_rad[0, piece] = side * angle
        valid[0, piece] = True
    successor[0, 1] = tensor([20, 2, 21])
    return replace(scene, lanes=replace(lanes, position_m=position_m, yaw_rad=yaw_rad, successor=successor, valid=valid))


def test_one_lane_is_one_route(road):
    found = routes(road())
    assert found.valid.tolist() == [[False, True, False, False, False, False, False, False]]
    assert_close(found.position_m[0, 1, :, 0], torch.arange(60) * SPACING_M)
    assert_close(found.position_m[0, 1, :, 1], torch.zeros(60))


def test_the_left_lane_is_a_route(road):
    found = routes(road(left_lane=True))
    assert found.valid[0].nonzero()[:, 0].tolist() == [1, 4]
    assert_close(found.position_m[0, 4, 0], tensor([0.0, 3.5]), atol=1e-4, rtol=0)


def test_a_fork_has_three_routes(road):
    found = routes(fork(road))
    straight, left, right = found.position_m[0, 1:4, 24, 1].tolist()  # 36 m ahead
    assert found.valid[0, 1:4].all()
    assert abs(straight) < 1e-3
    assert left > 5 > -5 > right


def test_the_mirrored_fork_has_the_mirrored_routes(road, mirrored):
    scene = fork(road)
    here, there = routes(scene), routes(mirrored(scene))
    assert_close(there.position_m[:, [1, 3, 2]] * tensor([1.0, -1.0]), here.position_m[:, 1:4], atol=1e-4, rtol=0)


def test_the_scene_route_comes_first(road):
    scene = road()
    x_m = torch.arange(40) * 2.0
    route_m = torch.stack([x_m, 0.02 * x_m**2], dim=-1)[None]
    found = routes(replace(scene, route_m=route_m, has_route=tensor([True])))
    assert found.valid[0, :2].all()
    assert found.position_m[0, 0, 20, 1] > 5


def test_without_lanes_arcs_take_over(road):
    scene = road()
    found = routes(replace(scene, lanes=scene.lanes.map(torch.zeros_like), has_lanes=tensor([False])))
    assert found.valid[0].tolist() == [False] + [True] * 7
    end_m = found.position_m[0, 1:, -1]
    assert_close(end_m[0], tensor([88.5, 0.0]))
    assert_close(end_m[1::2], end_m[2::2] * tensor([1.0, -1.0]))


def test_more_padding_changes_nothing(road):
    scene = road(left_lane=True)
    lanes = scene.lanes.map(lambda x: torch.cat([x, torch.zeros_like(x)], dim=1))
    first, second = routes(scene), routes(replace(scene, lanes=lanes))
    assert_close(second.position_m[:, 1], first.position_m[:, 1])
    assert torch.equal(first.valid, second.valid)


def test_curvature_now(road):
    scene = road(speed_mps=8.0)
    yaw_rad = scene.tracks.yaw_rad.clone()
    yaw_rad[0, 0, -2] = -0.2  # turned left by 0.2 rad over the last 4 m
    turning = replace(scene, tracks=replace(scene.tracks, yaw_rad=yaw_rad))
    assert_close(yaw_rate_per_m(turning), tensor([0.05]))
    assert_close(yaw_rate_per_m(road(speed_mps=0.0)), tensor([0.0]))
