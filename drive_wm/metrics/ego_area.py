"""Where on the map a box stands: off the drivable area, over a lane's border, in a junction, against the traffic.

Source: navsim `pdm_scorer.PDMScorer._calculate_ego_area` (autonomousvision/navsim). NAVSIM reads lane polygons and a planned
route; a LogMap has centrelines, dividers and rarely a route. So a box is in several lanes where it crosses a divider, and
"on route" is any lane that runs the box's way.
"""

from dataclasses import dataclass

import numpy as np
import shapely
import torch
from torch import Tensor

from drive_wm.boxes import Boxes, corners_m
from drive_wm.lane_graph import pose_along
from drive_wm.log import Bools, Floats, Ints, LogMap
from drive_wm.metrics.lane import FAR_ACROSS_M, NEAR_ACROSS_M, PARALLEL

TIE_M = 1e-6


@dataclass(frozen=True)
class LanePlace:
    """How points with a heading (...) lie on the lanes."""

    offset_m: Tensor  # (...) to the nearest centreline that runs the same way, at most FAR_ACROSS_M
    against: Tensor  # (...) bool; there are lanes here, and all of them run the other way
    in_junction: Tensor  # (...) bool; the nearest centreline lies in a junction


class EgoAreas:
    """A map that is asked about many boxes, in the global frame; a missing layer answers False, and flags say so."""

    def __init__(self, log_map: LogMap) -> None:
        self._lines = shapely.get_parts(log_map.lanes)
        self._lanes = shapely.STRtree(self._lines)
        self._junction = log_map.lane_in_junction
        self._drivable = shapely.STRtree(shapely.get_parts(log_map.drivable))
        dividers = [shapely.get_parts(lines) for lines in (log_map.lane_dividers, log_map.road_dividers)]
        self._dividers = shapely.STRtree(np.concatenate(dividers))
        self.has_lanes = len(self._lines) > 0
        self.has_drivable = not log_map.drivable.is_empty

    def off_road(self, boxes: Boxes) -> Tensor:
        """Whether a corner of each box (...) lies outside the drivable area."""
        corners = corners_m(boxes.centre_m, boxes.yaw_rad, boxes.size_m).double()
        points = shapely.points(corners.flatten(0, -2).numpy())
        inside = torch.zeros(len(points), dtype=torch.bool)
        inside[self._drivable.query(points, predicate="intersects")[0]] = True
        outside = (~inside).reshape(corners.shape[:-1]).any(-1)
        return outside & self.has_drivable

    def straddles(self, boxes: Boxes) -> Tensor:
        """Whether each box (...) crosses a divider."""
        corners = corners_m(boxes.centre_m, boxes.yaw_rad, boxes.size_m).double()
        crossing = torch.zeros(corners.shape[:-2], dtype=torch.bool).flatten()
        outlines = shapely.polygons(corners.flatten(0, -3).numpy())
        crossing[self._dividers.query(outlines, predicate="intersects")[0]] = True
        return crossing.reshape(corners.shape[:-2])

    def on_lanes(self, pose: Tensor) -> LanePlace:
        """How poses (..., 3) lie on the lanes."""
        flat = pose.reshape(-1, 3).double().numpy()
        who, away_m, agreement, junction = self._near(flat)
        offset_m = np.full(len(flat), FAR_ACROSS_M)
        same = agreement > PARALLEL
        np.minimum.at(offset_m, who[same], away_m[same])
        best = np.full(len(flat), -2.0)
        beside = away_m < NEAR_ACROSS_M
        np.maximum.at(best, who[beside], agreement[beside])
        against = (best > -1.5) & (best < -PARALLEL)
        nearest_m = np.full(len(flat), np.inf)
        np.minimum.at(nearest_m, who, away_m)
        inside = np.zeros(len(flat), bool)
        inside[who[junction & (away_m <= nearest_m[who] + TIE_M)]] = True
        return LanePlace(*(torch.from_numpy(x).reshape(pose.shape[:-1]) for x in (offset_m, against, inside)))

    def _near(self, pose: Floats) -> tuple[Ints, Floats, Floats, Bools]:
        """Per pair of a pose (P, 3) and a lane within FAR_ACROSS_M: which pose, how far, cosine of the turn, in a junction."""
        points = shapely.points(pose[:, :2])
        who, lane = self._lanes.query(points, predicate="dwithin", distance=FAR_ACROSS_M)
        lines = self._lines[lane]
        with np.errstate(invalid="ignore"):  # GEOS raises the flag on sound input
            along_m = shapely.line_locate_point(lines, points[who])
        if not len(who):
            return who, np.zeros(0), np.zeros(0), np.zeros(0, bool)
        at_m, lane_yaw_rad = pose_along(lines, along_m)
        away_m = np.linalg.norm(at_m - pose[who, :2], axis=-1)
        return who, away_m, np.cos(lane_yaw_rad - pose[who, 2]), self._junction[lane]
