"""Open-loop planning: which steps of a path hit a box under each of the five protocols, and how each averages over time.

Protocols: `uniad` (Hu et al., CVPR 2023), `stp3_vad` (Hu et al., ECCV 2022; Jiang et al., ICCV 2023), `bev_planner` (Li et al.,
CVPR 2024), `sparsedrive` (Sun et al., ICRA 2025), and `strict`, ours. Paths and boxes: x right, y forward.
"""

from typing import Literal, get_args

import numpy as np

from drive_wm.metrics.planning_grid import GRIDS, Bools, Floats, Ints, bev_planner_yaw_rad, raster_hits
from drive_wm.metrics.planning_polygons import (
    EGO_AHEAD_M,
    ego_boxes,
    sparsedrive_hits,
    sparsedrive_yaw_rad,
    strict_hits,
    strict_yaw_rad,
)

Protocol = Literal["uniad", "stp3_vad", "bev_planner", "sparsedrive", "strict"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

STEPS = 6  # 0.5 s apart
HORIZONS_S = (1, 2, 3)

# Which samples and steps enter a mean: all of them, those of samples with all six steps, or each step that exists.
DENOMINATOR = {
    "uniad": "all", "stp3_vad": "complete", "bev_planner": "complete", "sparsedrive": "complete", "strict": "step",
}  # fmt: skip
EXCLUDES_TRUTH = {"uniad", "stp3_vad", "bev_planner", "sparsedrive"}
# The figure "at T s": the value at T, the mean of the steps up to T, or whether any step up to T has it.
L2_OVER_TIME = {
    "uniad": "at", "stp3_vad": "mean", "bev_planner": "mean", "sparsedrive": "mean", "strict": "at",
}  # fmt: skip
COLLISION_OVER_TIME = L2_OVER_TIME | {"bev_planner": "any"}

_EGO_REACH_M = 4.0  # the footprint and every rounding stay within this of the path point, in all five protocols
_GRID_EDGE_M = 50.0
_LIDAR_AHEAD_M = 0.985793  # of the rear axle, as `bev_planner` has it


def hits(protocol: Protocol, paths_m: Floats, valid: Bools, boxes: Floats, owner: Ints) -> Bools:
    """Whether each step hits a box (R, S, 6), for R paths per sample (R, S, 6, 2); valid is (S, 6).

    Box n of boxes (N, 5) x, y, length, width, yaw stands at step owner[n] = 6 * sample + step; owner is ascending.
    """
    squashes = protocol in GRIDS
    near = _near(np.clip(paths_m, -_GRID_EDGE_M, _GRID_EDGE_M) if squashes else paths_m, boxes, owner)
    boxes, owner = boxes[near], owner[near]
    if squashes:
        return raster_hits(GRIDS[protocol], paths_m, boxes, owner)
    if protocol == "sparsedrive":
        return sparsedrive_hits(paths_m, boxes, owner)
    return strict_hits(paths_m, valid, boxes, owner)


def _near(paths_m: Floats, boxes: Floats, owner: Ints) -> Bools:
    """Boxes (N,) that some path could meet: a cheap bound, so that few are drawn."""
    reach_m = _EGO_REACH_M + np.hypot(boxes[:, 2], boxes[:, 3]) / 2
    near = np.zeros(len(boxes), bool)
    for path in paths_m.reshape(len(paths_m), -1, 2):
        offset_m = np.abs(path[owner] - boxes[:, :2])
        near |= (offset_m <= reach_m[:, None]).all(-1)
    return near


def footprints(protocol: Protocol, path_m: Floats, valid: Bools) -> Floats:
    """The ego's boxes (..., 6, 5) along paths (..., 6, 2) as the protocol means them, before it rounds them to cells."""
    if protocol == "bev_planner":
        return ego_boxes(path_m, bev_planner_yaw_rad(path_m), EGO_AHEAD_M + _LIDAR_AHEAD_M)
    if protocol in GRIDS:
        return ego_boxes(path_m, np.full(path_m.shape[:-1], np.pi / 2))
    if protocol == "sparsedrive":
        return ego_boxes(path_m, sparsedrive_yaw_rad(path_m))
    return ego_boxes(path_m, strict_yaw_rad(path_m, valid))


def weights(protocol: Protocol, valid: Bools) -> Bools:
    """Which (sample, step) entries (S, 6) a mean of this protocol divides by."""
    if DENOMINATOR[protocol] == "all":
        return np.ones_like(valid)
    if DENOMINATOR[protocol] == "complete":
        return np.broadcast_to(valid.all(-1, keepdims=True), valid.shape)
    return valid


def at_horizons(values: Floats | Bools, weight: Bools, over_time: str) -> tuple[float, float, float]:
    """The protocol's figures at 1, 2 and 3 s from values (S, 6); nan where nothing is counted."""
    first, second, third = over_horizons(to_sum(values, weight, over_time).sum(0), weight.sum(0), over_time)
    return float(first), float(second), float(third)


def to_sum(values: Floats | Bools, weight: Bools, over_time: str) -> Floats:
    """What each sample and step (S, 6) adds to the sums that `over_horizons` divides."""
    values = np.where(weight, values, 0).astype(np.float64)
    return np.maximum.accumulate(values, axis=1) if over_time == "any" else values


def over_horizons(total: Floats, count: Floats | Ints, over_time: str) -> Floats:
    """Figures at 1, 2 and 3 s (..., 3) from sums over samples (..., 6) and their numbers; nan where nothing is counted."""
    per_step = np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
    mean = over_time == "mean"
    return np.stack([per_step[..., : 2 * s].mean(-1) if mean else per_step[..., 2 * s - 1] for s in HORIZONS_S], -1)
