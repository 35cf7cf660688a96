"""From Logs to what each planning protocol scores: its samples, its obstacles, the human's path and the planner's.

Everything comes out in the frame of LIDAR_TOP at t0, x right and y forward; for `bev_planner`, which works about the rear
axle, the same axes stand at the rear axle. Boxes are moved in the plane: ego roll and pitch are not part of a Log.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drive_wm.errors import InputError
from drive_wm.geometry import compose, inverse
from drive_wm.log import KINDS, Log
from drive_wm.metrics.planning import DENOMINATOR, STEPS, Protocol

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_VEHICLES = {
    "vehicle.bicycle", "vehicle.bus.bendy", "vehicle.bus.rigid", "vehicle.car", "vehicle.construction", "vehicle.motorcycle",
    "vehicle.trailer", "vehicle.truck",
}  # fmt: skip
_WALKERS = {
    "human.pedestrian.adult", "human.pedestrian.child", "human.pedestrian.construction_worker",
    "human.pedestrian.police_officer",
}  # fmt: skip
# What VAD's category numbers mean in the 23-entry category.json of plain nuScenes, cut to its ten detection classes.
_VAD_LEGACY = {
    "human.pedestrian.police_officer", "human.pedestrian.construction_worker", "vehicle.car", "vehicle.construction",
    "vehicle.trailer", "movable_object.barrier", "movable_object.trafficcone",
}  # fmt: skip
_MOVABLE = ("human.", "vehicle.", "animal", "movable_object.")

# Sources with other category names count as these, by Log.kind.
_BY_KIND = {
    "vehicle": "vehicle.car", "cyclist": "vehicle.bicycle", "pedestrian": "human.pedestrian.adult",
    "static": "movable_object.barrier",
}  # fmt: skip

_VAD_RANGE_M = (15.0, 30.0)  # CustomObjectRangeFilter of its model settings: |x|, |y| at t0
_AT_REAR_AXLE = np.array([0.0, 0.0, -np.pi / 2])


def ego_from_sensor(protocol: Protocol, log: Log) -> Floats:
    """Pose (3,) in the ego frame of the point whose path the protocol scores: LIDAR_TOP, or the rear axle."""
    return _AT_REAR_AXLE if protocol == "bev_planner" else log.ego_from_lidar


def protocol_steps(protocol: Protocol, log: Log) -> list[int]:
    """Keyframes in the protocol's sample set: all of them, or those with six more after them."""
    return list(sampled(protocol, len(log.keyframes)))


def sampled(protocol: Protocol, keyframes: int) -> range:
    """As `protocol_steps`, for a drive of so many keyframes."""
    return range(keyframes - (STEPS if DENOMINATOR[protocol] == "complete" else 0))


def plan_in_lidar(pose: Tensor, ego_from_lidar: Tensor) -> Tensor:
    """Positions (..., 6, 2) of LIDAR_TOP, in its frame at t0, along rear-axle poses (..., T >= 6, 3) in the ego frame at t0.

    The lidar rides on the ego, so the ego's yaw moves it as well.
    """
    if pose.shape[-2] < STEPS or pose.shape[-1] != 3:
        raise InputError(f"A plan has shape {tuple(pose.shape)}; needed: (..., T, 3) with at least {STEPS} steps of 0.5 s.")
    first = pose[..., :STEPS, :]
    mount = ego_from_lidar.to(first).expand_as(first)
    return compose(inverse(mount), compose(first, mount))[..., :2]


def truth_of(log: Log, step: int, protocol: Protocol = "strict") -> tuple[Floats, Bools]:
    """The human's path (6, 2) after this keyframe, and which steps exist (6,); 0 where they do not."""
    valid = step + 1 + np.arange(STEPS) < len(log.keyframes)
    later = torch.from_numpy(log.ego_pose[np.where(valid, step + 1 + np.arange(STEPS), step)])
    now = torch.from_numpy(log.ego_pose[step]).expand_as(later)
    path = plan_in_lidar(compose(inverse(now), later), torch.from_numpy(ego_from_sensor(protocol, log)))
    return np.where(valid[:, None], path.numpy(), 0.0), valid


def protocol_boxes(protocol: Protocol, log: Log, step: int, legacy_index: bool = False) -> list[Floats]:
    """Six arrays (n, 5) x, y, length, width, yaw: the protocol's obstacles 0.5, 1, ... 3 s after this keyframe.

    - `uniad`, `bev_planner`: the seven vehicle classes of nuScenes detection, no pedestrians, no filter.
    - `stp3_vad`: vehicles and pedestrians seen at t0 by a lidar or radar point, within 15 m beside and 30 m ahead or
      behind; their size at t0. `legacy_index` reads the classes as VAD's category numbers do on plain nuScenes.
    - `sparsedrive`: every category, with a lidar or radar point in the future keyframe.
    - `strict`: people, vehicles, animals and movable objects (barriers, cones, debris, carts); no filter.

    An unknown number of points counts as seen. A keyframe past the end has no obstacles.
    """
    return [boxes for _, boxes in protocol_obstacles(protocol, log, step, legacy_index)]


def protocol_obstacles(
    protocol: Protocol, log: Log, step: int, legacy_index: bool = False
) -> list[tuple[NDArray[np.int64], Floats]]:
    """As `protocol_boxes`, each array with the agents (n,) that its boxes are of."""
    wanted = _wanted(protocol, log, legacy_index)
    if protocol == "stp3_vad":
        wanted = wanted & _seen(log, range(step, step + 1))[:, 0] & _in_vad_range(log, step)
    later = range(step + 1, min(step + 1 + STEPS, len(log.keyframes)))
    there = wanted[:, None] & (_seen(log, later) if protocol == "sparsedrive" else log.valid[:, later])
    boxes = _boxes(protocol, log, step, later)
    found = [(np.flatnonzero(there[:, i]), boxes[there[:, i], i]) for i in range(len(later))]
    return found + [(np.zeros(0, np.int64), np.zeros((0, 5)))] * (STEPS - len(later))


def _wanted(protocol: Protocol, log: Log, legacy_index: bool) -> Bools:
    """Agents (A,) of the protocol's classes."""
    names = [_nuscenes_name(name, int(kind)) for name, kind in zip(log.categories, log.kind, strict=True)]
    if protocol == "sparsedrive":
        return np.ones(len(names), bool)
    if protocol == "strict":
        return np.array([name.startswith(_MOVABLE) for name in names], bool)
    classes = _VEHICLES
    if protocol == "stp3_vad":
        classes = _VAD_LEGACY if legacy_index else _VEHICLES | _WALKERS
    return np.array([name in classes for name in names], bool)


def _nuscenes_name(name: str, kind: int) -> str:
    return name if name.startswith((*_MOVABLE, "static_object.")) else _BY_KIND[KINDS[kind]]


def _seen(log: Log, steps: range) -> Bools:
    return log.valid[:, steps] & (log.points[:, steps] != 0)


def _in_vad_range(log: Log, step: int) -> Bools:
    boxes = _boxes("stp3_vad", log, step, range(step, step + 1))
    return (np.abs(boxes[:, 0, :2]) <= _VAD_RANGE_M).all(-1)


def _boxes(protocol: Protocol, log: Log, step: int, at: range) -> Floats:
    """Boxes (A, K, 5) of every agent at these K keyframes, in the protocol's frame at keyframe `step`."""
    poses = np.concatenate([log.position_m[:, at], log.yaw_rad[:, at, None]], -1)
    ego, mount = (torch.from_numpy(p) for p in (log.ego_pose[step], ego_from_sensor(protocol, log)))
    sensor_from_global = inverse(compose(ego, mount)).expand(poses.shape)
    moved = compose(sensor_from_global, torch.from_numpy(poses)).numpy()
    size = np.repeat(log.size_m[:, [step]], len(at), axis=1) if protocol == "stp3_vad" else log.size_m[:, at]
    return np.concatenate([moved[..., :2], size, moved[..., 2:]], -1)
