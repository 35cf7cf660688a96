"""A recorded drive at any time, and the same drive with another ending: what a simulation starts from and shows a planner."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from drive_wm.bicycle import WHEELBASE_PER_LENGTH, CarState
from drive_wm.kinematics import DT_S
from drive_wm.log import Bools, Floats, Log

STANDS_MPS = 0.5  # below, a turn rate says nothing of the steering


@dataclass(frozen=True)
class Others:
    """The A agents of a log at J times; where not valid, the rest is 0."""

    position_m: Floats  # (A, J, 2)
    yaw_rad: Floats  # (A, J)
    size_m: Floats  # (A, J, 2)
    valid: Bools  # (A, J)


class Human:
    """How the ego was driven: a cubic spline through the keyframes; beyond either end it keeps speed and heading."""

    def __init__(self, log: Log) -> None:
        self._first_s, self._last_s = log.time_s[0], log.time_s[-1]
        pose = np.concatenate([log.ego_pose[:, :2], np.unwrap(log.ego_pose[:, 2])[:, None]], axis=1)
        self._spline = CubicSpline(log.time_s, pose)
        self._wheelbase_m = WHEELBASE_PER_LENGTH * log.ego_size_m[0]

    def pose(self, time_s: Floats) -> Floats:
        """Rear-axle poses (..., 3) in the global frame."""
        inside = time_s.clip(self._first_s, self._last_s)
        pose = self._spline(inside)
        beyond = self._spline(inside, 1) * (time_s - inside)[..., None]
        beyond[..., 2] = 0.0
        return np.asarray(pose + beyond)

    def speed_mps(self, time_s: Floats) -> Floats:
        return self._along(time_s, 1)

    def accel_mps2(self, time_s: Floats) -> Floats:
        outside = (time_s < self._first_s) | (time_s > self._last_s)
        return np.where(outside, 0.0, self._along(time_s, 2))

    def car(self, time_s: Floats) -> CarState:
        """The ego (B,) as it was driven at these times."""
        inside = time_s.clip(self._first_s, self._last_s)
        speed_mps = self.speed_mps(time_s).clip(min=0.0)
        bend = np.where(speed_mps > STANDS_MPS, self._spline(inside, 1)[..., 2] / speed_mps.clip(min=STANDS_MPS), 0.0)
        steering_rad = np.arctan(self._wheelbase_m * bend)
        found = (self.pose(time_s), speed_mps, self.accel_mps2(time_s), steering_rad)
        return CarState(*(torch.from_numpy(np.asarray(x)) for x in found))

    def _along(self, time_s: Floats, order: int) -> Floats:
        """Derivative of the position, along the heading."""
        inside = time_s.clip(self._first_s, self._last_s)
        yaw_rad, rate = self._spline(inside)[..., 2], self._spline(inside, order)
        return np.asarray(rate[..., 0] * np.cos(yaw_rad) + rate[..., 1] * np.sin(yaw_rad))


def others_at(log: Log, time_s: Floats) -> Others:
    """The agents at times (J,), straight between keyframes; valid where both keyframes around are."""
    after = np.searchsorted(log.time_s, time_s - 1e-9).clip(1, len(log.time_s) - 1)
    before = after - 1
    share = (time_s - log.time_s[before]) / (log.time_s[after] - log.time_s[before])
    inside = (share > -1e-6) & (share < 1 + 1e-6)
    valid = (log.valid[:, before] | (share > 1 - 1e-6)) & (log.valid[:, after] | (share < 1e-6)) & inside
    share = share.clip(0.0, 1.0)
    turn = (log.yaw_rad[:, after] - log.yaw_rad[:, before] + np.pi) % (2 * np.pi) - np.pi

    def mixed(values: Floats) -> Floats:
        weight = share[:, None] if values.ndim == 3 else share
        return values[:, before] * (1 - weight) + values[:, after] * weight

    # Sizes do not change between keyframes; an agent seen at one of the two alone has the other's as 0.
    size_m = np.maximum(log.size_m[:, before], log.size_m[:, after])
    shown = valid[..., None]
    return Others(
        np.where(shown, mixed(log.position_m), 0.0),
        np.where(valid, log.yaw_rad[:, before] + share * turn, 0.0),
        np.where(shown, size_m, 0.0),
        valid,
    )


def with_ending(log: Log, step: int, ego_pose: Floats, others: Others) -> Log:
    """The drive up to a keyframe, then ego poses (N, 3) and others at N steps of 0.5 s; nothing recorded later is left."""
    kept, count = slice(0, step + 1), len(ego_pose)
    later_s = log.time_s[step] + DT_S * np.arange(1, count + 1)
    unknown = np.full((len(log.agents), count), -1)

    def then(values: NDArray[Any], more: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([values[:, kept], more], axis=1)

    return replace(
        log,
        keyframes=(*log.keyframes[kept], *(f"{log.keyframes[step]} + {n * DT_S} s" for n in range(1, count + 1))),
        time_s=np.concatenate([log.time_s[kept], later_s]),
        ego_pose=np.concatenate([log.ego_pose[kept], ego_pose]),
        position_m=then(log.position_m, others.position_m),
        yaw_rad=then(log.yaw_rad, others.yaw_rad),
        size_m=then(log.size_m, others.size_m),
        points=then(log.points, unknown),
        visibility=then(log.visibility, np.zeros_like(unknown)),
        valid=then(log.valid, others.valid),
    )
