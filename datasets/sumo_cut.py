"""One ego's 20 s out of a simulation, as a Log."""

from dataclasses import replace

import numpy as np
import shapely
from shapely import ops
from shapely.geometry.base import BaseGeometry

from drive_wm.datasets.sumo_map import crop, mirror
from drive_wm.datasets.sumo_runs import BEYOND_M, KEYFRAME_STEPS, KEYFRAMES, WINDOW_STEPS, Run, Window
from drive_wm.datasets.sumo_simulation import STEP_S, Trace
from drive_wm.datasets.sumo_tracks import EGO_CENTRE_M, wheeled
from drive_wm.datasets.sumo_traffic import CATEGORIES, EGO_SIZE_M
from drive_wm.datasets.sumo_visibility import visibility_of
from drive_wm.log import Bools, Floats, Ints, Log

SEEN_M, MAP_M = 100.0, 120.0
HAPPENS = {
    "cut_in": "a car cuts in", "hard_brake": "the car ahead brakes hard", "stopped_vehicle": "the car ahead stops in its lane",
    "red_light_runner": "a car runs a red light", "jaywalker": "a pedestrian steps into the road",
}  # fmt: skip
LIDAR_AHEAD_M = 0.943713  # LIDAR_TOP of nuScenes looks to the right: x right, y forward


def cut(run: Run, window: Window, name: str, others: dict[str, Trace] | None = None, along: BaseGeometry | None = None) -> Log:
    """The Log of one ego over 20 s: with these others, and the map along this way; by default those near this ego."""
    steps = _steps(window)
    ego = run.traces[window.ego]
    ego_pose = wheeled(ego)[steps - ego.first_step]
    others = near(run, window) if others is None else others
    poses, valid = _tracks(run, list(others), steps)
    kinds = [CATEGORIES[trace.type.rstrip("0123456789")] for trace in others.values()]
    sizes_m = np.array([trace.size_m for trace in others.values()]).reshape(-1, 1, 2)
    log = Log(
        name=name, source="sumo", location=f"sumo-{run.net.kind.replace(' ', '-')}",
        description=_describe(run, window, ego_pose), keyframes=tuple(f"{name}-{i:02d}" for i in range(KEYFRAMES)),
        agents=tuple(others), categories=tuple(category for category, _ in kinds), time_s=steps * STEP_S,
        ego_pose=ego_pose, ego_size_m=np.array(EGO_SIZE_M), ego_centre_m=EGO_CENTRE_M,
        ego_from_lidar=np.array([LIDAR_AHEAD_M, 0.0, -np.pi / 2]),
        position_m=poses[..., :2], yaw_rad=poses[..., 2], size_m=sizes_m * valid[:, :, None],
        kind=np.array([kind for _, kind in kinds], np.int64), points=np.full(valid.shape, -1, np.int64),
        visibility=np.zeros(valid.shape, np.int64), valid=valid,
        map=crop(run.roads.map, (shapely.LineString(ego_pose[:, :2]) if along is None else along).buffer(MAP_M)),
        route=_route(run, window), targets=np.zeros((0, 2), np.int64),
        has_ego=True, has_all_traffic=True,
    )  # fmt: skip
    log = replace(log, visibility=visibility_of(log))
    return mirrored(log) if run.left_hand else log


def near(run: Run, window: Window) -> dict[str, Trace]:
    """Who comes near the ego within the window."""
    steps = _steps(window)
    ids = [id for id in run.traces if id != window.ego]
    poses, valid = _tracks(run, ids, steps)
    apart_m = np.linalg.norm(poses[..., :2] - run.boxes[window.ego][steps - run.traces[window.ego].first_step, :2], axis=-1)
    close = (valid & (apart_m < SEEN_M)).any(axis=1)
    return {id: run.traces[id] for id, is_close in zip(ids, close, strict=True) if is_close}


def _steps(window: Window) -> Ints:
    return window.first_step + KEYFRAME_STEPS * np.arange(KEYFRAMES)


def _tracks(run: Run, ids: list[str], steps: Ints) -> tuple[Floats, Bools]:
    """Box poses (A, S, 3), 0 where absent, and presence (A, S)."""
    poses, valid = np.zeros((len(ids), len(steps), 3)), np.zeros((len(ids), len(steps)), bool)
    for row, id in enumerate(ids):
        if id in run.traces:
            own = steps - run.traces[id].first_step
            valid[row] = (own >= 0) & (own < len(run.boxes[id]))
            poses[row, valid[row]] = run.boxes[id][own[valid[row]]]
    return poses, valid


def _route(run: Run, window: Window) -> shapely.LineString:
    """The centreline of the lanes that lead where the ego goes, from beside its first pose to BEYOND_M past its last.

    On a street that the ego enters on one lane and leaves on another, the line passes evenly from one to the other.
    """
    trace = run.traces[window.ego]
    poses = wheeled(trace)
    first = window.first_step - trace.first_step
    visits: list[tuple[str, str, str]] = []  # edge, lane at entry, lane at exit
    for lane in trace.lanes[max(0, first - 30) :]:
        edge = lane.rsplit("_", 1)[0]
        if lane and visits and visits[-1][0] == edge:
            visits[-1] = (edge, visits[-1][1], lane)
        elif lane:
            visits.append((edge, lane, lane))
    points = np.concatenate([_blend(run.roads.shape_m[a], run.roads.shape_m[b]) for _, a, b in visits])
    line = shapely.remove_repeated_points(shapely.LineString(points), 0.1)
    ends = [line.project(shapely.Point(poses[i, :2])) for i in (first, first + WINDOW_STEPS)]
    return ops.substring(line, ends[0], ends[1] + BEYOND_M)


def _blend(entry_m: Floats, exit_m: Floats) -> Floats:
    """Centreline from the start of one lane to the end of its neighbour."""
    if entry_m is exit_m:
        return entry_m
    share = np.linspace(0.0, 1.0, 40)
    a, b = (shapely.line_interpolate_point(shapely.LineString(p), share, normalized=True) for p in (entry_m, exit_m))
    weight = (share**2 * (3 - 2 * share))[:, None]
    return (1 - weight) * shapely.get_coordinates(a) + weight * shapely.get_coordinates(b)


def _describe(run: Run, window: Window, ego_pose: Floats) -> str:
    turned = float(np.unwrap(ego_pose[:, 2])[-1] - ego_pose[0, 2]) * (-1 if run.left_hand else 1)
    way = "turns left" if turned > 0.8 else "turns right" if turned < -0.8 else "drives on"
    event = f"; {HAPPENS[window.event.kind]}" if window.event else ""
    return f"{run.net.kind}: the ego {way}{event}"


def mirrored(log: Log) -> Log:
    """The same drive where traffic keeps left."""
    flip = np.array([1.0, -1.0])
    return replace(
        log, ego_pose=log.ego_pose * [1, -1, -1], position_m=log.position_m * flip, yaw_rad=-log.yaw_rad,
        map=mirror(log.map), route=shapely.transform(log.route, lambda points: points * flip),
    )  # fmt: skip
