"""A straight road along x, built by hand, and its mirror image."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from drive_wm.scene import RASTER_LAYERS, RASTER_SIZE, Elements, Lanes, Scene, SceneConfig, Tracks

LANE_WIDTH_M = 3.5
CAR_M = (4.6, 1.9)
Car = tuple[float, float, float]  # x m, y m of the box centre, speed along x


def straight_road(
    speed_mps: float = 8.0, cars: tuple[Car, ...] = (), left_lane: bool = False, config: SceneConfig | None = None
) -> Scene:
    """The ego at the origin on a lane along x that starts 20 m behind it; optionally a lane to its left."""
    config = config or SceneConfig()
    yes = torch.ones(1, dtype=torch.bool)
    none = torch.zeros(1, dtype=torch.long)
    y_m = (torch.arange(RASTER_SIZE) + 0.5) * 0.5 - 50
    left_edge_m = LANE_WIDTH_M / 2 + LANE_WIDTH_M * left_lane
    edge_m = torch.minimum(y_m + LANE_WIDTH_M / 2, left_edge_m - y_m).clamp(-10, 10)
    scene = Scene(
        tracks=_tracks(speed_mps, cars, config),
        lanes=_lanes(left_lane, config),
        elements=Elements(
            torch.zeros(1, config.elements, config.element_points, 2),
            torch.zeros(1, config.elements, dtype=torch.long),
            torch.zeros(1, config.elements, dtype=torch.bool),
        ),
        raster=torch.zeros(1, len(RASTER_LAYERS), RASTER_SIZE, RASTER_SIZE),
        edge_m=edge_m[None, :, None].repeat(1, 1, RASTER_SIZE),
        ego_centre_m=torch.tensor([1.4]),
        route_m=torch.zeros(1, config.route_points, 2),
        has_route=~yes,
        command=none,
        command_origin=none,
        has_ego=yes,
        has_all_traffic=yes,
        has_lanes=yes,
        has_raster=yes,
    )
    scene.check()
    return scene


def _tracks(speed_mps: float, cars: tuple[Car, ...], config: SceneConfig) -> Tracks:
    a, h = config.agents, config.history
    states = torch.zeros(a, 3)
    everyone = [(1.4, 0.0, speed_mps), *cars]
    states[: len(everyone)] = torch.tensor(everyone)
    past_s = 0.5 * (torch.arange(h) - h + 1)
    x_m = states[:, 0, None] + states[:, 2, None] * past_s
    seen = torch.arange(a) < len(everyone)
    position_m = torch.stack([x_m, states[:, 1, None].expand(a, h)], dim=-1)
    velocity = torch.stack([states[:, 2], torch.zeros(a)], dim=-1)[:, None].expand(a, h, 2).clone()
    return Tracks(
        position_m=torch.where(seen[:, None, None], position_m, 0.0)[None],
        yaw_rad=torch.zeros(1, a, h),
        velocity_mps=velocity[None],
        size_m=torch.where(seen[:, None], torch.tensor(CAR_M), 0.0)[None],
        kind=torch.zeros(1, a, dtype=torch.long),
        valid=seen[None, :, None].repeat(1, 1, h),
    )


def _lanes(left_lane: bool, config: SceneConfig) -> Lanes:
    """Six pieces of 18 m per lane; the left lane's follow the right lane's."""
    count, points = config.lanes, config.lane_points
    position_m = torch.zeros(count, points, 2)
    successor = torch.full((count, 3), -1)
    left, right = torch.full((count,), -1), torch.full((count,), -1)
    for row in range(2 if left_lane else 1):
        for k in range(6):
            piece = 6 * row + k
            position_m[piece, :, 0] = torch.linspace(-20 + 18 * k, -2 + 18 * k, points)
            position_m[piece, :, 1] = LANE_WIDTH_M * row
            if k < 5:
                successor[piece, 0] = piece + 1
            if left_lane:
                (right if row else left)[piece] = piece - 6 if row else piece + 6
    valid = torch.arange(count) < (12 if left_lane else 6)
    return Lanes(
        position_m=position_m[None],
        yaw_rad=torch.zeros(1, count, points),
        successor=successor[None],
        left=left[None],
        right=right[None],
        in_junction=torch.zeros(1, count, dtype=torch.bool),
        valid=valid[None],
    )


def mirror(scene: Scene) -> Scene:
    """The same scene seen in a mirror along x: y becomes -y, left becomes right."""
    flip = torch.tensor([1.0, -1.0])
    t, m = scene.tracks, scene.lanes
    sign = torch.tensor([-1.0 if name == "lane_sin" else 1.0 for name in RASTER_LAYERS])
    return replace(
        scene,
        tracks=replace(t, position_m=t.position_m * flip, yaw_rad=-t.yaw_rad, velocity_mps=t.velocity_mps * flip),
        lanes=replace(
            m,
            position_m=m.position_m * flip,
            yaw_rad=-m.yaw_rad,
            successor=_rightmost_first(m.successor),
            left=m.right,
            right=m.left,
        ),
        elements=replace(scene.elements, position_m=scene.elements.position_m * flip),
        raster=scene.raster.flip(2) * sign[:, None, None],
        edge_m=scene.edge_m.flip(1),
        route_m=scene.route_m * flip,
        command=2 - scene.command,
    )


def _rightmost_first(successor: Tensor) -> Tensor:
    """Reverse the links that exist; -1 stays last."""
    turned = successor.flip(-1)
    return torch.gather(turned, -1, (turned < 0).long().argsort(dim=-1, stable=True))


@pytest.fixture
def road() -> Callable[..., Scene]:
    return straight_road


@pytest.fixture
def mirrored() -> Callable[[Scene], Scene]:
    return mirror
