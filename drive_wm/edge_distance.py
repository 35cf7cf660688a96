"""Signed distance of every cell of a grid to the border of an area, exact: blocks of cells, refined with what may be nearest.

A border segment can be nearest to some point of a block only if the block's centre is no farther from it than from the
nearest segment, plus the way from the centre to that point and back. So few segments are left when blocks are cells.
"""

from dataclasses import dataclass
from math import prod, sqrt

import numpy as np
from numpy.typing import NDArray

from drive_wm.coverage import Grid
from drive_wm.log import Floats, Ints
from drive_wm.scene import EDGE_CLIP_M

PARTS = (5, 5, 2, 2)  # a block's side is cut into so many, until it is a cell
BLOCK = prod(PARTS)  # cells along a side of the largest blocks


def edge_distance(border_m: Floats, grid: Grid) -> Floats:
    """Distance (rows, columns) of each cell centre to border edges (E, 2, 2), positive inside, clipped; 0 without a border."""
    if not len(border_m):
        return np.zeros((grid.rows, grid.columns))
    low, high = np.minimum(border_m[:, 0], border_m[:, 1]), np.maximum(border_m[:, 0], border_m[:, 1])
    corner_m = grid.cell_m * np.array([[grid.column, grid.row], [grid.column + grid.columns, grid.row + grid.rows]])
    near = border_m[((high > corner_m[0] - EDGE_CLIP_M) & (low < corner_m[1] + EDGE_CLIP_M)).all(axis=1)]
    return np.where(_inside(border_m, grid), 1.0, -1.0) * _unsigned_distance(near, grid)


@dataclass(frozen=True)
class _Blocks:
    """Square blocks of cells, and per block, one after the other, the segments that may be nearest to a point in it."""

    side: int  # cells
    cell_m: float
    low_m: Floats  # (N, 2) lower corner
    count: Ints  # (N,) segments of each block
    segment: Ints  # (sum of count,)

    def cut(self, parts: int) -> "_Blocks":
        """Each block as parts x parts smaller ones, row by row, with its segments."""
        side = self.side // parts
        corner = side * self.cell_m * np.stack(np.meshgrid(np.arange(parts), np.arange(parts)), axis=-1).reshape(-1, 2)
        count = np.repeat(self.count, parts**2)
        parents_first = np.repeat(np.cumsum(self.count) - self.count, parts**2)
        move = np.repeat(parents_first - (np.cumsum(count) - count), count)
        low_m = (self.low_m[:, None] + corner).reshape(-1, 2)
        return _Blocks(side, self.cell_m, low_m, count, self.segment[np.arange(len(move)) + move])

    def nearest(self, border_m: Floats) -> tuple[Floats, "_Blocks"]:
        """Distance (N,) of each centre to the border, clipped, and the blocks without what cannot be nearest in them."""
        block = np.repeat(np.arange(len(self.count)), self.count)
        away_m = _away_m(self.low_m + self.side * self.cell_m / 2, block, border_m, self.segment)
        some = self.count > 0
        nearest_m = np.full(len(self.count), EDGE_CLIP_M)
        if some.any():
            first = np.cumsum(self.count) - self.count
            nearest_m[some] = np.minimum.reduceat(away_m, first[some])
        reach_m = (self.side - 1) * self.cell_m / sqrt(2)  # from the centre to the corner cell's centre
        kept = away_m <= np.minimum(nearest_m + 2 * reach_m, EDGE_CLIP_M + reach_m)[block] + 1e-9
        count = np.bincount(block[kept], minlength=len(self.count))
        left = _Blocks(self.side, self.cell_m, self.low_m, count, self.segment[kept])
        return nearest_m.clip(max=EDGE_CLIP_M), left


def _unsigned_distance(border_m: Floats, grid: Grid) -> Floats:
    rows, columns = -(-grid.rows // BLOCK), -(-grid.columns // BLOCK)
    row, column = (at.ravel() for at in np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"))
    low_m = grid.cell_m * np.stack([grid.column + BLOCK * column, grid.row + BLOCK * row], axis=1)
    segments = np.tile(np.arange(len(border_m)), len(low_m))
    _, blocks = _Blocks(BLOCK, grid.cell_m, low_m, np.full(len(low_m), len(border_m)), segments).nearest(border_m)
    for parts in PARTS:
        nearest_m, blocks = blocks.cut(parts).nearest(border_m)
    # Axes y, x of the largest blocks first; the result has all y, then all x.
    axes = 2 * (1 + len(PARTS))
    distance_m = nearest_m.reshape([rows, columns, *(parts for parts in PARTS for _ in "yx")])
    distance_m = distance_m.transpose(*range(0, axes, 2), *range(1, axes, 2)).reshape(rows * BLOCK, columns * BLOCK)
    return distance_m[: grid.rows, : grid.columns]


def _away_m(points_m: Floats, point: Ints, border_m: Floats, segment: Ints) -> Floats:
    """Distance of pairs: points (N, 2) by index, segments (E, 2, 2) by index."""
    (x0, y0), (dx, dy) = border_m[:, 0].T, (border_m[:, 1] - border_m[:, 0]).T
    scale = 1 / np.maximum(dx**2 + dy**2, 1e-18)
    x, y = points_m[:, 0][point] - x0[segment], points_m[:, 1][point] - y0[segment]
    dx, dy = dx[segment], dy[segment]
    along = np.clip((x * dx + y * dy) * scale[segment], 0, 1)
    return np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2)


def _inside(border_m: Floats, grid: Grid) -> NDArray[np.bool_]:
    """Whether each cell centre lies inside, (rows, columns): the winding number, counted where edges cross its row's middle."""
    a, b = border_m[:, 0, 1], border_m[:, 1, 1]
    x_m, y_m = grid.centres_m()
    row_a, row_b = (np.clip(np.ceil((y - y_m[0]) / grid.cell_m), 0, grid.rows).astype(np.int64) for y in (a, b))
    count = np.abs(row_b - row_a)
    edge = np.repeat(np.arange(len(count)), count)
    row = np.minimum(row_a, row_b)[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    share = (y_m[row] - a[edge]) / (b - a)[edge]
    crossing_m = border_m[edge, 0, 0] * (1 - share) + border_m[edge, 1, 0] * share
    column = np.clip(np.ceil((crossing_m - x_m[0]) / grid.cell_m), 0, grid.columns).astype(np.int64)
    width = grid.columns + 1
    turns = np.bincount(row * width + column, np.sign(row_a - row_b)[edge], grid.rows * width)
    return np.cumsum(turns.reshape(grid.rows, width), axis=1)[:, : grid.columns] > 0.5
