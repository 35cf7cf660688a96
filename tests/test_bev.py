"""The bird's-eye raster by hand, beside an exact drawing of the same map, and how little a small motion changes it."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest
import shapely
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drive_wm.bev import Canvas, relative
from drive_wm.coverage import Grid, coverage
from drive_wm.edge_distance import edge_distance
from drive_wm.log import Log, LogMap, empty_map
from drive_wm.map_outlines import layers_of, outlines_of, road_border, seen_from
from drive_wm.scene import CELL_M, RASTER_LAYERS, RASTER_SIZE

HERE = np.zeros(3)
ROW_0, COLUMN_0 = 100, 60  # the cell whose lower left corner is the ego frame's origin
GRID = Grid(-COLUMN_0, -ROW_0, RASTER_SIZE, RASTER_SIZE, CELL_M)
STEP = 1 / 127  # of a direction's part as it is drawn; a share has twice as many


def seen(log_map: LogMap, pose: np.ndarray = HERE, known: np.ndarray = HERE) -> tuple[np.ndarray, np.ndarray]:
    """Raster (C, Y, X) and edge_m (Y, X) from a canvas around a known pose."""
    raster, edge_m = Canvas(log_map, np.atleast_2d(known)).crop(pose[None])
    return raster[0].numpy(), edge_m[0].numpy()


def drawn(log_map: LogMap, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same, exact: drawn in the frame of the pose on the cells themselves."""
    outlines = {name: seen_from(x, pose) for name, x in outlines_of(log_map).items()}
    layers = {}
    for name, (edges, weight) in outlines.items():
        layers |= layers_of(name, coverage(edges, weight, GRID))
    return np.stack([layers[name] for name in RASTER_LAYERS]), edge_distance(seen_from(road_border(log_map), pose)[0], GRID)


@settings(max_examples=12)
@given(st.integers(0, 23), st.floats(-8, 8), st.floats(-8, 8), st.floats(-pi, pi))
@example(4, 0.0, 0.0, 0.0)  # a border lies level on the middle of a row, but for rounding
def test_it_is_the_exact_drawing_but_for_a_soft_edge(crossroads_log: Log, step, x_m, y_m, yaw_rad):
    """On average to 0.005. A border's cell may be off by an eighth where a line interpolated over 0.25 m cuts a kink, 5 / 3 of
    that for a divider, whose share is scaled so, and by more where two borders meet; a distance by a quarter of a metre where
    two borders are equally near.
    """
    pose = crossroads_log.ego_pose[step] + [x_m, y_m, yaw_rad]
    raster, edge_m = seen(crossroads_log.map, pose, crossroads_log.ego_pose)
    exact, exact_edge_m = drawn(crossroads_log.map, pose)
    off = np.abs(raster - exact)
    assert off.mean(axis=(1, 2)).max() < 0.005
    eighth = np.array([5 / 3 if name.endswith("divider") else 1 for name in RASTER_LAYERS]) / 8
    assert (np.quantile(off, 0.999, axis=(1, 2)) < eighth + 1 / 255).all()  # values are bytes
    assert off.max() < 0.4
    assert np.abs(edge_m - exact_edge_m).mean() < 0.01
    assert np.abs(edge_m - exact_edge_m).max() < CELL_M / 2 + 0.01


def test_real_maps_are_drawn_as_exactly(outside_data):
    from drive_wm.datasets.nuscenes import read_logs

    for log in read_logs(outside_data("data/nuscenes-mini-train"), "v1.0-mini", "mini_train"):
        canvas = Canvas(log.map, log.ego_pose)
        for pose in log.ego_pose[::20]:
            (raster, edge_m), (exact, exact_edge_m) = canvas.crop(pose[None]), drawn(log.map, pose)
            assert np.abs(raster[0].numpy() - exact).mean(axis=(1, 2)).max() < 0.005
            assert np.abs(edge_m[0].numpy() - exact_edge_m).mean() < 0.01


@pytest.mark.parametrize(
    "pose", [(3.0, 1.0, 0.3), (90.0, -30.0, 2.0), (900.0, 20.0, -1.0)], ids=["near", "outside", "far away"]
)
def test_what_is_known_beforehand_does_not_matter(crossroads_log: Log, pose):
    """A pose beyond what was drawn is drawn anew; one in sight of another drawing looks the same."""
    ego, cos, sin = crossroads_log.ego_pose[0], *(f(crossroads_log.ego_pose[0, 2]) for f in (np.cos, np.sin))
    there = ego + [cos * pose[0] - sin * pose[1], sin * pose[0] + cos * pose[1], pose[2]]
    canvas = Canvas(crossroads_log.map, crossroads_log.ego_pose)
    first = canvas.crop(crossroads_log.ego_pose[:1])
    alone = Canvas(crossroads_log.map, crossroads_log.ego_pose[:1]).crop(there[None])
    for one, other in zip(canvas.crop(there[None]), alone, strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)
    for one, other in zip(canvas.crop(crossroads_log.ego_pose[:1]), first, strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


def test_relative_poses():
    np.testing.assert_allclose(
        relative(np.array([[3.0, 4.0, 1.0]]), np.array([1.0, 4.0, pi / 2])), [[0, -2, 1 - pi / 2]], atol=1e-12
    )


@pytest.mark.parametrize("yaw_rad", [0.0, 0.4, 2.5])
def test_edge_distance_equals_shapely(crossroads_log: Log, yaw_rad):
    """Drawn along the pose's own axes, where nothing is interpolated."""
    pose = crossroads_log.ego_pose[12] + [0, 0, yaw_rad]
    _, edge_m = seen(crossroads_log.map, pose, pose)
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    centre_m = np.stack(np.meshgrid(np.arange(-29.75, 70, 0.5), np.arange(-49.75, 50, 0.5)), axis=-1)
    there_m = centre_m @ np.array([[cos, sin], [-sin, cos]]) + pose[:2]
    drivable = crossroads_log.map.drivable
    away_m = shapely.distance(drivable.boundary, shapely.points(there_m)).clip(max=10)
    inside = shapely.contains_xy(drivable, there_m[..., 0], there_m[..., 1])
    np.testing.assert_allclose(edge_m, np.where(inside, away_m, -away_m), atol=1e-3)


def test_no_drivable_area_is_distance_zero_and_one_far_away_is_ten_metres_outside():
    nothing = empty_map()
    _, edge_m = seen(nothing)
    assert (edge_m == 0).all()
    _, edge_m = seen(replace(nothing, drivable=shapely.MultiPolygon([shapely.box(900, 0, 950, 9)])))
    assert (edge_m == -10).all()


@pytest.mark.parametrize("ends_at_m", [20.0, 19.7])
def test_where_the_map_ends_no_road_does(ends_at_m):
    """The road is known up to x = 20 m, drawn perhaps a little less far: nothing is its end, and beyond all may be road."""
    road = shapely.MultiPolygon([shapely.box(-90, -4, ends_at_m, 4)])
    raster, edge_m = seen(replace(empty_map(), drivable=road, extent=shapely.box(-90, -90, 20, 90)))
    at_20_m = COLUMN_0 + 40
    assert edge_m[ROW_0, at_20_m - 4 : at_20_m].min() == pytest.approx(3.75)
    assert (edge_m[:, at_20_m + 20 :] == 10).all()
    assert edge_m[ROW_0 + 40, 0] == -10  # off the road, 16 m from it, where the map says so
    assert (raster[0, :, at_20_m + 1 :] == 0).all()
    assert raster[0].sum() * CELL_M**2 == pytest.approx((30 + ends_at_m) * 8, abs=1.0)


def test_a_seam_between_two_polygons_is_no_border():
    halves = shapely.MultiPolygon([shapely.box(-20, -8, 10, 8), shapely.box(10, -8, 40, 8)])
    raster, edge_m = seen(replace(empty_map(), drivable=halves))
    assert edge_m[ROW_0, 80] == pytest.approx(7.75)
    assert raster[0].sum() * CELL_M**2 == pytest.approx(60 * 16)


@pytest.mark.parametrize("yaw_rad", [0.0, 1.0, -2.2, pi])
def test_a_lane_carries_its_heading_and_width(yaw_rad):
    ahead = np.array([np.cos(yaw_rad), np.sin(yaw_rad)])
    lane = shapely.MultiLineString([np.stack([-5 * ahead, 0 * ahead, 7 * ahead])])
    layers = dict(zip(RASTER_LAYERS, seen(replace(empty_map(), lanes=lane))[0], strict=True))
    assert layers["lane"].sum() * CELL_M**2 == pytest.approx(12 * 3, rel=1e-3)
    middle = (ROW_0, COLUMN_0)
    assert layers["lane"][middle] == pytest.approx(1)
    assert (layers["lane_cos"][middle], layers["lane_sin"][middle]) == pytest.approx(tuple(ahead), abs=STEP)


def test_opposite_lanes_on_one_strip_cancel_their_heading():
    there = [[0.0, 0.25], [20.0, 0.25]]
    lanes = shapely.MultiLineString([there, there[::-1]])
    layers = dict(zip(RASTER_LAYERS, seen(replace(empty_map(), lanes=lanes))[0], strict=True))
    assert layers["lane"][ROW_0, 80] == pytest.approx(1)
    assert layers["lane_cos"][ROW_0, 80] == pytest.approx(0, abs=1e-6)


def test_a_divider_through_the_middle_of_cells_reads_one_and_a_long_one_is_not_lost():
    dividers = shapely.MultiLineString([[[50.0, 0.25], [400.0, 0.25]]])
    raster, _ = seen(replace(empty_map(), lane_dividers=dividers))
    layer = raster[RASTER_LAYERS.index("lane_divider")]
    np.testing.assert_allclose(layer[ROW_0, 160:], 1, atol=1e-6)
    assert layer.sum() == pytest.approx(40, abs=1e-3)


@pytest.mark.parametrize("shift", [(1e-4, 0, 0), (0, 1e-4, 0), (0, 0, 1e-5)])
def test_a_small_motion_changes_little(crossroads_log: Log, shift):
    """Places are rounded to 1 / 32 of a point, 8 mm of a share and 16 mm of a distance; a border that moves by d changes a cell
    by d / cell, a divider by 5 / 3 of it.
    """
    canvas, pose = Canvas(crossroads_log.map, crossroads_log.ego_pose), crossroads_log.ego_pose[10]
    raster, edge_m = canvas.crop(pose[None])
    other_raster, other_edge_m = canvas.crop((pose + shift)[None])
    assert (edge_m - other_edge_m).abs().max() < 0.017 + 1e-3
    assert (raster - other_raster).abs().max() < 0.008 / CELL_M * 5 / 3 + 2 * STEP


def test_headings_stay_within_one_where_a_lane_turns_sharper_than_its_width() -> None:
    """A circle of 0.5 m folds the quads of a 3 m strip over themselves, and folded quads cover less than nothing."""
    angles = np.linspace(0, 4 * pi, 60)
    circle = np.stack([8 + 0.5 * np.cos(angles), 0.5 * np.sin(angles)], axis=-1)
    raster, _ = seen(replace(empty_map(), lanes=shapely.MultiLineString([circle])))
    assert np.abs(raster).max() == 1
