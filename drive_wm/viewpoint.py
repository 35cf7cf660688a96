"""A drive seen from another vehicle: the agent takes the ego's place, the ego joins the others."""

from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from drive_wm.errors import InputError
from drive_wm.log import VEHICLE, Floats, Log


def seen_from(log: Log, agent: int, steps: range) -> Log:
    """The log of these keyframes with this agent as agent 0, the former ego last among the others; `has_ego` is False.

    Its reference point lies as far behind its box centre, in lengths, as the ego's rear axle. Raises InputError where the
    agent is not there at one of the keyframes.
    """
    at = slice(steps.start, steps.stop)
    if not len(steps) or not log.valid[agent, at].all():
        span = f"{steps.start} to {steps.stop - 1}"
        raise InputError(f"Log {log.name!r}: agent {log.agents[agent]!r} is not there at every keyframe from {span}.")
    others = np.arange(len(log.agents)) != agent
    centre_m = log.ego_centre_m / log.ego_size_m[0] * log.size_m[agent, steps[-1], 0]

    def with_ego(values: NDArray[Any], ego: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([values[others, at], np.broadcast_to(ego, (1, *values[:1, at].shape[1:]))])

    return replace(
        log,
        keyframes=log.keyframes[at],
        agents=(*(name for name, kept in zip(log.agents, others, strict=True) if kept), "ego"),
        categories=(*(name for name, kept in zip(log.categories, others, strict=True) if kept), "vehicle.car"),
        time_s=log.time_s[at],
        ego_pose=_poses(log.position_m[agent, at], log.yaw_rad[agent, at], -centre_m),
        ego_size_m=log.size_m[agent, steps[-1]],
        ego_centre_m=float(centre_m),
        position_m=with_ego(log.position_m, _poses(log.ego_pose[at, :2], log.ego_pose[at, 2], log.ego_centre_m)[:, :2]),
        yaw_rad=with_ego(log.yaw_rad, log.ego_pose[at, 2]),
        size_m=with_ego(log.size_m, log.ego_size_m),
        kind=np.append(log.kind[others], VEHICLE),
        points=with_ego(log.points, np.array(-1)),
        visibility=with_ego(log.visibility, np.array(0)),
        valid=with_ego(log.valid, np.array(True)),
        route=shapely.LineString(),
        has_ego=False,
    )


def _poses(position_m: Floats, yaw_rad: Floats, ahead_m: float) -> Floats:
    """Poses (S, 3) moved along their own heading."""
    heading = np.stack([np.cos(yaw_rad), np.sin(yaw_rad)], -1)
    return np.concatenate([position_m + ahead_m * heading, yaw_rad[:, None]], -1)
