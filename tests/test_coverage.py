"""Covered shares of cells against areas worked by hand and against shapely."""

from math import pi

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_wm.coverage import Grid, coverage
from drive_wm.map_outlines import area_outlines
from drive_wm.scene import CELL_M, RASTER_SIZE

ROW_0, COLUMN_0 = 100, 60  # the cell whose lower left corner is the frame's origin
GRID = Grid(-COLUMN_0, -ROW_0, RASTER_SIZE, RASTER_SIZE, CELL_M)


def covered(*polygons: shapely.Polygon) -> np.ndarray:
    return coverage(*area_outlines(shapely.MultiPolygon(polygons)), GRID)[0]


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
    edges, _ = area_outlines(shapely.MultiPolygon([shapely.box(0, 0, 0.5, 0.5), shapely.box(0, 0, 1, 0.5)]))
    total = coverage(edges, np.repeat([[1.0, 2.0], [1.0, -3.0]], 4, axis=0), GRID)
    np.testing.assert_allclose(total[:, ROW_0, COLUMN_0], [2.0, -1.0], atol=1e-12)
    np.testing.assert_allclose(total[:, ROW_0, COLUMN_0 + 1], [1.0, -3.0], atol=1e-12)


@pytest.mark.parametrize("window", [Grid(-7, 3, 40, 25, 0.5), Grid(40, -60, 90, 130, 0.5)], ids=["near", "right of it"])
def test_a_window_holds_the_same(window):
    """What is drawn beside it, even left of it, changes nothing."""
    outlines = area_outlines(shapely.MultiPolygon([square(3, 6, 9, 0.4), square(-20, -10, 25, 1.0)]))
    row, column = ROW_0 + window.row, COLUMN_0 + window.column
    expected = coverage(*outlines, GRID)[:, row : row + window.rows, column : column + window.columns]
    np.testing.assert_allclose(coverage(*outlines, window), expected, atol=1e-12)
