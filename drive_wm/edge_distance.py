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

PARTS = (5, 5, 4)  # a block's side is cut into so many, until it is a cell
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
    row: Ints  # (N,) of the first cell, within the grid
    column: Ints  # (N,)
    count: Ints  # (N,) segments of each block, at least one
    segment: Ints  # (sum of count,)

    def cut(self, parts: int, grid: Grid) -> "_Blocks":
        """Each block as parts x parts smaller ones with its segments, those outside the grid left out."""
        side = self.side // parts
        row = (self.row[:, None, None] + side * np.arange(parts)[:, None] + np.zeros(parts, int)).ravel()
        column = (self.column[:, None, None] + side * np.arange(parts) + np.zeros((parts, 1), int)).ravel()
        inside = np.flatnonzero((row < grid.rows) & (column < grid.columns))
        parent = inside // parts**2
        count = self.count[parent]
        parents_first = (np.cumsum(self.count) - self.count)[parent]
        move = np.repeat(parents_first - (np.cumsum(count) - count), count)
        return _Blocks(side, row[inside], column[inside], count, self.segment[np.arange(len(move)) + move])

    def nearest_m(self, border: Floats, grid: Grid) -> tuple[Floats, Floats]:
        """Distance (sum of count,) of each block's centre to its segments of `_border` (5, E), and (N,) to the nearest one."""
        x_m = (grid.column + self.column + self.side / 2) * grid.cell_m
        y_m = (grid.row + self.row + self.side / 2) * grid.cell_m
        x0, y0, dx, dy, scale = np.take(border, self.segment, axis=1)
        x, y = np.repeat(x_m, self.count) - x0, np.repeat(y_m, self.count) - y0
        along = np.clip((x * dx + y * dy) * scale, 0, 1)
        away_m = np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2)
        return away_m, np.minimum.reduceat(away_m, np.cumsum(self.count) - self.count)

    def pruned(self, border: Floats, grid: Grid) -> "_Blocks":
        """The blocks without what cannot be nearest in them, and only those to which something is left."""
        away_m, nearest_m = self.nearest_m(border, grid)
        reach_m = (self.side - 1) * grid.cell_m / sqrt(2)  # from the centre to the corner cell's centre
        limit_m = np.minimum(nearest_m + 2 * reach_m, EDGE_CLIP_M + reach_m) + 1e-9
        kept = away_m <= np.repeat(limit_m, self.count)
        count = np.add.reduceat(kept.astype(np.int64), np.cumsum(self.count) - self.count)
        some = count > 0
        return _Blocks(self.side, self.row[some], self.column[some], count[some], self.segment[kept])


def _unsigned_distance(border_m: Floats, grid: Grid) -> Floats:
    distance_m = np.full((grid.rows, grid.columns), EDGE_CLIP_M)
    row, column = (at.ravel() for at in np.mgrid[: grid.rows : BLOCK, : grid.columns : BLOCK])
    border, segments = _border(border_m), np.tile(np.arange(len(border_m)), len(row))
    blocks = _Blocks(BLOCK, row, column, np.full(len(row), len(border_m)), segments)
    for parts in PARTS:
        if not len(blocks.segment):
            return distance_m
        blocks = blocks.pruned(border, grid).cut(parts, grid)
    if len(blocks.segment):
        _, nearest_m = blocks.nearest_m(border, grid)
        distance_m[blocks.row, blocks.column] = nearest_m.clip(max=EDGE_CLIP_M)
    return distance_m


def _border(border_m: Floats) -> Floats:
    """Segments (E, 2, 2) as x, y of the first point, x, y of the way to the second, and 1 / length^2, (5, E)."""
    (x0, y0), (dx, dy) = border_m[:, 0].T, (border_m[:, 1] - border_m[:, 0]).T
    return np.stack([x0, y0, dx, dy, 1 / np.maximum(dx**2 + dy**2, 1e-18)])


def _inside(border_m: Floats, grid: Grid) -> NDArray[np.bool_]:
    """Whether each cell centre lies inside, (rows, columns): the winding number, counted where edges cross its row's middle."""
    a, b = border_m[:, 0, 1], border_m[:, 1, 1]
    x_m, y_m = grid.centres_m()
    row_a, row_b = (np.clip(np.ceil((y - y_m[0]) / grid.cell_m), 0, grid.rows).astype(np.int64) for y in (a, b))
    count = np.abs(row_b - row_a)
    edge = np.repeat(np.arange(len(count)), count)
    row = np.minimum(row_a, row_b)[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    share = ((y_m[row] - a[edge]) / (b - a)[edge]).clip(0, 1)  # an edge level but for rounding crosses its row anywhere on it
    crossing_m = border_m[edge, 0, 0] * (1 - share) + border_m[edge, 1, 0] * share
    column = np.clip(np.ceil((crossing_m - x_m[0]) / grid.cell_m), 0, grid.columns).astype(np.int64)
    width = grid.columns + 1
    turns = np.bincount(row * width + column, np.sign(row_a - row_b)[edge], grid.rows * width)
    return np.cumsum(turns.reshape(grid.rows, width), axis=1)[:, : grid.columns] > 0.5
