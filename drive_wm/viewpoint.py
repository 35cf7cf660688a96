"""A drive seen from another vehicle: the agent takes the ego's place, the ego joins the others."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from torch import Tensor

from drive_wm.errors import InputError
from drive_wm.log import VEHICLE, Floats, Log
from drive_wm.scene import Future, Scene, SceneConfig
from drive_wm.scene_at import SceneBuilder

TOGETHER = 64  # keyframes; a drive of nuScenes has 40


def views_of(log: Log, config: SceneConfig) -> Iterator[tuple[Scene, Future]]:
    """Every keyframe seen from the ego, where the drive has one, then every target of the log seen from itself; some at a time,
    stacked on B; raster and distance to its border in bytes, as a cache keeps them.
    """
    builder = SceneBuilder(log, config, stored=True)
    if log.has_ego:
        keyframes = range(len(log.keyframes))
        yield from (builder.over(keyframes[start : start + TOGETHER]) for start in keyframes[::TOGETHER])
    for agent, step in log.targets.tolist():
        scene, future, _ = target_view(builder, agent, step)
        yield scene, future


def target_view(builder: SceneBuilder, agent: int, step: int) -> tuple[Scene, Future, Tensor]:
    """The scene seen from an agent, which is agent 0 whatever its distance from the ego, what then happened, B = 1, and
    global_from_ego (3,).

    Nothing after the keyframe goes into the Scene. Its past reaches back as far as the agent is there at every keyframe, and
    the Future of everyone ends where the agent is gone.
    """
    seen = builder.log.valid[agent]
    first, last = step, step
    while first > max(step + 1 - builder.config.history, 0) and seen[first - 1]:
        first -= 1
    while last < min(step + builder.config.future, len(seen) - 1) and seen[last + 1]:
        last += 1
    view = seen_from(builder.log, agent, range(first, last + 1), now=step)
    scene, future = builder.with_log(view).at(step - first)
    return scene, future, torch.from_numpy(view.ego_pose[step - first])


def seen_from(log: Log, agent: int, steps: range, now: int) -> Log:
    """The log of these keyframes with this agent as agent 0, the former ego last among the others; `has_ego` is False.

    Its reference point lies as far behind its box centre, in lengths, as the ego's rear axle; its size is that at keyframe
    `now`. Raises InputError where the agent is not there at one of the keyframes.
    """
    at = slice(steps.start, steps.stop)
    if not len(steps) or not log.valid[agent, at].all():
        span = f"{steps.start} to {steps.stop - 1}"
        raise InputError(f"Log {log.name!r}: agent {log.agents[agent]!r} is not there at every keyframe from {span}.")
    others = np.arange(len(log.agents)) != agent
    centre_m = log.ego_centre_m / log.ego_size_m[0] * log.size_m[agent, now, 0]
    joins = int(log.has_ego)

    def with_ego(values: NDArray[Any], ego: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([values[others, at], np.broadcast_to(ego, (joins, *values[:1, at].shape[1:]))])

    return replace(
        log,
        keyframes=log.keyframes[at],
        agents=(*(name for name, kept in zip(log.agents, others, strict=True) if kept), *["ego"] * joins),
        categories=(*(name for name, kept in zip(log.categories, others, strict=True) if kept), *["vehicle.car"] * joins),
        time_s=log.time_s[at],
        ego_pose=_poses(log.position_m[agent, at], log.yaw_rad[agent, at], -centre_m),
        ego_size_m=log.size_m[agent, now],
        ego_centre_m=float(centre_m),
        position_m=with_ego(log.position_m, _poses(log.ego_pose[at, :2], log.ego_pose[at, 2], log.ego_centre_m)[:, :2]),
        yaw_rad=with_ego(log.yaw_rad, log.ego_pose[at, 2]),
        size_m=with_ego(log.size_m, log.ego_size_m),
        kind=np.append(log.kind[others], [VEHICLE] * joins).astype(np.int64),
        points=with_ego(log.points, np.array(-1)),
        visibility=with_ego(log.visibility, np.array(0)),
        valid=with_ego(log.valid, np.array(True)),
        route=shapely.LineString(),
        targets=np.zeros((0, 2), np.int64),
        has_ego=False,
    )


def _poses(position_m: Floats, yaw_rad: Floats, ahead_m: float) -> Floats:
    """Poses (S, 3) moved along their own heading."""
    heading = np.stack([np.cos(yaw_rad), np.sin(yaw_rad)], -1)
    return np.concatenate([position_m + ahead_m * heading, yaw_rad[:, None]], -1)
