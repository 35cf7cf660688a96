"""Collision on a raster, as the `uniad`, `stp3_vad` and `bev_planner` protocols do it, rounding and all.

Each draws the boxes with cv2.fillPoly into cells and looks up the cells under the ego's footprint. All three keep a
footprint that leaves the grid by squashing it onto the border. Arithmetic is float32 where it is in the published programs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]  # float32 or float64
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SINGLE = np.float32
_CHUNK = 1024  # step rasters whose footprints are held at once: 2 paths x 738 cells each


def box_corners_m(boxes: Floats) -> Floats:
    """Corners (N, 4, 2), in the boxes' own precision, of boxes (N, 5) x, y, length, width, yaw."""
    x, y, length, width, yaw_rad = boxes.T[..., None]
    along = np.array([1, -1, -1, 1], boxes.dtype) * length / 2
    across = np.array([1, 1, -1, -1], boxes.dtype) * width / 2
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.stack([x + cos * along - sin * across, y + sin * along + cos * across], -1)


# Half-metre grid, 200 x 200, x right and y forward; the footprint is 8 rows by 4 columns at any heading.
_ROWS, _COLUMNS = (i.ravel() for i in np.meshgrid(np.arange(97, 105), np.arange(98, 102), indexing="ij"))


def uniad_polygons(boxes: Floats) -> Ints:
    """Vertices (N, 4, 2) as cv2 takes them: column along x, row along y, both ascending."""
    corners = box_corners_m(boxes.astype(_SINGLE))
    return np.round((corners + _SINGLE(50)) / _SINGLE(0.5)).astype(np.int32)


def vad_polygons(boxes: Floats) -> Ints:
    """Vertices (N, 4, 2) as cv2 takes them: column along x, row 0 at the far front.

    Double precision: in single, corners on a cell's edge would round to the other side.
    """
    corners = box_corners_m(boxes.astype(np.float64))
    return np.round((corners * (1, -1) + 50) / 0.5).astype(np.int32)


def uniad_cells(path_m: Floats) -> Ints:
    """Cells (..., 6, 32), row * 200 + column, under the footprint along paths (..., 6, 2); it never turns."""
    x, y = _half_metres(path_m)
    return _cell(y + _ROWS, x + _COLUMNS, 200)


def vad_cells(path_m: Floats) -> Ints:
    """As `uniad_cells`, with row 0 at the far front."""
    x, y = _half_metres(path_m)
    return _cell(200 - (y + _ROWS), x + _COLUMNS, 200)


def _half_metres(path_m: Floats) -> tuple[Floats, Floats]:
    steps = path_m.astype(_SINGLE)[..., None] / _SINGLE(0.5)
    return steps[..., 0, :], steps[..., 1, :]


# Decimetre grid, 1000 x 1000, in the ego frame: x forward, y left; 41 x 18 cells about the rear axle.
_START, _STEP = _SINGLE(-49.95), _SINGLE(0.1)
_AHEAD, _LEFT = (i.ravel() - 499.5 for i in np.meshgrid(np.arange(494, 535), np.arange(491, 509), indexing="ij"))


def bev_planner_polygons(boxes: Floats) -> Ints:
    """Vertices (N, 4, 2) as cv2 takes them: column forward, row to the left, truncated; boxes x right, y forward."""
    corners = box_corners_m(_ego_boxes(boxes).astype(_SINGLE))
    return ((corners - _START) / _STEP).astype(np.int32)


def bev_planner_cells(path_m: Floats) -> Ints:
    """Cells (..., 6, 738) under the footprint along paths (..., 6, 2), x right, y forward.

    The footprint turns about the rear axle to the direction of the last step, or stays straight after a step below 1 m.
    """
    path_m = _forward_left(path_m)
    yaw_rad = _bev_planner_yaw_rad(path_m)[..., None]
    cos, sin = np.cos(yaw_rad).astype(np.float64), np.sin(yaw_rad).astype(np.float64)
    ahead = np.round(_AHEAD * cos - _LEFT * sin + 499.5)
    left = np.round(_AHEAD * sin + _LEFT * cos + 499.5)
    offset = (path_m / _STEP).astype(np.float64)
    return _cell(offset[..., 1:] + left, offset[..., :1] + ahead, 1000)


def bev_planner_yaw_rad(path_m: Floats) -> Floats:
    """The footprint's heading (..., 6) from +x along paths (..., 6, 2), x right, y forward."""
    return _bev_planner_yaw_rad(_forward_left(path_m)) + np.pi / 2


def _bev_planner_yaw_rad(path_m: Floats) -> Floats:
    step_m = np.diff(path_m, axis=-2, prepend=_SINGLE(0))
    moving = np.sqrt((step_m**2).sum(-1)) >= 1
    return np.where(moving, np.arctan2(step_m[..., 1], step_m[..., 0]), _SINGLE(0))


def _forward_left(path_m: Floats) -> Floats:
    path_m = path_m.astype(_SINGLE)
    return np.stack([path_m[..., 1], -path_m[..., 0]], -1)


def _ego_boxes(boxes: Floats) -> Floats:
    """Boxes (N, 5) with x right, y forward turned to x forward, y left."""
    x, y, length, width, yaw_rad = boxes.T
    return np.stack([y, -x, length, width, yaw_rad - np.pi / 2], -1)


def _cell(row: Floats, column: Floats, size: int) -> Ints:
    """Flat index after truncation towards zero and squashing onto the border."""
    within = [np.clip(i.astype(np.int32), 0, size - 1) for i in (row, column)]
    return within[0].astype(np.int64) * size + within[1]


@dataclass(frozen=True)
class Grid:
    """How one protocol draws boxes and where it looks."""

    size: int
    polygons: Callable[[Floats], Ints]
    cells: Callable[[Floats], Ints]


GRIDS = {
    "uniad": Grid(200, uniad_polygons, uniad_cells),
    "stp3_vad": Grid(200, vad_polygons, vad_cells),
    "bev_planner": Grid(1000, bev_planner_polygons, bev_planner_cells),
}


def raster_hits(grid: Grid, paths_m: Floats, boxes: Floats, owner: Ints) -> Bools:
    """Whether the footprint meets a box (R, S, 6), for R paths per sample (R, S, 6, 2).

    Box n of boxes (N, 5) stands at step owner[n] = 6 * sample + step; owner is ascending.
    """
    polygons = grid.polygons(boxes)
    steps, first = np.unique(owner, return_index=True)
    groups = np.split(polygons, first[1:])
    hits = np.zeros((len(paths_m), paths_m[0].size // 2), bool)
    canvas = np.zeros((grid.size, grid.size), np.uint8)
    for start in range(0, len(steps), _CHUNK):
        chunk = steps[start : start + _CHUNK]
        samples, place = np.unique(chunk // 6, return_inverse=True)
        cells = grid.cells(paths_m[:, samples])[:, place, chunk % 6]
        for i, step in enumerate(chunk):
            hits[:, step] = _drawn(canvas, groups[start + i])[cells[:, i]].any(-1)
    return hits.reshape(paths_m.shape[:-1])


def _drawn(canvas: NDArray[np.uint8], polygons: Ints) -> NDArray[np.uint8]:
    """The cells of the canvas, flat, with only these polygons filled; one buffer serves every step."""
    canvas.fill(0)
    for polygon in polygons:  # one call each: a joint call would leave holes where two overlap
        cv2.fillPoly(canvas, [polygon], (1.0,))
    return canvas.ravel()
