"""From SUMO's front bumpers to boxes that move as wheels let them."""

import math

import numpy as np
import torch

from drive_wm.boxes import Boxes, overlap
from drive_wm.datasets.sumo_simulation import STEP_S, Trace
from drive_wm.datasets.sumo_traffic import EGO_SIZE_M
from drive_wm.log import Bools, Floats

EGO_CENTRE_M = 1.443713
REAR_SHARE = 0.5 - EGO_CENTRE_M / EGO_SIZE_M[0]  # of the length lies behind the rear axle
FRONT_SHARE = 0.19  # of the length lies ahead of the front axle
STRIDE_STEPS = 3  # a pedestrian's heading is that of the way from 3 steps before to 3 steps after
STANDING_MPS = 0.25
LOOK_STEPS = 3  # overlaps are looked for this often
LONGEST_M = 13.0  # no two boxes whose centres are this far apart overlap


def wheeled(trace: Trace) -> Floats:
    """Rear-axle poses (N, 3) x m, y m, yaw rad at 10 Hz.

    SUMO's bumper follows its lane, and its angle jumps with the lane's corners. Here the front axle follows the
    lane and drags the rear axle, which therefore moves along its heading (a tractrix), as a unicycle does.
    """
    length_m = trace.size_m[0]
    front = np.array(trace.front)
    yaw = math.pi / 2 - np.radians(front[:, 2])
    guide = front[:, :2] - FRONT_SHARE * length_m * np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    wheelbase_m = (1 - REAR_SHARE - FRONT_SHARE) * length_m
    x = float(guide[0, 0]) - wheelbase_m * math.cos(yaw[0])
    y = float(guide[0, 1]) - wheelbase_m * math.sin(yaw[0])
    poses = []
    for guide_x, guide_y in guide.tolist():
        heading = math.atan2(guide_y - y, guide_x - x)
        x, y = guide_x - wheelbase_m * math.cos(heading), guide_y - wheelbase_m * math.sin(heading)
        poses.append((x, y, heading))
    return np.array(poses)


def box_centres(poses: Floats, length_m: float) -> Floats:
    """Box poses (N, 3) for rear-axle poses (N, 3)."""
    ahead_m = (0.5 - REAR_SHARE) * length_m
    return poses + ahead_m * np.stack([np.cos(poses[:, 2]), np.sin(poses[:, 2]), np.zeros(len(poses))], axis=1)


def walking(trace: Trace) -> Floats:
    """Box poses (N, 3) of a pedestrian: SUMO's stripes make people hop sideways, so positions are averaged over 0.7 s."""
    front = np.array(trace.front)
    padded = np.pad(front[:, :2], ((STRIDE_STEPS, STRIDE_STEPS), (0, 0)), mode="edge")
    width = 2 * STRIDE_STEPS + 1
    at_m = np.stack([np.convolve(padded[:, i], np.full(width, 1 / width), "valid") for i in (0, 1)], axis=1)
    ahead = np.pad(at_m, ((0, STRIDE_STEPS), (0, 0)), mode="edge")[STRIDE_STEPS:]
    behind = np.pad(at_m, ((STRIDE_STEPS, 0), (0, 0)), mode="edge")[: len(at_m)]
    way = ahead - behind
    moving = np.linalg.norm(way, axis=1) > STANDING_MPS * 2 * STRIDE_STEPS * STEP_S
    yaw = np.where(moving, np.arctan2(way[:, 1], way[:, 0]), math.pi / 2 - np.radians(front[:, 2]))
    # Whoever stands keeps the heading of the last step.
    last = np.maximum.accumulate(np.where(moving, np.arange(len(yaw)), 0))
    return np.concatenate([at_m, yaw[last][:, None]], axis=1)


def poses_of(trace: Trace) -> Floats:
    """Box poses (N, 3) of whoever it is."""
    if trace.type.startswith("walker"):
        return walking(trace)
    return box_centres(wheeled(trace), trace.size_m[0])


def overlaps(traces: dict[str, Trace], boxes: dict[str, Floats], some: list[str], others: list[str]) -> Bools:
    """Where two road users share ground: (some, others, steps / LOOK_STEPS); nobody does with themselves."""
    steps = max((t.first_step + len(t.front) for t in traces.values()), default=0)
    a, b = _dense(traces, boxes, some, steps), _dense(traces, boxes, others, steps)
    apart_m = np.hypot(*np.moveaxis(a[:, None, :, :2] - b[None, :, :, :2], -1, 0))
    shared = apart_m < LONGEST_M  # and no comparison with an absent one, which is not a number, holds
    shared &= np.array([[id != other for other in others] for id in some], bool).reshape(len(some), len(others), 1)
    row, column, step = np.nonzero(shared)
    one = _boxes(a[row, step], np.array([traces[id].size_m for id in some]).reshape(-1, 2)[row])
    other = _boxes(b[column, step], np.array([traces[id].size_m for id in others]).reshape(-1, 2)[column])
    shared[row, column, step] = overlap(one, other).numpy()
    return shared


def _dense(traces: dict[str, Trace], boxes: dict[str, Floats], ids: list[str], steps: int) -> Floats:
    """Box poses (A, T, 3) every LOOK_STEPS steps, not a number where absent."""
    poses = np.full((len(ids), steps, 3), np.nan)
    for row, id in enumerate(ids):
        poses[row, traces[id].first_step :][: len(boxes[id])] = boxes[id]
    return poses[:, ::LOOK_STEPS]


def _boxes(poses: Floats, size_m: Floats) -> Boxes:
    seen = torch.from_numpy(poses)
    return Boxes(seen[:, :2], seen[:, 2], torch.from_numpy(size_m))
