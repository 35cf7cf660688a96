"""Bird's-eye view of the map: drawn once around a drive, then cropped to what each ego pose sees.

Drawn are, every 0.25 m along the axes of the drive's first pose, the covered share of the 0.5 m around, exact, and every
0.5 m the distance to the border, exact too. A crop interpolates between them, so a small turn of the world changes little.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drive_wm.coverage import Grid, coverage
from drive_wm.edge_distance import edge_distance
from drive_wm.log import Floats, LogMap
from drive_wm.map_outlines import Outlines, axes_turned, layers_of, outlines_of, road_border, seen_from
from drive_wm.raster_bytes import NOTHING, Bytes, edge_bytes, layer_bytes, raster_of, turn_directions
from drive_wm.scene import CELL_M, RASTER_LAYERS, RASTER_SIZE, X_RANGE_M, Y_RANGE_M

FINER = 2  # points of what is drawn per cell of the raster
BLOCK_M = 400.0  # a longer drive is drawn part by part
SPARE_M = 20.0  # drawn around a pose that was not known before: the next ones will be near
_CENTRE_M = sum(X_RANGE_M) / 2, sum(Y_RANGE_M) / 2


class Canvas:
    """The map of a drive; what poses (N, 3) global_from_ego see is drawn at once, what others see when they come."""

    def __init__(self, log_map: LogMap, poses: Floats) -> None:
        self._frame = poses[0] if len(poses) else np.zeros(3)
        self._poses = relative(poses, self._frame)
        self._outlines = {name: seen_from(x, self._frame) for name, x in outlines_of(log_map).items()}
        self._border_m, _ = seen_from(road_border(log_map), self._frame)
        self._sheet: _Sheet | None = None

    def crop(self, ego_poses: Floats, stored: bool = False) -> tuple[Tensor, Tensor]:
        """Raster (B, C, Y, X) of RASTER_LAYERS and edge_m (B, Y, X) seen from ego_poses (B, 3) global_from_ego; `stored`: both
        in the bytes of raster_bytes, one layer after the other in memory.
        """
        count = len(ego_poses)
        raster = np.empty((len(RASTER_LAYERS), count, RASTER_SIZE, RASTER_SIZE), np.uint8).swapaxes(0, 1)
        edge_m = np.empty((count, RASTER_SIZE, RASTER_SIZE), np.int8 if stored else np.float32)
        poses = relative(ego_poses, self._frame)
        for i, (pose, corners_m) in enumerate(zip(poses, raster_corners_m(poses), strict=True)):
            if self._sheet is None or not self._sheet.reaches(corners_m):
                self._sheet = _draw(self._outlines, self._border_m, self._extent_m(pose), _block(pose))
            self._sheet.crop(pose, raster[i])
            away_m = self._sheet.distance_m(pose)
            edge_m[i] = edge_bytes(away_m) if stored else away_m
        bytes_ = torch.from_numpy(raster)
        return bytes_ if stored else raster_of(bytes_), torch.from_numpy(edge_m)

    def _extent_m(self, pose: Floats) -> Floats:
        """Corners (N, 2) around what all known poses of the block see, and around this one where it is none of them."""
        known_m = raster_corners_m(self._poses[(_block(self._poses) == _block(pose)).all(axis=-1)]).reshape(-1, 2)
        own_m = raster_corners_m(pose)
        if len(known_m) and (own_m >= known_m.min(axis=0)).all() and (own_m <= known_m.max(axis=0)).all():
            return known_m
        here = self._sheet is not None and (self._sheet.block == _block(pose)).all()
        before_m = [self._sheet.corners_m] if self._sheet and here else []
        return np.concatenate([known_m, own_m - SPARE_M, own_m + SPARE_M, *before_m])


@dataclass(frozen=True)
class _Sheet:
    """What is drawn of a map, in the frame of the drive."""

    block: Floats  # (2,)
    corners_m: Floats  # (2, 2) lower, upper
    drawn: list[int]  # the RASTER_LAYERS that are not empty
    empty: list[int]
    layers: list[NDArray[Any]]  # bytes (rows, columns, up to 4) of them in turn: means of CELL_M squares around lattice points
    first_point: Floats  # (2,) x, y of the first, in points from the origin
    edge_m: NDArray[np.float32]  # (rows, columns) at the middles of cells
    first_cell: Floats  # (2,) of the first, in cells from the origin

    def reaches(self, seen_m: Floats) -> bool:
        """Whether all of these points (N, 2) are drawn."""
        return bool((seen_m >= self.corners_m[0]).all() and (seen_m <= self.corners_m[1]).all())

    def crop(self, pose: Floats, raster: Bytes) -> None:
        """Fill raster (C, Y, X) with what the pose (3,) sees."""
        for i in self.empty:
            raster[i] = NOTHING[i]
        view = _view(pose, self.first_point, CELL_M / FINER)
        crops = [_sample(drawn, view) for drawn in self.layers]
        for i, plane in zip(self.drawn, [plane for crop in crops for plane in cv2.split(crop)], strict=True):
            raster[i] = plane
        turn_directions(raster, pose[2])

    def distance_m(self, pose: Floats) -> NDArray[np.float32]:
        """Distance (Y, X) to the border at the cells that the pose (3,) sees."""
        distance_m: NDArray[np.float32] = _sample(self.edge_m, _view(pose, self.first_cell, CELL_M))
        return distance_m


def _view(pose: Floats, first: Floats, step_m: float) -> tuple[slice, slice, Floats]:
    """Rows and columns in sight of a pose, of points step_m apart of which the first (2,) lies so many from the origin; and the
    matrix (2, 3) from the raster's cells to these points.
    """
    (x_m, y_m, yaw_rad), (first_x, first_y) = pose.tolist(), first.tolist()
    cell = CELL_M / step_m
    cos, sin = cell * math.cos(yaw_rad), cell * math.sin(yaw_rad)
    span = RASTER_SIZE / 2 * (abs(cos) + abs(sin))
    # Of the middle, from a point of the lattice, so that the result does not depend on which one is first.
    x = x_m / step_m + (cos * _CENTRE_M[0] - sin * _CENTRE_M[1]) / CELL_M - first_x % 1
    y = y_m / step_m + (sin * _CENTRE_M[0] + cos * _CENTRE_M[1]) / CELL_M - first_y % 1
    column, row, size = math.floor(x - span), math.floor(y - span), math.ceil(2 * span) + 2
    to_middle = (RASTER_SIZE - 1) / 2  # from the raster's first cell
    start_x, start_y = x - column - (cos - sin) * to_middle, y - row - (sin + cos) * to_middle
    row, column = row - math.floor(first_y), column - math.floor(first_x)
    return slice(row, row + size), slice(column, column + size), np.array([[cos, -sin, start_x], [sin, cos, start_y]])


def _sample(drawn: NDArray[Any], view: tuple[slice, slice, Floats]) -> NDArray[Any]:
    """Values (Y, X, ...) at the cells of a view, between points (rows, columns, ...).

    Only the rows and columns in sight take part, so that the result does not depend on how much is drawn.
    """
    rows, columns, to_drawn = view
    seen = drawn[rows, columns]
    return cv2.warpAffine(seen, to_drawn, (RASTER_SIZE, RASTER_SIZE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _draw(outlines: dict[str, Outlines], border_m: Floats, extent_m: Floats, block: Floats) -> _Sheet:
    """Draw what lies between the lowest and the highest of these points (N, 2), the same whatever else is drawn with it."""
    low = np.floor(extent_m.min(axis=0) / CELL_M).astype(int) - 2
    high = np.ceil(extent_m.max(axis=0) / CELL_M).astype(int) + 3
    (column, row), (columns, rows) = low.tolist(), (high - low).tolist()
    coarse = Grid(column, row, columns, rows, CELL_M)
    fine = Grid(FINER * column, FINER * row, FINER * columns, FINER * rows, CELL_M / FINER)
    layers: dict[int, Bytes] = {}
    for name, (edges, weight) in outlines.items():
        if len(edges):
            shares = layers_of(name, _mean_around(coverage(edges, weight, fine)))
            layers |= {RASTER_LAYERS.index(key): layer_bytes(x, key) for key, x in shares.items()}
    planes = list(layers.values())
    return _Sheet(
        block=block,
        corners_m=np.stack([extent_m.min(axis=0), extent_m.max(axis=0)]),
        drawn=list(layers),
        empty=[i for i in range(len(RASTER_LAYERS)) if i not in layers],
        layers=[cv2.merge(planes[i : i + 4]) for i in range(0, len(planes), 4)],
        first_point=FINER * low + 1.0,
        edge_m=edge_distance(border_m, coarse).round(6).astype(np.float32),
        first_cell=low + 0.5,
    )


def raster_corners_m(poses: Floats) -> Floats:
    """Corners (..., 4, 2) of the raster for poses (..., 3), in their frame."""
    x_m, y_m = np.array([[x, y] for x in X_RANGE_M for y in Y_RANGE_M]).T
    cos, sin = np.cos(poses[..., 2:]), np.sin(poses[..., 2:])
    return poses[..., None, :2] + np.stack([cos * x_m - sin * y_m, sin * x_m + cos * y_m], axis=-1)


def relative(poses: Floats, frame: Floats) -> Floats:
    """Poses (..., 3) in the frame of another, both given in the same one."""
    return np.concatenate([(poses[..., :2] - frame[:2]) @ axes_turned(frame[2]), poses[..., 2:] - frame[2]], axis=-1)


def _block(poses: Floats) -> Floats:
    return (poses[..., :2] / BLOCK_M).round()


def _mean_around(covered: Floats) -> list[NDArray[Any]]:
    """Means (rows, columns), W of them, of FINER cells each way, around the points between them; the last have no neighbour."""
    mean = np.full((FINER, FINER), 1 / FINER**2)
    return [cv2.filter2D(plane, -1, mean, anchor=(0, 0)) for plane in covered.astype(np.float32)]
