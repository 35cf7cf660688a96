"""Slices: the named parts of a drive that planning is also reported on, each from the log alone."""

import numpy as np
import shapely

from drive_wm.benchmarks.planning_input import Bools, Floats
from drive_wm.benchmarks.planning_samples import truth_of
from drive_wm.log import Log

TURN_M = 2.0  # a human who ends this far beside the start has turned, as the papers' commands define it
_SPEEDS_MPS = {"below 0.5 m/s": (0, 0.5), "0.5 to 5 m/s": (0.5, 5), "5 to 10 m/s": (5, 10), "10 m/s and more": (10, np.inf)}
_ON_LANE_M = 3.0  # an ego farther than this from every centreline is on no lane

SLICES = ("left", "straight", "right", "turning", *_SPEEDS_MPS, "junction", "no junction", "day", "night", "dry", "rain")


def slices_of(log: Log) -> list[tuple[str, ...]]:
    """Per keyframe the slices that it is in: names of SLICES, then the location.

    - `left`, `right`: the human's last recorded step within 3 s lies 2 m or more to that side; `turning`: either;
      `straight`: neither.
    - speed now, by the step before (of the first keyframe: after).
    - `junction`: the nearest lane centreline, at most 3 m away, lies in a junction; absent without a vector map.
    - `night`, `rain` (also "after rain"): by the word in a nuScenes scene's description; absent for other sources.
    """
    found: dict[str, Bools] = _turns(log)
    speed = _speed_mps(log)
    found |= {name: (low <= speed) & (speed < high) for name, (low, high) in _SPEEDS_MPS.items()}
    if len(log.map.lanes.geoms):
        junction = _in_junction(log)
        found |= {"junction": junction, "no junction": ~junction}
    always = np.ones(len(log.keyframes), bool)
    if log.source == "nuscenes":
        words = log.description.lower()
        found |= {"night" if "night" in words else "day": always, "rain" if "rain" in words else "dry": always}
    names = [*(name for name in SLICES if name in found), *filter(None, [log.location])]
    return [tuple(name for name in names if found.get(name, always)[step]) for step in range(len(log.keyframes))]


def _turns(log: Log) -> dict[str, Bools]:
    paths, exist = zip(*(truth_of(log, step) for step in range(len(log.keyframes))), strict=True)
    last = np.maximum(np.sum(exist, axis=1) - 1, 0)
    right_m = np.array(paths)[np.arange(len(last)), last, 0]
    left, right = right_m <= -TURN_M, right_m >= TURN_M
    return {"left": left, "straight": ~left & ~right, "right": right, "turning": left | right}


def _speed_mps(log: Log) -> Floats:
    step_mps = np.linalg.norm(np.diff(log.ego_pose[:, :2], axis=0), axis=1) / np.diff(log.time_s)
    return np.concatenate([step_mps[:1], step_mps])


def _in_junction(log: Log) -> Bools:
    tree = shapely.STRtree(shapely.get_parts(log.map.lanes))
    at = shapely.points(log.ego_pose[:, :2])
    # Where lanes overlap several are nearest: one in a junction decides.
    steps, lanes = tree.query_nearest(at, max_distance=_ON_LANE_M)
    inside = np.zeros(len(at), bool)
    inside[steps[log.map.lane_in_junction[lanes]]] = True
    return inside
