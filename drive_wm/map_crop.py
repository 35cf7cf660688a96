"""Map lines of a log, resampled once in the global frame, then cropped to what lies around an ego pose."""

from dataclasses import dataclass

import numpy as np
import shapely
import torch
from torch import Tensor

from drive_wm.geometry import inverse, transform
from drive_wm.lane_graph import MAX_PIECE_M, pose_along
from drive_wm.log import Floats, Ints, LogMap
from drive_wm.scene import ELEMENTS, X_RANGE_M, Y_RANGE_M, Elements, Lanes

MARGIN_M = 10.0  # lanes and elements this far outside the raster still count
_CENTRE_M = (sum(X_RANGE_M) / 2, sum(Y_RANGE_M) / 2)
_HALF_M = (X_RANGE_M[1] - _CENTRE_M[0], Y_RANGE_M[1] - _CENTRE_M[1])
_REACH_M = float(np.hypot(*_HALF_M)) + 2 * MARGIN_M


@dataclass(frozen=True)
class LaneTable:
    """The lane pieces of a log, resampled, in the global frame."""

    tree: shapely.STRtree
    position_m: Tensor  # (L, P, 2)
    yaw_rad: Tensor  # (L, P)
    successor: Tensor  # (L, 3)
    beside: Tensor  # (L, 2) left, right
    in_junction: Tensor  # (L,)

    def near(self, pose: Tensor, limit: int) -> Lanes:
        """Lanes (1, limit) within the raster and its margin, nearest first; links to those left out are -1."""
        shown, position_m = _nearest_lines(self.tree, self.position_m, pose, limit)
        slot = torch.full((len(self.position_m) + 1,), -1)  # the last entry serves links of -1
        slot[shown] = torch.arange(len(shown))
        successor = slot[self.successor[shown]]
        # Those left out move to the end; the rest keep their order from left to right.
        successor = successor.gather(1, (successor < 0).long().argsort(dim=1, stable=True))
        left, right = pad(slot[self.beside[shown]], limit, fill=-1).unbind(dim=-1)
        return Lanes(
            position_m=pad(position_m.float(), limit),
            yaw_rad=pad(wrap(self.yaw_rad[shown] - pose[2]).float(), limit),
            successor=pad(successor, limit, fill=-1),
            left=left,
            right=right,
            in_junction=pad(self.in_junction[shown], limit),
            valid=pad(torch.ones(len(shown), dtype=torch.bool), limit),
        )


def lane_table(log_map: LogMap, points: int) -> LaneTable:
    lines = shapely.get_parts(log_map.lanes)
    along_m = shapely.length(lines)[:, None] * np.linspace(0, 1, points)
    position_m, yaw_rad = pose_along(lines[:, None], along_m)
    return LaneTable(
        tree=shapely.STRtree(lines),
        position_m=torch.from_numpy(position_m),
        yaw_rad=torch.from_numpy(yaw_rad),
        successor=torch.from_numpy(_successors(log_map.lane_successors, position_m, yaw_rad)),
        beside=torch.from_numpy(np.stack([log_map.lane_left, log_map.lane_right], axis=1)),
        in_junction=torch.from_numpy(log_map.lane_in_junction),
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
    turn_rad = wrap(torch.from_numpy(np.arctan2(way_m[:, 1], way_m[:, 0]) - yaw_rad[parent, -1])).numpy().round(6)
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
    position_m: Tensor  # (E, P, 2)
    kind: Tensor  # (E,)

    def near(self, pose: Tensor, limit: int) -> Elements:
        """Elements (1, limit) within the raster and its margin, nearest first."""
        shown, position_m = _nearest_lines(self.tree, self.position_m, pose, limit)
        valid = torch.ones(len(shown), dtype=torch.bool)
        return Elements(pad(position_m.float(), limit), pad(self.kind[shown], limit), pad(valid, limit))


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
    return ElementTable(
        shapely.STRtree(shapely.linestrings(position_m)), torch.from_numpy(position_m), torch.from_numpy(kind[line])
    )


def _nearest_lines(tree: shapely.STRtree, position_m: Tensor, pose: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """Which lines (N, P, 2) in the global frame come within the raster and its margin, nearest first, and their ego points."""
    centre_m = transform(pose, torch.tensor([_CENTRE_M], dtype=pose.dtype))[0]
    x_m, y_m = centre_m.tolist()
    window = shapely.box(x_m - _REACH_M, y_m - _REACH_M, x_m + _REACH_M, y_m + _REACH_M)
    around = torch.from_numpy(np.sort(tree.query(window)))
    points_m = transform(inverse(pose), position_m[around].flatten(0, 1)).reshape(-1, *position_m.shape[1:])
    outside_m = ((points_m - torch.tensor(_CENTRE_M)).abs() - torch.tensor(_HALF_M)).amax(dim=-1).amin(dim=-1)
    # To the micrometre, so that ties keep the map's order in every frame.
    away_m = points_m.norm(dim=-1).amin(dim=-1).round(decimals=6)
    order = away_m.argsort(stable=True)
    order = order[(outside_m.round(decimals=6) <= MARGIN_M)[order]][:limit]
    return around[order], points_m[order]


def wrap(angle_rad: Tensor) -> Tensor:
    """Bring angles to [-pi, pi), where what is pi but for rounding becomes -pi in every frame."""
    return torch.remainder(angle_rad + torch.pi + 1e-7, 2 * torch.pi) - torch.pi - 1e-7


def pad(values: Tensor, length: int, fill: int = 0) -> Tensor:
    """(N, ...) to (1, length, ...)."""
    padded = values.new_full((1, length, *values.shape[1:]), fill)
    padded[0, : len(values)] = values
    return padded
