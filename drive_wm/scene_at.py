"""Log to Scene and Future: the only place that changes frame, crops and pads."""

from copy import copy

import numpy as np
import shapely
import torch
from torch import Tensor

from drive_wm.bev import Canvas
from drive_wm.errors import InputError
from drive_wm.log import Bools, Floats, Ints, Log
from drive_wm.log_boxes import boxes_of
from drive_wm.map_crop import element_table, from_ego, lane_table, single, to_ego, wrap
from drive_wm.scene import (
    COMMAND_ORIGINS,
    COMMANDS,
    Future,
    Scene,
    SceneConfig,
)

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
    return SceneBuilder(log, config).over(range(len(log.keyframes)), command)


class SceneBuilder:
    """A log whose map is prepared once; `at` then takes milliseconds per keyframe, and `over` less for many.

    `stored`: raster and edge_m are in the bytes that a cache keeps (raster_bytes).
    """

    def __init__(self, log: Log, config: SceneConfig = DEFAULT, stored: bool = False) -> None:
        self.log, self.config, self._stored = log, config, stored
        self._is_view = False
        self._boxes = boxes_of(log)
        ego_poses = log.ego_pose if log.has_ego else log.ego_pose[:0]
        agent, step = log.targets.T
        targets = np.concatenate([log.position_m[agent, step], log.yaw_rad[agent, step, None]], axis=1)
        self._canvas = Canvas(log.map, np.concatenate([ego_poses, targets]))
        self._lanes = lane_table(log.map, config.lane_points)
        self._elements = element_table(log.map, config.element_points)

    def with_log(self, log: Log) -> "SceneBuilder":
        """The same prepared map around other boxes or another viewpoint of the drive."""
        builder = copy(self)
        builder.log, builder._boxes, builder._is_view = log, boxes_of(log), True
        return builder

    def shown(self, step: int) -> Ints:
        """What the scene's agents are, in its order: 0 the ego, 1 + i agent i of the log."""
        shown, there = self._boxes.nearest(np.array([step]), self.config.agents)
        return shown[there]

    def at(self, step: int, command: str = "none") -> tuple[Scene, Future]:
        """Scene and Future of keyframe `step`; B = 1."""
        return self.over(range(step, step + 1), command)

    def over(self, steps: range, command: str = "none") -> tuple[Scene, Future]:
        """Scenes and Futures of some keyframes, stacked on B."""
        log, config = self.log, self.config
        if not (log.has_ego or self._is_view):
            raise InputError(f"Log {log.name!r} has no ego; needed: a drive recorded from a vehicle. Leave this log out.")
        wrong = [step for step in steps if not 0 <= step < len(log.keyframes)]
        if wrong:
            raise InputError(f"Log {log.name!r} has no step {wrong[0]}; needed: 0 to {len(log.keyframes) - 1}.")
        now = np.array(steps)
        poses = log.ego_pose[now]
        shown = self._boxes.nearest(now, config.agents)
        past = self._boxes.tracks(*shown, now, np.arange(1 - config.history, 1), poses)
        ahead = np.arange(1, config.future + 1)
        future = self._boxes.tracks(*shown, now, ahead, poses)
        ego_pose, ego_valid = ego_future(log, now[:, None] + ahead, poses)
        raster, edge_m = self._canvas.crop(poses, self._stored)
        origins, commands = zip(*(command_at(command, log, step) for step in steps), strict=True)

        def each(value: bool | float) -> Tensor:
            return torch.full((len(now),), value)

        scene = Scene(
            tracks=past,
            lanes=self._lanes.near(poses, config.lanes),
            elements=self._elements.near(poses, config.elements),
            raster=raster,
            edge_m=edge_m,
            ego_centre_m=each(float(log.ego_centre_m)),
            route_m=single(_route_ahead(log, poses, config.route_points)),
            has_route=each(not log.route.is_empty),
            command=torch.tensor([COMMANDS.index(choice) for choice in commands]),
            command_origin=torch.tensor([COMMAND_ORIGINS.index(origin) for origin in origins]),
            has_ego=each(log.has_ego),
            has_all_traffic=each(log.has_all_traffic),
            has_lanes=each(len(log.map.lanes.geoms) > 0),
            has_raster=each(not log.map.drivable.is_empty),
        )
        return scene, Future(tracks=future, ego_pose=single(ego_pose), ego_valid=torch.from_numpy(ego_valid))


def ego_future(log: Log, steps: Ints, poses: Floats) -> tuple[Floats, Bools]:
    """Rear-axle poses (B, T, 3) in the ego frame and whether the log reaches them (B, T)."""
    at = steps.clip(0, len(log.keyframes) - 1)
    valid = at == steps
    reached = log.ego_pose[at]
    yaw_rad = wrap(reached[..., 2:] - poses[:, None, 2:])
    return np.where(valid[..., None], np.concatenate([to_ego(reached[..., :2], poses), yaw_rad], axis=-1), 0.0), valid


def _route_ahead(log: Log, poses: Floats, points: int) -> Floats:
    """Points (B, R, 2) in the ego frame, 2 m apart from the ego's projection on; zeros where there is no route."""
    if log.route.is_empty:
        return np.zeros((len(poses), points, 2))
    with np.errstate(invalid="ignore"):  # GEOS raises the flag on sound input
        start_m = shapely.line_locate_point(log.route, shapely.points(poses[:, :2]))
    along_m = start_m[:, None] + ROUTE_STEP_M * np.arange(points)
    at = shapely.line_interpolate_point(log.route, along_m.clip(max=log.route.length))
    return to_ego(np.stack([shapely.get_x(at), shapely.get_y(at)], axis=-1), poses)


def command_at(origin: str, log: Log, step: int) -> tuple[str, str]:
    """Origin and command; where the log cannot tell, the origin is "none"."""
    if origin not in COMMAND_ORIGINS:
        raise InputError(f"No command origin {origin!r}; needed: one of {', '.join(COMMAND_ORIGINS)}.")
    pose = log.ego_pose[step : step + 1]
    if origin == "route" and not log.route.is_empty:
        [route_m] = _route_ahead(log, pose, int(COMMAND_AHEAD_M / ROUTE_STEP_M) + 1)
        return origin, _side(route_m[-1, 1] - route_m[0, 1])
    if origin == "ground_truth_offset" and step + 1 < len(log.keyframes):
        last = min(step + COMMAND_STEPS, len(log.keyframes) - 1)
        # The papers measure where LIDAR_TOP goes, which swings out ahead of the rear axle.
        lidar_m = log.ego_from_lidar[:2]
        [then_m] = to_ego(from_ego(lidar_m, log.ego_pose[last : last + 1]), pose)
        return origin, _side(then_m[1] - lidar_m[1])
    return "none", "straight"


def _side(left_m: float) -> str:
    return "left" if left_m >= COMMAND_OFFSET_M else "right" if left_m <= -COMMAND_OFFSET_M else "straight"
