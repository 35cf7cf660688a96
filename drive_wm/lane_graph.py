"""Lane graph: centrelines cut to short pieces, with links to the next piece and to the neighbours beside it."""

import numpy as np
import shapely
from numpy.typing import NDArray

from drive_wm.errors import InputError
from drive_wm.log import Bools, Floats, Ints

Lines = NDArray[np.object_]  # shapely LineStrings
MAX_PIECE_M = 20.0
MIN_GAP_M, MAX_GAP_M = 2.0, 5.0  # between neighbouring centrelines
MAX_TURN_RAD = np.deg2rad(30.0)
MAX_AHEAD_M = 1.0  # a neighbour has a point this close to straight abeam


def build_lanes(
    centrelines: list[Floats], successors: list[tuple[int, int]], in_junction: list[bool]
) -> tuple[shapely.MultiLineString, Ints, Ints, Ints, Bools]:
    """LogMap's lanes, lane_successors, lane_left, lane_right, lane_in_junction of centrelines (N, 2) in driving direction.

    Successors are pairs of centrelines; each centreline becomes equal pieces of at most 20 m.
    """
    if not centrelines:
        none = np.zeros(0, np.int64)
        return shapely.MultiLineString(), np.zeros((0, 2), np.int64), none, none, none.astype(bool)
    pieces = [cut(line, MAX_PIECE_M, f"centreline {index}") for index, line in enumerate(centrelines)]
    counts = np.array([len(group) for group in pieces])
    last = np.cumsum(counts) - 1
    first = last - counts + 1
    lines = np.array([shapely.linestrings(piece) for group in pieces for piece in group])
    junction = np.repeat(np.asarray(in_junction, bool), counts)
    within = np.setdiff1d(np.arange(len(lines)), last)
    across = np.asarray(successors, np.int64).reshape(-1, 2)
    links = np.concatenate([np.stack([within, within + 1], 1), np.stack([last[across[:, 0]], first[across[:, 1]]], 1)])
    left, right = neighbours(lines, junction)
    return shapely.multilinestrings(lines), links, left, right, junction


def cut(line_m: Floats, longest_m: float, name: str) -> list[Floats]:
    """Cut a polyline (N, 2) into pieces of equal length, none longer than longest_m; the vertices are kept."""
    line_m = np.asarray(line_m, np.float64)[:, :2]
    step_m = np.linalg.norm(np.diff(line_m, axis=0), axis=1)
    line_m = line_m[np.concatenate([[True], step_m > 1e-6])]
    along_m = np.concatenate([[0.0], np.cumsum(step_m[step_m > 1e-6])])
    if len(line_m) < 2 or not np.isfinite(along_m[-1]):
        raise InputError(f"{name} has no length or is not finite; needed: at least two different points. Leave it out.")
    count = int(np.ceil(along_m[-1] / longest_m - 1e-9))
    ends_m = np.linspace(0.0, along_m[-1], count + 1)
    ends = np.stack([np.interp(ends_m, along_m, line_m[:, axis]) for axis in (0, 1)], axis=1)
    ends[0], ends[-1] = line_m[0], line_m[-1]
    # A vertex that a cut meets is the cut itself.
    from_, to = np.searchsorted(along_m, ends_m[:-1] + 1e-6), np.searchsorted(along_m, ends_m[1:] - 1e-6)
    return [np.concatenate([ends[i : i + 1], line_m[from_[i] : to[i]], ends[i + 1 : i + 2]]) for i in range(count)]


def neighbours(lines: Lines, in_junction: Bools) -> tuple[Ints, Ints]:
    """Nearest piece to the left and to the right (L,) each, -1 for none: same direction, 2 to 5 m beside the midpoint.

    Inside junctions, where paths part and meet, both must run side by side over their length.
    """
    middle = shapely.line_interpolate_point(lines, 0.5, normalized=True)
    one, other = shapely.STRtree(lines).query(middle, predicate="dwithin", distance=MAX_GAP_M)
    same = (one != other) & (in_junction[one] == in_junction[other])
    one, other = one[same], other[same]
    beside, gap_m = _abeam(lines[one], lines[other], 0.5)
    for share in (0.1, 0.9):
        parallel, side_m = _abeam(lines[one], lines[other], share)
        beside &= ~in_junction[one] | (parallel & (side_m * gap_m > 0))
    return _closest(one, other, gap_m, beside, len(lines)), _closest(one, other, -gap_m, beside, len(lines))


def _abeam(lines: Lines, others: Lines, share: float) -> tuple[Bools, Floats]:
    """Whether the other line runs beside a line's point at this share of its length, and how far to the left."""
    length_m = shapely.length(lines)
    point_m, yaw_rad = pose_along(lines, share * length_m)
    with np.errstate(invalid="ignore"):  # GEOS raises the flag on sound input
        along_m = shapely.line_locate_point(others, shapely.points(point_m))
    other_m, other_yaw_rad = pose_along(others, along_m)
    offset, cos, sin = other_m - point_m, np.cos(yaw_rad), np.sin(yaw_rad)
    ahead_m = offset[:, 0] * cos + offset[:, 1] * sin
    left_m = offset[:, 1] * cos - offset[:, 0] * sin
    same_way = np.cos(other_yaw_rad - yaw_rad) > np.cos(MAX_TURN_RAD)
    gap_m = np.abs(left_m)
    return same_way & (np.abs(ahead_m) < MAX_AHEAD_M) & (gap_m >= MIN_GAP_M) & (gap_m <= MAX_GAP_M), left_m


def pose_along(lines: Lines, along_m: Floats) -> tuple[Floats, Floats]:
    """Point (..., 2) and heading (...) of each line (...) at a distance from its start."""
    length_m = shapely.length(lines)
    span_m = np.minimum(0.5, length_m / 2)
    middle_m = np.clip(along_m, span_m, length_m - span_m)
    at, before, after = (_point(lines, m) for m in (along_m, middle_m - span_m, middle_m + span_m))
    return at, np.arctan2(after[..., 1] - before[..., 1], after[..., 0] - before[..., 0])


def _point(lines: Lines, along_m: Floats) -> Floats:
    point = shapely.line_interpolate_point(lines, along_m)
    return np.stack([shapely.get_x(point), shapely.get_y(point)], axis=-1)


def _closest(one: Ints, other: Ints, left_m: Floats, beside: Bools, count: int) -> Ints:
    """The nearest of those on the left, -1 for none."""
    keep = np.flatnonzero(beside & (left_m > 0))
    keep = keep[np.argsort(-left_m[keep], kind="stable")]  # the nearest is written last
    found = np.full(count, -1, np.int64)
    found[one[keep]] = other[keep]
    return found
