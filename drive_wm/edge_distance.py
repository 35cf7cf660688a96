"""Signed distance of every raster cell to the border of an area, exact: blocks of cells, refined with what may be nearest.

A border segment can be nearest to some point of a block only if the block's centre is no farther from it than from the
nearest segment, plus the way from the centre to that point and back. So few segments are left when blocks are cells.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from drive_wm.log import Floats, Ints
from drive_wm.scene import CELL_M, EDGE_CLIP_M, RASTER_SIZE, X_RANGE_M, Y_RANGE_M

PARTS = (5, 5, 2, 2, 2)  # a block's side is cut into so many; together RASTER_SIZE
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


@dataclass(frozen=True)
class _Blocks:
    """Square blocks of cells, and per block, one after the other, the segments that may be nearest to a point in it."""

    side_m: float
    low_m: Floats  # (N, 2) lower corner
    count: Ints  # (N,) segments of each block
    segment: Ints  # (sum of count,)

    def cut(self, parts: int) -> "_Blocks":
        """Each block as parts x parts smaller ones, row by row, with its segments."""
        side_m = self.side_m / parts
        corner = side_m * np.stack(np.meshgrid(np.arange(parts), np.arange(parts)), axis=-1).reshape(-1, 2)
        count = np.repeat(self.count, parts**2)
        parents_first = np.repeat(np.cumsum(self.count) - self.count, parts**2)
        move = np.repeat(parents_first - (np.cumsum(count) - count), count)
        low_m = (self.low_m[:, None] + corner).reshape(-1, 2)
        return _Blocks(side_m, low_m, count, self.segment[np.arange(len(move)) + move])

    def nearest(self, border_m: Floats) -> tuple[Floats, "_Blocks"]:
        """Distance (N,) of each centre to the border, clipped, and the blocks without what cannot be nearest in them."""
        block = np.repeat(np.arange(len(self.count)), self.count)
        away_m = _away_m(self.low_m + self.side_m / 2, block, border_m, self.segment)
        some = self.count > 0
        nearest_m = np.full(len(self.count), EDGE_CLIP_M)
        if some.any():
            first = np.cumsum(self.count) - self.count
            nearest_m[some] = np.minimum.reduceat(away_m, first[some])
        reach_m = (self.side_m - CELL_M) / sqrt(2)  # from the centre to the corner cell's centre
        kept = away_m <= np.minimum(nearest_m + 2 * reach_m, EDGE_CLIP_M + reach_m)[block] + 1e-9
        left = _Blocks(self.side_m, self.low_m, np.bincount(block[kept], minlength=len(self.count)), self.segment[kept])
        return nearest_m.clip(max=EDGE_CLIP_M), left


def _unsigned_distance(border_m: Floats) -> Floats:
    whole = np.array([[X_RANGE_M[0], Y_RANGE_M[0]]])
    blocks = _Blocks(RASTER_SIZE * CELL_M, whole, np.array([len(border_m)]), np.arange(len(border_m)))
    for parts in PARTS:
        nearest_m, blocks = blocks.cut(parts).nearest(border_m)
    # Axes y, x of the largest blocks first; the raster has all y, then all x.
    axes = 2 * len(PARTS)
    grid = nearest_m.reshape([parts for parts in PARTS for _ in "yx"])
    return grid.transpose(*range(0, axes, 2), *range(1, axes, 2)).reshape(RASTER_SIZE, RASTER_SIZE)


def _away_m(points_m: Floats, point: Ints, border_m: Floats, segment: Ints) -> Floats:
    """Distance of pairs: points (N, 2) by index, segments (E, 2, 2) by index."""
    (x0, y0), (dx, dy) = border_m[:, 0].T, (border_m[:, 1] - border_m[:, 0]).T
    scale = 1 / np.maximum(dx**2 + dy**2, 1e-18)
    x, y = points_m[:, 0][point] - x0[segment], points_m[:, 1][point] - y0[segment]
    dx, dy = dx[segment], dy[segment]
    along = np.clip((x * dx + y * dy) * scale[segment], 0, 1)
    return np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2)


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
