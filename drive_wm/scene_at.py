"""Log to Scene and Future: the only place that changes frame, crops and pads."""

from copy import copy
from dataclasses import dataclass

import numpy as np
import shapely
import torch
from torch import Tensor

from drive_wm.bev import draw, map_shapes
from drive_wm.errors import InputError
from drive_wm.geometry import inverse, rotate, transform
from drive_wm.log import VEHICLE, Bools, Floats, Ints, Log
from drive_wm.map_crop import element_table, lane_table, pad, wrap
from drive_wm.scene import (
    COMMAND_ORIGINS,
    COMMANDS,
    Future,
    Scene,
    SceneConfig,
    Tracks,
)
from drive_wm.structs import cat

DEFAULT = SceneConfig()
ROUTE_STEP_M = 2.0
COMMAND_AHEAD_M = 30.0  # the route's command looks this far ahead
COMMAND_STEPS = 6  # 3 s, where nuScenes planners read their command
COMMAND_OFFSET_M = 2.0


def scene_at(log: Log, step: int, config: SceneConfig = DEFAULT, command: str = "none") -> tuple[Scene, Future]:
    """What is known at a keyframe, and what then happened; B = 1.

    `command` names its origin: "none", "route" (from log.route) or "ground_truth_offset" (from the future, as papers do).
    """
    return SceneBuilder(log, config).at(step, command)


def scenes_of(log: Log, config: SceneConfig = DEFAULT, command: str = "none") -> tuple[Scene, Future]:
    """Every keyframe of a log, stacked on B."""
    builder = SceneBuilder(log, config)
    scenes, futures = zip(*(builder.at(step, command) for step in range(len(log.keyframes))), strict=True)
    return cat(scenes), cat(futures)


class SceneBuilder:
    """A log whose map is prepared once; `at` then takes milliseconds per keyframe."""

    def __init__(self, log: Log, config: SceneConfig = DEFAULT) -> None:
        self.log, self.config = log, config
        self._is_view = False
        self._boxes = boxes_of(log)
        self._shapes = map_shapes(log.map)
        self._lanes = lane_table(log.map, config.lane_points)
        self._elements = element_table(log.map, config.element_points)

    def with_log(self, log: Log) -> "SceneBuilder":
        """The same prepared map around other boxes or another viewpoint of the drive."""
        builder = copy(self)
        builder.log, builder._boxes, builder._is_view = log, boxes_of(log), True
        return builder

    def shown(self, step: int) -> Ints:
        """What the scene's agents are, in its order: 0 the ego, 1 + i agent i of the log."""
        return self._boxes.nearest(step, self.config.agents)

    def at(self, step: int, command: str = "none") -> tuple[Scene, Future]:
        """Scene and Future of keyframe `step`; B = 1."""
        log, config = self.log, self.config
        if not (log.has_ego or self._is_view):
            raise InputError(f"Log {log.name!r} has no ego; needed: a drive recorded from a vehicle. Leave this log out.")
        if not 0 <= step < len(log.keyframes):
            raise InputError(f"Log {log.name!r} has no step {step}; needed: 0 to {len(log.keyframes) - 1}.")
        pose = torch.from_numpy(log.ego_pose[step])
        shown = self.shown(step)
        past = self._boxes.tracks(shown, step + np.arange(1 - config.history, 1), step, pose, config.agents)
        coming = step + np.arange(1, config.future + 1)
        future = self._boxes.tracks(shown, coming, step, pose, config.agents)
        ego_pose, ego_valid = ego_future(log, coming, pose)
        raster, edge_m = draw(self._shapes, log.ego_pose[step])
        route_m, has_route = _route_ahead(log, pose, config.route_points)
        origin, choice = command_at(command, log, pose, step)
        scene = Scene(
            tracks=past,
            lanes=self._lanes.near(pose, config.lanes),
            elements=self._elements.near(pose, config.elements),
            raster=torch.from_numpy(raster)[None],
            edge_m=torch.from_numpy(edge_m)[None],
            ego_centre_m=torch.tensor([log.ego_centre_m], dtype=torch.float32),
            route_m=route_m[None].float(),
            has_route=torch.tensor([has_route]),
            command=torch.tensor([COMMANDS.index(choice)]),
            command_origin=torch.tensor([COMMAND_ORIGINS.index(origin)]),
            has_ego=torch.tensor([log.has_ego]),
            has_all_traffic=torch.tensor([log.has_all_traffic]),
            has_lanes=torch.tensor([len(log.map.lanes.geoms) > 0]),
            has_raster=torch.tensor([not log.map.drivable.is_empty]),
        )
        return scene, Future(tracks=future, ego_pose=ego_pose[None].float(), ego_valid=ego_valid[None])


@dataclass(frozen=True)
class Boxes:
    """The ego and every other agent of a log, in the global frame."""

    position_m: Floats  # (1 + A, S, 2)
    yaw_rad: Floats  # (1 + A, S)
    velocity_mps: Floats  # (1 + A, S, 2)
    size_m: Floats  # (1 + A, S, 2)
    kind: Ints  # (1 + A,)
    valid: Bools  # (1 + A, S)

    def nearest(self, step: int, limit: int) -> Ints:
        """The ego, then those present, nearest first; to the micrometre, so that ties keep the log's order."""
        away_m = np.linalg.norm(self.position_m[:, step] - self.position_m[0, step], axis=-1).round(6)
        away_m[0] = -1.0
        order = np.argsort(away_m, kind="stable")
        return order[self.valid[order, step]][:limit]

    def tracks(self, shown: Ints, steps: Ints, now: int, pose: Tensor, limit: int) -> Tracks:
        """Tracks (1, limit, T) of the agents shown; steps outside the log are not valid."""
        at = steps.clip(0, self.valid.shape[1] - 1)
        grid = np.ix_(shown, at)
        valid = torch.from_numpy(self.valid[grid] & (at == steps))
        position_m = transform(inverse(pose), torch.from_numpy(self.position_m[grid]))
        velocity_mps = rotate(torch.from_numpy(self.velocity_mps[grid]), -pose[2])
        return Tracks(
            position_m=pad(torch.where(valid[..., None], position_m, 0.0).float(), limit),
            yaw_rad=pad(torch.where(valid, wrap(torch.from_numpy(self.yaw_rad[grid]) - pose[2]), 0.0).float(), limit),
            velocity_mps=pad(torch.where(valid[..., None], velocity_mps, 0.0).float(), limit),
            size_m=pad(torch.from_numpy(self.size_m[shown, now]).float(), limit),
            kind=pad(torch.from_numpy(self.kind[shown]), limit),
            valid=pad(valid, limit),
        )


def boxes_of(log: Log) -> Boxes:
    heading = np.stack([np.cos(log.ego_pose[:, 2]), np.sin(log.ego_pose[:, 2])], axis=-1)
    ego_m = log.ego_pose[:, :2] + log.ego_centre_m * heading
    steps = len(log.keyframes)
    position_m = np.concatenate([ego_m[None], log.position_m])
    valid = np.concatenate([np.ones((1, steps), bool), log.valid])
    # Backward difference: a centred one, as the devkit's box_velocity, reads the next frame, the future to be predicted.
    velocity_mps = np.zeros_like(position_m)
    velocity_mps[:, 1:] = np.diff(position_m, axis=1) / np.diff(log.time_s)[:, None]
    velocity_mps[:, 1:][~(valid[:, 1:] & valid[:, :-1])] = 0.0
    return Boxes(
        position_m=position_m,
        yaw_rad=np.concatenate([log.ego_pose[None, :, 2], log.yaw_rad]),
        velocity_mps=velocity_mps,
        size_m=np.concatenate([np.broadcast_to(log.ego_size_m, (1, steps, 2)), log.size_m]),
        kind=np.concatenate([[VEHICLE], log.kind]),
        valid=valid,
    )


def ego_future(log: Log, steps: Ints, pose: Tensor) -> tuple[Tensor, Tensor]:
    """Rear-axle poses (T, 3) in the ego frame and whether the log reaches them (T,)."""
    at = steps.clip(0, len(log.keyframes) - 1)
    valid = torch.from_numpy(at == steps)
    reached = torch.from_numpy(log.ego_pose[at])
    position_m = transform(inverse(pose), reached[:, :2])
    ego_pose = torch.cat([position_m, wrap(reached[:, 2:] - pose[2])], dim=-1)
    return torch.where(valid[:, None], ego_pose, 0.0), valid


def _route_ahead(log: Log, pose: Tensor, points: int) -> tuple[Tensor, bool]:
    """Points (R, 2) in the ego frame, 2 m apart from the ego's projection on; zeros where there is no route."""
    if log.route.is_empty:
        return torch.zeros(points, 2), False
    with np.errstate(invalid="ignore"):  # GEOS raises the flag on sound input
        start_m = log.route.project(shapely.Point(pose[:2].tolist()))
    along_m = start_m + ROUTE_STEP_M * np.arange(points)
    at = shapely.get_coordinates(shapely.line_interpolate_point(log.route, along_m.clip(max=log.route.length)))
    return transform(inverse(pose), torch.from_numpy(at)), True


def command_at(origin: str, log: Log, pose: Tensor, step: int) -> tuple[str, str]:
    """Origin and command; where the log cannot tell, the origin is "none"."""
    if origin not in COMMAND_ORIGINS:
        raise InputError(f"No command origin {origin!r}; needed: one of {', '.join(COMMAND_ORIGINS)}.")
    if origin == "route" and not log.route.is_empty:
        route_m, _ = _route_ahead(log, pose, int(COMMAND_AHEAD_M / ROUTE_STEP_M) + 1)
        return origin, _side(float(route_m[-1, 1] - route_m[0, 1]))
    if origin == "ground_truth_offset" and step + 1 < len(log.keyframes):
        last = min(step + COMMAND_STEPS, len(log.keyframes) - 1)
        # The papers measure where LIDAR_TOP goes, which swings out ahead of the rear axle.
        lidar = torch.from_numpy(log.ego_from_lidar[None, :2])
        then_m = transform(inverse(pose), transform(torch.from_numpy(log.ego_pose[last]), lidar))
        return origin, _side(float((then_m - lidar)[0, 1]))
    return "none", "straight"


def _side(left_m: float) -> str:
    return "left" if left_m >= COMMAND_OFFSET_M else "right" if left_m <= -COMMAND_OFFSET_M else "straight"
