"""Centrelines as the arcline paths of the nuScenes map: arc, straight line, arc, tangent to each other.

Each path is a Dubins curve without a full turn (Dubins 1957; words LSL, RSR, LSR, RSL), so that position and heading go on
from one path to the next.
"""

from typing import Any

import numpy as np
import shapely

from drive_wm.log import Floats

TOLERANCE_M = 0.08  # between path and centreline
RADII_M = np.geomspace(1000.0, 1.5, 24)  # tried, and those of a steady bend; the widest that fits is taken
STRAIGHTEST_M = 1e5  # the devkit takes 1e6 for a straight line, and errs by millimetres
STEADY = np.array([1.0, 0.99, 0.98, 0.97, 0.95])  # shares of the radius that an even turn over the whole length has
SHAPES = ("LSL", "RSR", "LSR", "RSL")
TURNS = np.array([[1, 0, 1], [-1, 0, -1], [1, 0, -1], [-1, 0, 1]])  # of SHAPES: +1 left, -1 right
LARGEST_TURN_RAD = 2.0  # of one arc
SAMPLES = np.linspace(0.0, 1.0, 41)[1:-1]
DIGITS = 9

Arcline = dict[str, Any]  # start_pose, end_pose, shape, radius, segment_length


def fit_arclines(line_m: Floats) -> list[Arcline]:
    """The arcline paths, one after another, that run within TOLERANCE_M of a polyline (N, 2).

    Where the polyline turns too sharply for that, a path is the straight line between two vertices.
    """
    vertices = shapely.get_coordinates(shapely.remove_repeated_points(shapely.LineString(line_m).simplify(0.01), 0.05))
    poses = np.column_stack([vertices, _headings(vertices)])
    return _fit(poses)


def _fit(poses: Floats) -> list[Arcline]:
    whole = _connect(poses)
    if whole:
        return [whole]
    if len(poses) == 2:
        return [_straight(poses)]
    middle = len(poses) // 2
    return _fit(poses[: middle + 1]) + _fit(poses[middle:])


def _headings(vertices: Floats) -> Floats:
    """Heading (N,) at each vertex: of the circle through it and its neighbours."""
    step = np.diff(vertices, axis=0)
    length_m, yaw_rad = np.hypot(*step.T), np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
    if len(yaw_rad) == 1:
        return np.repeat(yaw_rad, 2)
    # A chord has the heading that its arc has halfway along.
    along_m = np.concatenate([[0.0], np.cumsum(length_m)])
    middle_m = (along_m[1:] + along_m[:-1]) / 2
    inner = np.interp(along_m, middle_m, yaw_rad)
    bend = np.diff(yaw_rad) / np.diff(middle_m)
    inner[0] -= bend[0] * middle_m[0]
    inner[-1] += bend[-1] * (along_m[-1] - middle_m[-1])
    return inner


def _connect(poses: Floats) -> Arcline | None:
    """The path of the widest radius from the first pose (N, 3) to the last that stays near all others, None if none does."""
    start, end, line = poses[0], poses[-1], shapely.LineString(poses[:, :2])
    steady_m = line.length / max(float(np.abs(np.diff(poses[:, 2])).sum()), line.length / STRAIGHTEST_M)
    radii_m = -np.sort(-np.concatenate([RADII_M, steady_m * STEADY]))
    lengths_m, exists = _dubins(start, end, radii_m)
    total_m = lengths_m.sum(-1)
    # Shorter: the line loops once more than the path, which then keeps to a part of it.
    radius, word = np.nonzero(exists & (total_m > 0.8 * line.length) & (total_m < 1.2 * line.length))
    if not len(radius):
        return None
    points = _sample(start, lengths_m[radius, word], TURNS[word] / radii_m[radius][:, None])
    near = np.flatnonzero(shapely.distance(shapely.points(points), line).max(axis=1) < TOLERANCE_M)
    if not len(near):
        return None
    i, j = radius[near[0]], word[near[0]]
    return _record(start, end, SHAPES[j], radii_m[i], lengths_m[i, j])


def _straight(poses: Floats) -> Arcline:
    (x0, y0), (x1, y1) = poses[:, :2]
    yaw_rad = np.arctan2(y1 - y0, x1 - x0)
    length_m = np.array([0.0, np.hypot(x1 - x0, y1 - y0), 0.0])
    return _record(np.array([x0, y0, yaw_rad]), np.array([x1, y1, yaw_rad]), "LSL", RADII_M[0], length_m)


def _record(start: Floats, end: Floats, shape: str, radius_m: float, lengths_m: Floats) -> Arcline:
    poses = np.array([start, end])
    poses[:, 2] = np.angle(np.exp(1j * poses[:, 2]))
    rounded = poses.round(DIGITS).tolist()
    return {"start_pose": rounded[0], "end_pose": rounded[1], "shape": shape, "radius": round(float(radius_m), DIGITS),
            "segment_length": lengths_m.round(DIGITS).tolist()}  # fmt: skip


def _dubins(start: Floats, end: Floats, radii_m: Floats) -> tuple[Floats, Any]:
    """Segment lengths (radii, shapes, 3) of the curves between two poses, and which of them exist without a large turn."""
    gap = end[:2] - start[:2]
    d, way = np.hypot(*gap) / radii_m, np.arctan2(gap[1], gap[0])
    a, b = start[2] - way, end[2] - way
    sum_, diff, turn = np.sin(a) + np.sin(b), np.sin(a) - np.sin(b), np.cos(a - b)
    squares = np.stack([2 + d**2 - 2 * turn + 2 * d * diff, 2 + d**2 - 2 * turn - 2 * d * diff,
                        d**2 - 2 + 2 * turn + 2 * d * sum_, d**2 - 2 + 2 * turn - 2 * d * sum_], axis=1)  # fmt: skip
    p = np.sqrt(np.maximum(squares, 0.0))
    lsl = np.arctan2(np.cos(b) - np.cos(a), d + diff)
    rsr = np.arctan2(np.cos(a) - np.cos(b), d - diff)
    lsr = np.arctan2(-np.cos(a) - np.cos(b), d + sum_) - np.arctan2(-2.0, p[:, 2])
    rsl = np.arctan2(np.cos(a) + np.cos(b), d - sum_) - np.arctan2(2.0, p[:, 3])
    first = np.stack([lsl - a, a - rsr, lsr - a, a - rsl], axis=1)
    last = np.stack([b - lsl, rsr - b, lsr - b, b - rsl], axis=1)
    first, last = (np.where((x := np.mod(t, 2 * np.pi)) > 2 * np.pi - 1e-9, 0.0, x) for t in (first, last))
    exists = (squares >= 0) & (first < LARGEST_TURN_RAD) & (last < LARGEST_TURN_RAD)
    return np.stack([first, p, last], axis=-1) * radii_m[:, None, None], exists


def _sample(start: Floats, lengths_m: Floats, curvature_per_m: Floats) -> Floats:
    """Points (C, SAMPLES, 2) along C curves of three segments (C, 3)."""
    ends_m = np.cumsum(lengths_m, axis=1)
    at_m = ends_m[:, -1:] * SAMPLES
    x, y = np.full(at_m.shape, start[0]), np.full(at_m.shape, start[1])
    yaw = np.full(at_m.shape, start[2])
    for i in range(3):
        begin = ends_m[:, i : i + 1] - lengths_m[:, i : i + 1]
        part = np.clip(at_m - begin, 0.0, lengths_m[:, i : i + 1])
        half = 0.5 * part * curvature_per_m[:, i : i + 1]
        chord = part * np.sinc(half / np.pi)
        x, y, yaw = x + chord * np.cos(yaw + half), y + chord * np.sin(yaw + half), yaw + 2 * half
    return np.stack([x, y], axis=-1)
