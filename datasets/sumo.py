"""Logs from SUMO traffic: varied roads, drivers and rare events, the same for the same seed."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
import shapely
from drive_wm.datasets.sumo_events import Event, Stage
from drive_wm.datasets.sumo_map import Roads, crop, mirror, read_roads
from drive_wm.datasets.sumo_networks import NETWORKS, Network, compile_network
from drive_wm.datasets.sumo_simulation import STEP_S, Recording, Trace, simulate, sumo_module
from drive_wm.datasets.sumo_tracks import EGO_CENTRE_M, poses_of, wheeled
from drive_wm.datasets.sumo_traffic import CATEGORIES, EGO_SIZE_M, EGO_TYPE, write_traffic
from shapely import ops

from drive_wm.log import Bools, Floats, Log

KEYFRAME_STEPS = 5  # 0.5 s
KEYFRAMES = 41  # 20 s
RUN_S, QUIET_START_S = 85.0, 15.0
LOGS_PER_RUN = 6
BEFORE_M, BEYOND_M = 30.0, 65.0  # the ego drives this far before its log begins, and after it ends
SEEN_M, MAP_M = 100.0, 120.0
LIDAR_AHEAD_M = 0.943713  # LIDAR_TOP of nuScenes looks to the right: x right, y forward
LEFT_HAND_SHARE = 0.4
WINDOW_STEPS = (KEYFRAMES - 1) * KEYFRAME_STEPS


@dataclass(frozen=True)
class Run:
    """One simulation of one network, ready to be cut into Logs."""

    net: Network
    roads: Roads
    recording: Recording
    boxes: dict[str, Floats]  # (N, 3) box poses at 10 Hz, from the trace's first step on
    left_hand: bool


def read_logs(scenes: int, seed: int) -> Iterator[Log]:
    """Yield that many Logs of 20 s; the same seed gives the same Logs, bit for bit.

    Raises InputError where the `sumo` extra is not installed.
    """
    made = 0
    for index in count():
        rng = np.random.default_rng([seed, index])
        run = run_sumo(NETWORKS[index % len(NETWORKS)](rng), rng)
        for window in choose_windows(run, rng):
            if made == scenes:
                return
            yield cut(run, window, f"sumo-{seed}-{made:04d}")
            made += 1


def run_sumo(net: Network, rng: np.random.Generator, events: tuple[str, ...] = ("cut_in", "hard_brake")) -> Run:
    """Compile a network, fill it with traffic, simulate it."""
    left_hand = bool(rng.uniform() < LEFT_HAND_SHARE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compiled = compile_network(net, sumo_module("sumolib").checkBinary("netconvert"), rng, folder)
        write_traffic(net, rng, RUN_S - 20.0, folder / "traffic.rou.xml")
        stage = Stage(rng, events, QUIET_START_S, RUN_S - 15.0)
        recording = simulate(compiled, folder / "traffic.rou.xml", int(rng.integers(2**31)), RUN_S, stage)
        roads = read_roads(compiled)
    return Run(net, roads, recording, {id: poses_of(trace) for id, trace in recording.traces.items()}, left_hand)


@dataclass(frozen=True)
class Window:
    """An ego and the step at which its log begins."""

    ego: str
    first_step: int
    event: Event | None = None


def choose_windows(run: Run, rng: np.random.Generator) -> list[Window]:
    """Up to LOGS_PER_RUN windows, one per ego, those with an event first."""
    traces = run.recording.traces
    spans = {id: feasible_steps(t, run.boxes[id]) for id, t in traces.items() if t.type.startswith(EGO_TYPE)}
    windows: dict[str, Window] = {}
    for event in run.recording.events:
        before_s = float(rng.uniform(4.0, 9.0))
        lo, hi = spans[event.subject]
        first = min(max(round((event.time_s - before_s) / STEP_S), lo), hi)
        if lo <= hi and 3.0 <= event.time_s - first * STEP_S <= 13.0:
            windows.setdefault(event.subject, Window(event.subject, first, event))
    for id in rng.permutation(sorted(spans)).tolist():
        lo, hi = spans[id]
        if lo <= hi and id not in windows:
            windows[id] = Window(id, int(rng.integers(lo, hi + 1)))
    return list(windows.values())[:LOGS_PER_RUN]


def feasible_steps(trace: Trace, poses: Floats) -> tuple[int, int]:
    """First and last step at which a 20 s log of this ego can begin; the first exceeds the last where none can."""
    driven_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1))])
    lo = int(np.searchsorted(driven_m, BEFORE_M))
    hi = int(np.searchsorted(driven_m, driven_m[-1] - BEYOND_M)) - WINDOW_STEPS - 1
    return trace.first_step + lo, trace.first_step + hi


def cut(run: Run, window: Window, name: str) -> Log:
    """The Log of one ego over 20 s."""
    steps = window.first_step + KEYFRAME_STEPS * np.arange(KEYFRAMES)
    ego = run.recording.traces[window.ego]
    ego_pose = wheeled(ego)[steps - ego.first_step]
    seen = {id: at for id, trace in run.recording.traces.items() if id != window.ego and (at := _sight(run, id, trace, steps, ego_pose)) is not None}  # fmt: skip
    agents = tuple(seen)
    poses = np.stack([p for p, _ in seen.values()]) if seen else np.zeros((0, KEYFRAMES, 3))
    valid = np.stack([v for _, v in seen.values()]) if seen else np.zeros((0, KEYFRAMES), bool)
    traces = [run.recording.traces[id] for id in agents]
    kinds = [CATEGORIES[trace.type.rstrip("0123456789")] for trace in traces]
    size_m = np.array([trace.size_m for trace in traces]).reshape(-1, 1, 2) * valid[:, :, None]
    log = Log(
        name=name, source="sumo", location=f"sumo-{run.net.kind.replace(' ', '-')}", description=_describe(run, window, ego_pose),
        keyframes=tuple(f"{name}-{i:02d}" for i in range(KEYFRAMES)), agents=agents, categories=tuple(c for c, _ in kinds),
        time_s=steps * STEP_S, ego_pose=ego_pose, ego_size_m=np.array(EGO_SIZE_M), ego_centre_m=EGO_CENTRE_M,
        ego_from_lidar=np.array([LIDAR_AHEAD_M, 0.0, -np.pi / 2]), position_m=poses[..., :2], yaw_rad=poses[..., 2], size_m=size_m,
        kind=np.array([k for _, k in kinds], np.int64), points=np.full(valid.shape, -1), visibility=np.zeros(valid.shape, np.int64),
        valid=valid, map=crop(run.roads.map, shapely.LineString(ego_pose[:, :2]).buffer(MAP_M)),
        route=route_of(run, window), has_ego=True, has_all_traffic=True,
    )  # fmt: skip
    return mirrored(log) if run.left_hand else log


def _sight(run: Run, id: str, trace: Trace, steps: np.ndarray, ego_pose: Floats) -> tuple[Floats, Bools] | None:
    """Box poses (S, 3) and presence (S,) of a road user, or None if it never comes near."""
    own = steps - trace.first_step
    valid = (own >= 0) & (own < len(trace.front))
    poses = run.boxes[id][np.where(valid, own, 0)] * valid[:, None]
    near = np.linalg.norm(poses[:, :2] - ego_pose[:, :2], axis=1) < SEEN_M
    return (poses, valid) if (near & valid).any() else None


def route_of(run: Run, window: Window) -> shapely.LineString:
    """The centreline of the lanes that lead where the ego goes, from beside it to BEYOND_M - 5 past its last pose.

    On a street that the ego enters on one lane and leaves on another, the line passes evenly from one to the other.
    """
    trace = run.recording.traces[window.ego]
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
    event = (
        {"cut_in": "; a car cuts in", "hard_brake": "; the car ahead brakes hard"}[window.event.kind] if window.event else ""
    )
    return f"{run.net.kind}: the ego {way}{event}"


def mirrored(log: Log) -> Log:
    """The same drive where traffic keeps left."""
    flip = np.array([1.0, -1.0])
    return replace(
        log, ego_pose=log.ego_pose * [1, -1, -1], position_m=log.position_m * flip, yaw_rad=-log.yaw_rad,
        map=mirror(log.map), route=shapely.transform(log.route, lambda points: points * flip),
    )  # fmt: skip
