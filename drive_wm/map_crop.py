"""Map lines of a log, resampled once in the global frame, then cropped to what lies around ego poses."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from torch import Tensor

from drive_wm.lane_graph import MAX_PIECE_M, pose_along
from drive_wm.log import Bools, Floats, Ints, LogMap
from drive_wm.scene import ELEMENTS, X_RANGE_M, Y_RANGE_M, Elements, Lanes

MARGIN_M = 10.0  # lanes and elements this far outside the raster still count
_CENTRE_M = np.array([sum(X_RANGE_M) / 2, sum(Y_RANGE_M) / 2])
_HALF_M = np.array([X_RANGE_M[1], Y_RANGE_M[1]]) - _CENTRE_M
_REACH_M = float(np.hypot(*_HALF_M)) + 2 * MARGIN_M


@dataclass(frozen=True)
class LaneTable:
    """The lane pieces of a log, resampled, in the global frame."""

    tree: shapely.STRtree
    position_m: Floats  # (L, P, 2)
    yaw_rad: Floats  # (L, P)
    successor: Ints  # (L, 3)
    beside: Ints  # (L, 2) left, right
    in_junction: Bools  # (L,)

    def near(self, poses: Floats, limit: int) -> Lanes:
        """Lanes (B, limit) within the raster and its margin, nearest first; links to those left out are -1."""
        shown = _nearest_lines(self.tree, self.position_m, poses, limit)
        slot = np.full((len(poses), len(self.position_m) + 1), -1)  # the last entry serves links of -1
        slot[shown.scene, shown.line] = shown.slot
        successor = slot[shown.scene[:, None], self.successor[shown.line]]
        # Those left out move to the end; the rest keep their order from left to right.
        successor = np.take_along_axis(successor, np.argsort(successor < 0, axis=1, kind="stable"), axis=1)
        left, right = slot[shown.scene[:, None], self.beside[shown.line]].T
        yaw_rad = wrap(self.yaw_rad[shown.line] - poses[shown.scene, 2:])
        return Lanes(
            position_m=shown.padded(shown.points_m.astype(np.float32)),
            yaw_rad=shown.padded(yaw_rad.astype(np.float32)),
            successor=shown.padded(successor, fill=-1),
            left=shown.padded(left, fill=-1),
            right=shown.padded(right, fill=-1),
            in_junction=shown.padded(self.in_junction[shown.line]),
            valid=shown.padded(np.ones(len(shown.line), bool)),
        )


def lane_table(log_map: LogMap, points: int) -> LaneTable:
    lines = shapely.get_parts(log_map.lanes)
    along_m = shapely.length(lines)[:, None] * np.linspace(0, 1, points)
    position_m, yaw_rad = pose_along(lines[:, None], along_m)
    return LaneTable(
        tree=shapely.STRtree(lines),
        position_m=position_m,
        yaw_rad=yaw_rad,
        successor=_successors(log_map.lane_successors, position_m, yaw_rad),
        beside=np.stack([log_map.lane_left, log_map.lane_right], axis=1),
        in_junction=log_map.lane_in_junction,
    )


def _successors(links: Ints, position_m: Floats, yaw_rad: Floats) -> Ints:
    """Successors (L, 3) from the leftmost to the rightmost, judged by where each ends as seen from the end of its parent.

    Of more than three the leftmost, the straightest and the rightmost stay.
    """
    found = np.full((len(position_m), 3), -1, np.int64)
    if not len(links):
        return found
    parent, child = links.T
    way_m = position_m[child, -1] - position_m[parent, -1]
    turn_rad = wrap(np.arctan2(way_m[:, 1], way_m[:, 0]) - yaw_rad[parent, -1]).round(6)
    order = np.lexsort((child, -turn_rad, parent))
    for group in np.split(order, np.flatnonzero(np.diff(parent[order])) + 1):
        inner = group[1:-1]
        kept = group if len(group) <= 3 else [group[0], inner[np.abs(turn_rad[inner]).argmin()], group[-1]]
        found[parent[group[0]], : len(kept)] = child[kept]
    return found


@dataclass(frozen=True)
class ElementTable:
    """Crosswalk outlines, and stop lines and dividers in pieces of at most 20 m, resampled, in the global frame."""

    tree: shapely.STRtree
    position_m: Floats  # (E, P, 2)
    kind: Ints  # (E,)

    def near(self, poses: Floats, limit: int) -> Elements:
        """Elements (B, limit) within the raster and its margin, nearest first."""
        shown = _nearest_lines(self.tree, self.position_m, poses, limit)
        return Elements(
            position_m=shown.padded(shown.points_m.astype(np.float32)),
            kind=shown.padded(self.kind[shown.line]),
            valid=shown.padded(np.ones(len(shown.line), bool)),
        )


def element_table(log_map: LogMap, points: int) -> ElementTable:
    outlines = shapely.get_exterior_ring(shapely.get_parts(log_map.crosswalks))
    others = [shapely.get_parts(x) for x in (log_map.stop_lines, log_map.lane_dividers, log_map.road_dividers)]
    lines = np.concatenate([outlines, *others])
    kind = np.repeat(np.arange(len(ELEMENTS)), [len(outlines), *map(len, others)])
    count = np.where(kind == ELEMENTS.index("crosswalk"), 1, np.ceil(shapely.length(lines) / MAX_PIECE_M).clip(min=1)).astype(
        int
    )
    line = np.repeat(np.arange(len(lines)), count)
    piece = np.arange(len(line)) - np.repeat(np.cumsum(count) - count, count)
    share = (piece[:, None] + np.linspace(0, 1, points)) / count[line, None]
    at = shapely.line_interpolate_point(lines[line, None], share, normalized=True)
    position_m = np.stack([shapely.get_x(at), shapely.get_y(at)], axis=-1)
    return ElementTable(shapely.STRtree(shapely.linestrings(position_m)), position_m, kind[line])


@dataclass(frozen=True)
class _Shown:
    """Which lines are in which scene."""

    size: tuple[int, int]  # B, limit
    scene: Ints  # (N,)
    slot: Ints  # (N,)
    line: Ints  # (N,)
    points_m: Floats  # (N, P, 2) in the scene's ego frame

    def padded(self, values: NDArray[Any], fill: int = 0) -> Tensor:
        """Values (N, ...) at their slots, (B, limit, ...)."""
        whole = np.full((*self.size, *values.shape[1:]), fill, values.dtype)
        whole[self.scene, self.slot] = values
        return torch.from_numpy(whole)


def _nearest_lines(tree: shapely.STRtree, position_m: Floats, poses: Floats, limit: int) -> _Shown:
    """The lines that come within the margin of each pose (B, 3), the nearest first."""
    x_m, y_m = from_ego(_CENTRE_M, poses).T
    windows = shapely.box(x_m - _REACH_M, y_m - _REACH_M, x_m + _REACH_M, y_m + _REACH_M)
    scene, line = tree.query(windows)
    points_m = to_ego(position_m[line], poses[scene])
    outside_m = (np.abs(points_m - _CENTRE_M) - _HALF_M).max(axis=-1).min(axis=-1)
    seen = outside_m.round(6) <= MARGIN_M
    scene, line, points_m = scene[seen], line[seen], points_m[seen]
    # To the micrometre, so that ties keep the map's order in every frame.
    away_m = np.hypot(points_m[..., 0], points_m[..., 1]).min(axis=-1).round(6)
    order = np.lexsort((line, away_m, scene))
    count = np.bincount(scene, minlength=len(poses))
    slot = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    kept = slot < limit
    order = order[kept]
    return _Shown((len(poses), limit), scene[order], slot[kept], line[order], points_m[order])


def to_ego(points_m: Floats, poses: Floats) -> Floats:
    """Points (B, ..., 2) of the global frame in that of poses (B, 3)."""
    axes = (len(poses), *(1,) * (points_m.ndim - 2))
    cos, sin = np.cos(poses[:, 2]).reshape(axes), np.sin(poses[:, 2]).reshape(axes)
    x, y = points_m[..., 0] - poses[:, 0].reshape(axes), points_m[..., 1] - poses[:, 1].reshape(axes)
    return np.stack([cos * x + sin * y, cos * y - sin * x], axis=-1)


def from_ego(point_m: Floats, poses: Floats) -> Floats:
    """A point (2,) of each pose's frame (B, 3) in the global one, (B, 2)."""
    cos, sin = np.cos(poses[:, 2]), np.sin(poses[:, 2])
    return poses[:, :2] + np.stack([cos * point_m[0] - sin * point_m[1], sin * point_m[0] + cos * point_m[1]], axis=-1)


def wrap(angle_rad: Floats) -> Floats:
    """Bring angles to [-pi, pi), where what is pi but for rounding becomes -pi in every frame."""
    return np.remainder(angle_rad + np.pi + 1e-7, 2 * np.pi) - np.pi - 1e-7


def single(values: Floats) -> Tensor:
    """As float32."""
    return torch.from_numpy(values.astype(np.float32))
