"""The bird's-eye raster against areas and distances worked by hand, against shapely, and its continuity."""

from dataclasses import replace
from math import pi, sqrt

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_wm.bev import area_edges, coverage, draw, map_shapes, strip_quads
from drive_wm.log import Log, empty_map
from drive_wm.scene import CELL_M, RASTER_LAYERS, RASTER_SIZE

HERE = np.zeros(3)
ROW_0, COLUMN_0 = 100, 60  # the cell whose lower left corner is the ego frame's origin


def covered(*polygons: shapely.Polygon) -> np.ndarray:
    return coverage(area_edges(shapely.MultiPolygon(polygons)))[0]


def square(x_m: float, y_m: float, side_m: float, yaw_rad: float = 0.0) -> shapely.Polygon:
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * side_m / 2
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return shapely.Polygon(corners @ np.array([[cos, sin], [-sin, cos]]) + [x_m, y_m])


CASES = {  # name: (polygon, {(row, column) from the origin's cell: share}, whole area in cells)
    "one cell": (shapely.box(0, 0, 0.5, 0.5), {(0, 0): 1.0, (0, 1): 0.0, (1, 0): 0.0}, 1.0),
    "half a cell, left": (shapely.box(0, 0, 0.25, 0.5), {(0, 0): 0.5, (0, 1): 0.0}, 0.5),
    "half a cell, top": (shapely.box(0, 0.25, 0.5, 0.5), {(0, 0): 0.5}, 0.5),
    "across two columns": (shapely.box(0.375, 0, 0.75, 0.5), {(0, 0): 0.25, (0, 1): 0.5, (0, 2): 0.0}, 0.75),
    "triangle": (shapely.Polygon([(0, 0), (0.5, 0), (0.5, 0.5)]), {(0, 0): 0.5}, 0.5),
    "triangle over four cells": (
        shapely.Polygon([(0, 0), (1, 0), (0, 1)]), {(0, 0): 1.0, (0, 1): 0.5, (1, 0): 0.5, (1, 1): 0.0}, 2.0,
    ),
    "clockwise outline": (shapely.Polygon([(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 0)]), {(0, 0): 1.0}, 1.0),
    "hole": (
        shapely.Polygon(shapely.box(0, 0, 1.5, 1.5).exterior.coords, [shapely.box(0.5, 0.5, 1, 0.75).exterior.coords]),
        {(0, 0): 1.0, (1, 1): 0.5, (1, 2): 1.0}, 8.5,
    ),
    "across the left border": (shapely.box(-90, 0, -29.75, 0.5), {(0, -60): 0.5, (0, -59): 0.0}, 0.5),
    "across the right border": (shapely.box(69.25, 0, 95, 0.5), {(0, 138): 0.5, (0, 139): 1.0, (0, -60): 0.0}, 1.5),
    "across the upper border": (shapely.box(0, 49.75, 0.5, 60), {(99, 0): 0.5}, 0.5),
    "left of the raster": (shapely.box(-60, -5, -40, 5), {}, 0.0),
    "right of the raster": (shapely.box(80, -5, 90, 5), {}, 0.0),
    "all around": (shapely.box(-500, -500, 500, 500), {(0, 0): 1.0}, RASTER_SIZE**2),
}  # fmt: skip


@pytest.mark.parametrize(("polygon", "cells", "whole"), CASES.values(), ids=CASES)
def test_coverage(polygon, cells, whole):
    share = covered(polygon)
    assert share.sum() == pytest.approx(whole, abs=1e-9)
    for (row, column), expected in cells.items():
        assert share[ROW_0 + row, COLUMN_0 + column] == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.floats(-20, 60), st.floats(-40, 40), st.floats(0.05, 9), st.floats(-pi, pi))
def test_coverage_of_a_turned_square_sums_to_its_area(x_m, y_m, side_m, yaw_rad):
    share = covered(square(x_m, y_m, side_m, yaw_rad))
    assert share.sum() * CELL_M**2 == pytest.approx(side_m**2, rel=1e-6)
    assert share.min() > -1e-9
    assert share.max() < 1 + 1e-9


@settings(max_examples=30, deadline=None)
@given(st.floats(-45, 85), st.floats(-60, 60), st.floats(1, 40), st.floats(-pi, pi))
def test_coverage_equals_the_intersection_with_each_cell(x_m, y_m, side_m, yaw_rad):
    polygon = square(x_m, y_m, side_m, yaw_rad)
    row, column = np.meshgrid(np.arange(0, 200, 7), np.arange(0, 200, 7), indexing="ij")
    x0, y0 = -30 + CELL_M * column, -50 + CELL_M * row
    expected = shapely.area(shapely.intersection(shapely.box(x0, y0, x0 + CELL_M, y0 + CELL_M), polygon)) / CELL_M**2
    np.testing.assert_allclose(covered(polygon)[row, column], expected, atol=1e-9)


def test_overlapping_outlines_add_up_by_weight():
    edges = area_edges(shapely.MultiPolygon([shapely.box(0, 0, 0.5, 0.5), shapely.box(0, 0, 1, 0.5)]))
    total = coverage(edges, np.repeat([[1.0, 2.0], [1.0, -3.0]], 4, axis=0))
    np.testing.assert_allclose(total[:, ROW_0, COLUMN_0], [2.0, -1.0], atol=1e-12)
    np.testing.assert_allclose(total[:, ROW_0, COLUMN_0 + 1], [1.0, -3.0], atol=1e-12)


@pytest.mark.parametrize("yaw_rad", [0.0, 0.4, 2.5])
def test_edge_distance_equals_shapely(crossroads_log: Log, yaw_rad):
    pose = crossroads_log.ego_pose[12] + [0, 0, yaw_rad]
    _, edge_m = draw(map_shapes(crossroads_log.map), pose)
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    centre_m = np.stack(np.meshgrid(np.arange(-29.75, 70, 0.5), np.arange(-49.75, 50, 0.5)), axis=-1)
    there_m = centre_m @ np.array([[cos, sin], [-sin, cos]]) + pose[:2]
    drivable = crossroads_log.map.drivable
    away_m = shapely.distance(drivable.boundary, shapely.points(there_m)).clip(max=10)
    inside = shapely.contains_xy(drivable, there_m[..., 0], there_m[..., 1])
    np.testing.assert_allclose(edge_m, np.where(inside, away_m, -away_m), atol=1e-3)


def test_no_drivable_area_is_distance_zero_and_one_far_away_is_ten_metres_outside():
    nothing = empty_map()
    _, edge_m = draw(map_shapes(nothing), HERE)
    assert (edge_m == 0).all()
    _, edge_m = draw(map_shapes(replace(nothing, drivable=shapely.MultiPolygon([shapely.box(900, 0, 950, 9)]))), HERE)
    assert (edge_m == -10).all()


def test_a_seam_between_two_polygons_is_no_border():
    halves = shapely.MultiPolygon([shapely.box(-20, -8, 10, 8), shapely.box(10, -8, 40, 8)])
    raster, edge_m = draw(map_shapes(replace(empty_map(), drivable=halves)), HERE)
    assert edge_m[ROW_0, 80] == pytest.approx(7.75)
    assert raster[0].sum() * CELL_M**2 == pytest.approx(60 * 16)


@pytest.mark.parametrize("yaw_rad", [0.0, 1.0, -2.2, pi])
def test_a_lane_carries_its_heading_and_width(yaw_rad):
    ahead = np.array([np.cos(yaw_rad), np.sin(yaw_rad)])
    lane = shapely.MultiLineString([np.stack([-5 * ahead, 0 * ahead, 7 * ahead])])
    layers = dict(zip(RASTER_LAYERS, draw(map_shapes(replace(empty_map(), lanes=lane)), HERE)[0], strict=True))
    assert layers["lane"].sum() * CELL_M**2 == pytest.approx(12 * 3, rel=1e-5)
    middle = (ROW_0, COLUMN_0)
    assert layers["lane"][middle] == pytest.approx(1)
    assert (layers["lane_cos"][middle], layers["lane_sin"][middle]) == pytest.approx(tuple(ahead), abs=1e-6)


def test_opposite_lanes_on_one_strip_cancel_their_heading():
    there = [[0.0, 0.25], [20.0, 0.25]]
    lanes = shapely.MultiLineString([there, there[::-1]])
    layers = dict(zip(RASTER_LAYERS, draw(map_shapes(replace(empty_map(), lanes=lanes)), HERE)[0], strict=True))
    assert layers["lane"][ROW_0, 80] == pytest.approx(1)
    assert layers["lane_cos"][ROW_0, 80] == pytest.approx(0, abs=1e-6)


def test_a_divider_through_the_middle_of_cells_reads_one_and_a_long_one_is_not_lost():
    dividers = shapely.MultiLineString([[[50.0, 0.25], [400.0, 0.25]]])
    raster, _ = draw(map_shapes(replace(empty_map(), lane_dividers=dividers)), HERE)
    layer = raster[RASTER_LAYERS.index("lane_divider")]
    np.testing.assert_allclose(layer[ROW_0, 160:], 1, atol=1e-6)
    assert layer.sum() == pytest.approx(40, abs=1e-4)


def test_strips_join_without_gap_or_overlap():
    quads, direction = strip_quads(shapely.MultiLineString([[[0, 0], [5, 0], [5, 0], [8, 3]], [[0, 9], [1, 9]]]), 2.0)
    assert len(quads) == 3
    np.testing.assert_allclose(quads[0, 1:3], quads[1, [0, 3]])
    np.testing.assert_allclose(direction[1], [sqrt(0.5), sqrt(0.5)])


@pytest.mark.parametrize("shift", [(1e-4, 0, 0), (0, 1e-4, 0), (0, 0, 1e-5)])
def test_a_small_motion_changes_little(crossroads_log: Log, shift):
    """A border that moves by d changes a cell by at most d / cell, dividers by more as they are scaled up."""
    shapes, pose = map_shapes(crossroads_log.map), crossroads_log.ego_pose[10]
    raster, edge_m = draw(shapes, pose)
    other_raster, other_edge_m = draw(shapes, pose + shift)
    assert np.abs(edge_m - other_edge_m).max() < 1e-3 + 1e-5
    assert np.abs(raster - other_raster).max() < 5e-3


def test_headings_stay_within_one_where_a_lane_turns_sharper_than_its_width() -> None:
    """A circle of 0.5 m folds the quads of a 3 m strip over themselves, and folded quads cover less than nothing."""
    angles = np.linspace(0, 4 * pi, 60)
    circle = np.stack([8 + 0.5 * np.cos(angles), 0.5 * np.sin(angles)], axis=-1)
    raster, _ = draw(map_shapes(replace(empty_map(), lanes=shapely.MultiLineString([circle]))), HERE)
    assert np.abs(raster).max() == 1
