"""Reactive traffic: vehicles follow the lane graph by the intelligent driver model, and mind the ego as each other.

Driven are the vehicles that move along a lane at the start; they go on straightest. Whoever stands, walks, cycles or drives
off the lanes is as recorded: a queue moves when its light turned green, which nothing else in the data tells. There are no
speed limits either, so the wished speed is that of `planners.idm`, as of nuPlan's IDM agents (Motional, nuplan-devkit).
"""

from dataclasses import dataclass, replace

import numpy as np
import shapely
import torch

from drive_wm.benchmarks.closed_loop_traffic import Moment, Moved, stay
from drive_wm.bicycle import STEP_S, STEPS
from drive_wm.geometry import wrap_angle
from drive_wm.lane_graph import Lines, pose_along
from drive_wm.log import VEHICLE, Bools, Floats, Ints, Log, LogMap
from drive_wm.metrics.simulated import Crowd, Driven
from drive_wm.planners.idm import BESIDE_M, FREE_M, WISHED_MPS, Leader, advance

NEAR_M = 2.0  # of its lane's centre
MOVES_MPS = 0.5
TURN_COST_M = 10.0  # what heading across a lane weighs against distance, per 1 - cos
REACH_M = 150.0
JOIN_S = 4.0  # within which a vehicle comes to the centre of its lane


class LanePaths:
    """Where a lane graph leads, straightest on, as one line per piece."""

    def __init__(self, log_map: LogMap) -> None:
        self._lines = shapely.get_parts(log_map.lanes)
        self._tree = shapely.STRtree(self._lines)
        self._next = self._straightest(log_map.lane_successors)
        self._paths: dict[int, shapely.LineString] = {}

    def from_pose(self, position_m: Floats, yaw_rad: float) -> shapely.LineString | None:
        """The line from the lane that a vehicle (2,) is on; None off the lanes."""
        near = self._tree.query(shapely.Point(position_m), predicate="dwithin", distance=NEAR_M)
        if not len(near):
            return None
        lines = self._lines[near]
        with np.errstate(invalid="ignore"):  # GEOS raises the flag on sound input
            at_m, lane_yaw_rad = pose_along(lines, shapely.line_locate_point(lines, shapely.Point(position_m)))
        agreement = np.cos(lane_yaw_rad - yaw_rad)
        cost = np.linalg.norm(at_m - position_m, axis=1) + TURN_COST_M * (1 - agreement)
        best = int(cost.argmin())
        return self._path(int(near[best])) if agreement[best] > np.cos(np.pi / 4) else None

    def _path(self, piece: int) -> shapely.LineString:
        if piece not in self._paths:
            self._paths[piece] = self._joined(piece)
        return self._paths[piece]

    def _joined(self, piece: int) -> shapely.LineString:
        """This piece and those after it, and straight on where they end before REACH_M."""
        points, length_m = [shapely.get_coordinates(self._lines[piece])], self._lines[piece].length
        while length_m < REACH_M and self._next[piece] >= 0:
            piece = int(self._next[piece])
            points.append(shapely.get_coordinates(self._lines[piece])[1:])
            length_m += self._lines[piece].length
        line_m = np.concatenate(points)
        way_m = line_m[-1] - line_m[-2]
        return shapely.LineString(np.concatenate([line_m, [line_m[-1] + way_m / np.linalg.norm(way_m) * REACH_M]]))

    def _straightest(self, links: Ints) -> Ints:
        """The successor of each piece whose end turns least from the piece's own, -1 for none."""
        chosen = np.full(len(self._lines), -1)
        if not len(links):
            return chosen
        _, end_rad = pose_along(self._lines, shapely.length(self._lines))
        turn = np.cos(end_rad[links[:, 1]] - end_rad[links[:, 0]])
        order = np.argsort(turn, kind="stable")  # the straightest is written last
        chosen[links[order, 0]] = links[order, 1]
        return chosen


@dataclass(frozen=True)
class Convoy:
    """The V driven vehicles of one start."""

    agent: Ints  # (V,)
    path: Lines  # (V,)
    along_m: Floats  # (V,)
    aside_m: Floats  # (V,) left of the path at the start
    turned_rad: Floats  # (V,) from the path at the start
    speed_mps: Floats  # (V,)
    wished_mps: Floats  # (V,)
    time_s: float  # since the start


class Following:
    """Vehicles on lanes follow them and what is ahead; `advance` is called once per tick, in order."""

    def __init__(self, now: Crowd, log: Log, paths: LanePaths) -> None:
        """`now` holds the others at the start (B, A, 1)."""
        self.driven = torch.zeros_like(now.valid[:, :, 0])
        self._convoys = []
        for b in range(len(now.valid)):
            fields = (now.position_m, now.yaw_rad, now.speed_mps, now.valid)
            self._convoys.append(_convoy(log, paths, *(x[b, :, 0].numpy() for x in fields)))
            self.driven[b, self._convoys[b].agent] = True

    def advance(self, moment: Moment) -> Moved:
        moved = stay(moment)
        for b, convoy in enumerate(self._convoys):
            if len(convoy.agent):
                self._convoys[b], position_m, yaw_rad = _drive(convoy, _leaders(convoy, moment, b))
                moved.position_m[b, convoy.agent] = torch.from_numpy(position_m)
                moved.yaw_rad[b, convoy.agent] = torch.from_numpy(yaw_rad)
        return moved


def _convoy(log: Log, paths: LanePaths, position_m: Floats, yaw_rad: Floats, speed_mps: Floats, valid: Bools) -> Convoy:
    moving = np.flatnonzero(valid & (log.kind == VEHICLE) & (speed_mps > MOVES_MPS))
    found = [(agent, paths.from_pose(position_m[agent], float(yaw_rad[agent]))) for agent in moving]
    agent = np.array([a for a, path in found if path is not None], np.int64)
    path = np.array([path for _, path in found if path is not None], object)
    with np.errstate(invalid="ignore"):
        along_m = np.asarray(shapely.line_locate_point(path, shapely.points(position_m[agent])), np.float64)
    at_m, path_yaw_rad = pose_along(path, along_m) if len(agent) else (np.zeros((0, 2)), np.zeros(0))
    offset_m = position_m[agent] - at_m
    aside_m = offset_m[:, 1] * np.cos(path_yaw_rad) - offset_m[:, 0] * np.sin(path_yaw_rad)
    turned = wrap_angle(torch.from_numpy(yaw_rad[agent] - path_yaw_rad)).numpy()
    return Convoy(agent, path, along_m, aside_m, turned, speed_mps[agent], speed_mps[agent].clip(min=WISHED_MPS), 0.0)


def _leaders(convoy: Convoy, moment: Moment, b: int) -> Leader:
    """Who is nearest ahead of each vehicle on its path: the ego or any other, driven or not."""
    position_m, velocity_mps, yaw_rad, size_m, valid = _everybody(moment, b)
    path, agent = convoy.path[:, None], convoy.agent
    with np.errstate(invalid="ignore"):
        along_m = shapely.line_locate_point(path, shapely.points(position_m)[None])
    at_m, path_yaw_rad = pose_along(path, along_m)
    turn_rad = yaw_rad - path_yaw_rad
    half_length_m = (size_m[:, 0] * np.abs(np.cos(turn_rad)) + size_m[:, 1] * np.abs(np.sin(turn_rad))) / 2
    half_width_m = (size_m[:, 0] * np.abs(np.sin(turn_rad)) + size_m[:, 1] * np.abs(np.cos(turn_rad))) / 2
    away_m = np.linalg.norm(position_m - at_m, axis=-1)
    own = size_m[agent]
    in_way = (away_m < half_width_m + own[:, 1:] / 2 + BESIDE_M) & (along_m > convoy.along_m[:, None]) & valid
    in_way &= np.arange(len(valid)) != agent[:, None]
    gap_m = np.where(in_way, along_m - convoy.along_m[:, None] - half_length_m - own[:, :1] / 2, FREE_M)
    who = gap_m.argmin(1)
    rows = np.arange(len(agent))
    along_mps = velocity_mps[who, 0] * np.cos(path_yaw_rad[rows, who]) + velocity_mps[who, 1] * np.sin(path_yaw_rad[rows, who])
    least_m = gap_m[rows, who]
    speed_mps = np.where(least_m < FREE_M, along_mps.clip(min=0.0), 0.0)
    return Leader(torch.from_numpy(least_m), torch.from_numpy(speed_mps))


def _everybody(moment: Moment, b: int) -> tuple[Floats, Floats, Floats, Floats, Bools]:
    """Position, velocity, yaw, size and presence of the A others and, last, the ego."""
    car = moment.car
    ego = Driven(car.pose[:, None], car.speed_mps[:, None], car.accel_mps2[:, None], moment.ego_size_m, moment.ego_centre_m)
    box = ego.boxes()
    heading = torch.stack([box.yaw_rad[b, 0].cos(), box.yaw_rad[b, 0].sin()])
    pairs = [
        (moment.position_m[b], box.centre_m[b]),
        (moment.velocity_mps[b], (heading * car.speed_mps[b])[None]),
        (moment.yaw_rad[b], box.yaw_rad[b]),
        (moment.size_m[b], box.size_m[b]),
        (moment.valid[b], torch.ones(1, dtype=torch.bool)),
    ]
    position_m, velocity_mps, yaw_rad, size_m, valid = (torch.cat(pair) for pair in pairs)
    return position_m.numpy(), velocity_mps.numpy(), yaw_rad.numpy(), size_m.numpy(), valid.numpy()


def _drive(convoy: Convoy, leader: Leader) -> tuple[Convoy, Floats, Floats]:
    """The convoy half a second later, and its positions (V, STEPS, 2) and headings (V, STEPS) on the way."""
    speed, wished = torch.from_numpy(convoy.speed_mps), torch.from_numpy(convoy.wished_mps)
    along, positions, headings = convoy.along_m, [], []
    for step in range(1, STEPS + 1):
        speed, moved, leader = advance(speed, wished, leader, STEP_S)
        along = along + moved.numpy()
        left = max(0.0, 1 - (convoy.time_s + step * STEP_S) / JOIN_S)
        at_m, yaw_rad = pose_along(convoy.path, along)
        beside = np.stack([-np.sin(yaw_rad), np.cos(yaw_rad)], -1) * (left * convoy.aside_m)[:, None]
        positions.append(at_m + beside)
        headings.append(yaw_rad + left * convoy.turned_rad)
    later = replace(convoy, along_m=along, speed_mps=speed.numpy(), time_s=convoy.time_s + STEPS * STEP_S)
    return later, np.stack(positions, 1), np.stack(headings, 1)
