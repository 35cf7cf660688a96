"""Collision of oriented rectangles, as the `sparsedrive` and `strict` planning protocols do it.

Both put the ego's box half a metre ahead of LIDAR_TOP along the heading; they differ in how they find the heading
from six points, and `strict` shares the gap function that the planner minimises.
"""

import numpy as np
import shapely
import torch

from drive_wm.boxes import Boxes, overlap
from drive_wm.metrics.planning_grid import Bools, Floats, Ints, box_corners_m

EGO_LENGTH_M, EGO_WIDTH_M, EGO_AHEAD_M = 4.084, 1.85, 0.5
_MOVING_M = 0.5  # a chord below this says nothing of the heading


def sparsedrive_yaw_rad(path_m: Floats) -> Floats:
    """Heading (..., 6) along paths (..., 6, 2): central differences from the origin on, straight ahead when parked.

    A path that starts and then stops gets atan2(0, 0) = 0, a vehicle that faces right: the published behaviour, kept.
    """
    path_m = path_m.astype(np.float32)
    yaw_rad = _direction(_chords(path_m))
    parked = np.sqrt(((path_m[..., -1, :] - path_m[..., 0, :]) ** 2).sum(-1)) < 0.5
    return np.where(parked[..., None], np.float32(np.pi / 2), yaw_rad)


def strict_yaw_rad(path_m: Floats, valid: Bools) -> Floats:
    """Heading (..., 6): the chord between the points before and after, or the heading before where that is below 0.5 m.

    Starts straight ahead. Steps that are not valid (..., 6) keep the heading before and are no chord's end.
    """
    chord_m = np.where(_next(valid)[..., None], _chords(path_m), np.diff(_from_origin(path_m), axis=-2))
    known = valid & _previous(valid) & (np.linalg.norm(chord_m, axis=-1) >= _MOVING_M)
    latest = np.maximum.accumulate(np.where(known, np.arange(1, 7), 0), axis=-1)
    ahead = np.full((*path_m.shape[:-2], 1), np.pi / 2)
    return np.take_along_axis(np.concatenate([ahead, _direction(chord_m)], -1), latest, -1)


def _from_origin(path_m: Floats) -> Floats:
    return np.concatenate([np.zeros_like(path_m[..., :1, :]), path_m], -2)


def _chords(path_m: Floats) -> Floats:
    """From the point before to the point after (..., 6, 2); the last ends where the path ends."""
    points = np.concatenate([_from_origin(path_m), path_m[..., -1:, :]], -2)
    return points[..., 2:, :] - points[..., :-2, :]


def _next(valid: Bools) -> Bools:
    return np.concatenate([valid[..., 1:], valid[..., -1:]], -1)


def _previous(valid: Bools) -> Bools:
    return np.concatenate([np.ones_like(valid[..., :1]), valid[..., :-1]], -1)


def _direction(vector: Floats) -> Floats:
    return np.arctan2(vector[..., 1], vector[..., 0])


def ego_boxes(path_m: Floats, yaw_rad: Floats, ahead_m: float = EGO_AHEAD_M) -> Floats:
    """The ego's boxes (..., 5) x, y, length, width, yaw, their centres ahead of the path's points."""
    ahead = ahead_m * np.stack([np.cos(yaw_rad), np.sin(yaw_rad)], -1)
    size = np.broadcast_to(np.array([EGO_LENGTH_M, EGO_WIDTH_M], path_m.dtype), path_m.shape)
    return np.concatenate([path_m + ahead, size, yaw_rad[..., None]], -1)


def sparsedrive_hits(paths_m: Floats, boxes: Floats, owner: Ints) -> Bools:
    """Whether polygons intersect (R, S, 6), touching included, for paths (R, S, 6, 2); boxes as in `raster_hits`."""
    path_m = paths_m.astype(np.float32)
    ego = ego_boxes(path_m, sparsedrive_yaw_rad(path_m)).reshape(len(paths_m), -1, 5)
    others = shapely.polygons(box_corners_m(boxes.astype(np.float32)))
    hits = [shapely.intersects(shapely.polygons(box_corners_m(path[owner])), others) for path in ego]
    return _any_per_step(np.array(hits), owner, paths_m)


def strict_hits(paths_m: Floats, valid: Bools, boxes: Floats, owner: Ints) -> Bools:
    """Whether oriented boxes share a point (R, S, 6), for paths (R, S, 6, 2); boxes as in `raster_hits`."""
    yaw_rad = strict_yaw_rad(paths_m, np.broadcast_to(valid, paths_m.shape[:-1]))
    ego = ego_boxes(paths_m, yaw_rad).reshape(len(paths_m), -1, 5)
    hits = overlap(_torch_boxes(ego[:, owner]), _torch_boxes(boxes)).numpy()
    return _any_per_step(hits, owner, paths_m)


def _torch_boxes(boxes: Floats) -> Boxes:
    x = torch.from_numpy(np.ascontiguousarray(boxes))
    return Boxes(x[..., :2], x[..., 4], x[..., 2:4])


def _any_per_step(hits: Bools, owner: Ints, paths_m: Floats) -> Bools:
    """From hits per box (R, N) to hits per step (R, S, 6)."""
    found = np.zeros((len(paths_m), paths_m[0].size // 2), bool)
    for path, hit in zip(found, hits, strict=True):
        path[owner[hit]] = True
    return found.reshape(paths_m.shape[:-1])
