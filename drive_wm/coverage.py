"""How much of each cell of a grid outlines cover, exact: a cell that is covered by a third holds a third.

Coverage accumulates the signed area beside every border edge, then sums along each row, as font renderers antialias glyphs.
"""

from dataclasses import dataclass

import numpy as np
import torch

from drive_wm.log import Floats, Ints


@dataclass(frozen=True)
class Grid:
    """Square cells on the lattice through the frame's origin; rows ascend along y, columns along x."""

    column: int  # of the first cell's lower left corner, in cells from the origin
    row: int
    columns: int
    rows: int
    cell_m: float

    def centres_m(self) -> tuple[Floats, Floats]:
        """x (columns,) and y (rows,) of the cells' middles."""
        x_m = (self.column + 0.5 + np.arange(self.columns)) * self.cell_m
        return x_m, (self.row + 0.5 + np.arange(self.rows)) * self.cell_m


def coverage(edges_m: Floats, weight: Floats, grid: Grid) -> Floats:
    """Sum (W, rows, columns) over closed outlines, edges (E, 2, 2), of covered share times weight (E, W); overlaps add up.

    Every edge is split at the grid lines; a piece adds the area between itself and the right side of its own cell,
    and its full height to the cells further right.
    """
    (x0, y0), (x1, y1) = edges_m[:, 0].T / grid.cell_m, edges_m[:, 1].T / grid.cell_m
    right, top = grid.column + grid.columns, grid.row + grid.rows
    seen = (np.maximum(y0, y1) > grid.row) & (np.minimum(y0, y1) < top) & (np.minimum(x0, x1) < right)
    owner = np.flatnonzero(seen & (y0 != y1))
    pieces = np.stack([x0[owner], y0[owner], x1[owner], y1[owner]])
    for axis, first, last in ((1, grid.row, top), (0, grid.column, right)):
        pieces, parent = _split(pieces, axis, first, last)
        owner = owner[parent]
    x0, y0, x1, y1 = pieces
    x, y = 0.5 * (x0 + x1), 0.5 * (y0 + y1)
    inside = np.flatnonzero((y > grid.row) & (y < top) & (x < right))
    x, y, owner = np.maximum(x[inside], grid.column), y[inside], owner[inside]  # an edge left of the grid covers whole rows
    height = (y0 - y1)[inside]  # downward: the inside lies to the right
    column, width = np.floor(x), grid.columns + 1
    cell = ((np.floor(y) - grid.row) * width + (column - grid.column)).astype(np.int64)
    beside = height * (x - column)
    sums = np.zeros((weight.shape[1], grid.rows * width + 1))
    for total, w in zip(sums, weight[owner].T, strict=True):
        np.add.at(total, cell, w * (height - beside))
        np.add.at(total, cell + 1, w * beside)
    sums = sums[:, :-1].reshape(-1, grid.rows, width)
    return torch.from_numpy(sums).cumsum_(dim=2).numpy()[:, :, :-1]  # NumPy's takes several times as long


def _split(pieces: Floats, axis: int, first: int, last: int) -> tuple[Floats, Ints]:
    """Cut pieces (4, E), rows x0 y0 x1 y1 in cells, at lines first to last across one axis; the parts and the piece of each."""
    a, b = pieces[axis], pieces[axis + 2]
    lowest = np.clip(np.floor(np.minimum(a, b)) + 1, first, last + 1)
    highest = np.clip(np.ceil(np.maximum(a, b)) - 1, first - 1, last)
    cuts = np.maximum(highest - lowest + 1, 0).astype(np.int64)
    ends = np.cumsum(cuts + 1)
    starts = ends - (cuts + 1)
    # Lines in the order in which the piece meets them; the span is not 0 where there is a cut.
    way = np.where(a < b, 1.0, -1.0)
    before = np.where(a < b, lowest - 1, highest + 1) - way * starts
    slope = (pieces[3 - axis] - pieces[1 - axis]) / np.where(cuts > 0, b - a, 1.0)
    parent = np.repeat(np.arange(len(cuts)), cuts + 1)
    before, way, a, slope, other = np.take(np.stack([before, way, a, slope, pieces[1 - axis]]), parent, axis=1)
    line = before + way * np.arange(len(parent))
    parts = np.empty((4, len(parent)))
    parts[axis], parts[1 - axis] = line, other + (line - a) * slope
    parts[:2, starts] = pieces[:2]
    parts[2:, :-1] = parts[:2, 1:]  # a part ends where the next one starts
    parts[2:, ends - 1] = pieces[2:]
    return parts, parent
