"""Signed distance of every raster cell to the border of an area, exact up to rounding.

Squares of cells are cut into smaller ones again and again; each keeps only the segments that may be nearest to one of its
cells, so that a cell is compared with a handful.
"""

import numpy as np
from numpy.typing import NDArray

from drive_wm.log import Floats, Ints
from drive_wm.scene import CELL_M, EDGE_CLIP_M, RASTER_SIZE, X_RANGE_M, Y_RANGE_M

SIDES = (40, 8, 4, 2, 1)  # of the squares, in cells
_X_M = X_RANGE_M[0] + CELL_M * (np.arange(RASTER_SIZE) + 0.5)
_Y_M = Y_RANGE_M[0] + CELL_M * (np.arange(RASTER_SIZE) + 0.5)


def edge_distance(border_m: Floats) -> Floats:
    """Distance (Y, X) of each cell centre to border edges (E, 2, 2), positive inside, clipped; 0 without a border."""
    if not len(border_m):
        return np.zeros((RASTER_SIZE, RASTER_SIZE))
    low, high = np.minimum(border_m[:, 0], border_m[:, 1]), np.maximum(border_m[:, 0], border_m[:, 1])
    window_m = np.array([X_RANGE_M, Y_RANGE_M]) + EDGE_CLIP_M * np.array([-1, 1])
    near = border_m[((high > window_m[:, 0]) & (low < window_m[:, 1])).all(axis=1)]
    return np.where(_inside(border_m), 1.0, -1.0) * _unsigned_distance(near)


def _unsigned_distance(border_m: Floats) -> Floats:
    distance_m = np.full((RASTER_SIZE, RASTER_SIZE), EDGE_CLIP_M)
    row, column = (index.ravel() for index in np.indices((RASTER_SIZE // SIDES[0],) * 2))
    square, segment = (index.ravel() for index in np.indices((len(row), len(border_m))))
    for side, smaller in zip(SIDES, (*SIDES[1:], 1), strict=True):
        if not len(segment):
            return distance_m
        middle_m = np.stack([X_RANGE_M[0] + CELL_M * side * (column + 0.5), Y_RANGE_M[0] + CELL_M * side * (row + 0.5)])
        away_m = _away_m(middle_m[:, square], border_m, segment)
        nearest_m = np.minimum.reduceat(away_m, np.flatnonzero(np.diff(square, prepend=-1)))
        if side > 1:
            reach_m = np.sqrt(0.5) * CELL_M * (side - 1)  # from the middle to the middle of the cell in the corner
            most_m = np.minimum(nearest_m + 2 * reach_m, EDGE_CLIP_M + reach_m) + 1e-9
            kept = np.flatnonzero(away_m <= most_m[square])
            row, column, square, segment = _cut(row, column, square[kept], segment[kept], side // smaller)
    distance_m[row, column] = np.minimum(nearest_m, EDGE_CLIP_M)
    return distance_m


def _away_m(points_m: Floats, border_m: Floats, segment: Ints) -> Floats:
    """Distances (N,) of points (2, N) from one segment each."""
    x, y = border_m[:, 0].T
    step_x, step_y = (border_m[:, 1] - border_m[:, 0]).T
    per_length2 = 1 / np.maximum(step_x**2 + step_y**2, 1e-18)
    dx, dy = points_m[0] - x[segment], points_m[1] - y[segment]
    along_x, along_y = step_x[segment], step_y[segment]
    share = np.clip((dx * along_x + dy * along_y) * per_length2[segment], 0, 1)
    return np.sqrt((dx - share * along_x) ** 2 + (dy - share * along_y) ** 2)


def _cut(row: Ints, column: Ints, square: Ints, segment: Ints, parts: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Each square (S,) into parts x parts, which all take over its segments; square and segment (N,) are pairs in order."""
    live, count = np.unique(square, return_counts=True)
    first = np.repeat(np.cumsum(count) - count, parts**2)
    count = np.repeat(count, parts**2)
    of = np.repeat(np.arange(len(count)), count)
    taken = np.arange(len(of)) - (np.cumsum(count) - count - first)[of]
    inner_row, inner_column = (index.ravel() for index in np.indices((parts, parts)))
    row, column = ((index[live, None] * parts + inner).ravel() for index, inner in ((row, inner_row), (column, inner_column)))
    return row, column, of, segment[taken]


def _inside(border_m: Floats) -> NDArray[np.bool_]:
    """Whether each cell centre lies inside, (Y, X): the winding number, counted where edges cross the row's centre line."""
    a, b = border_m[:, 0, 1], border_m[:, 1, 1]
    row_a, row_b = (np.clip(np.ceil((y - _Y_M[0]) / CELL_M), 0, RASTER_SIZE).astype(np.int64) for y in (a, b))
    count = np.abs(row_b - row_a)
    edge = np.repeat(np.arange(len(count)), count)
    row = np.minimum(row_a, row_b)[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    share = (_Y_M[row] - a[edge]) / (b - a)[edge]
    x_m = border_m[edge, 0, 0] * (1 - share) + border_m[edge, 1, 0] * share
    column = np.clip(np.ceil((x_m - _X_M[0]) / CELL_M), 0, RASTER_SIZE).astype(np.int64)
    turns = np.bincount(row * (RASTER_SIZE + 1) + column, np.sign(row_a - row_b)[edge], RASTER_SIZE * (RASTER_SIZE + 1))
    return np.cumsum(turns.reshape(RASTER_SIZE, RASTER_SIZE + 1), axis=1)[:, :RASTER_SIZE] > 0.5
