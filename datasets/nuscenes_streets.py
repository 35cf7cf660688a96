"""Streets behind a LogMap's lane pieces: whole lanes with their ground, blocks of lanes side by side, streets, junctions."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from drive_wm.log import Bools, Floats, Ints, LogMap

Geometries = NDArray[np.object_]

USUAL_WIDTH_M, NARROWEST_M, WIDEST_M = 3.5, 2.4, 5.0
SEAM_M = 0.3  # grounds this close belong together
LEAST_LINK_M = 1e-3


@dataclass(frozen=True)
class Lane:
    """One lane from junction to junction, or one way across a junction."""

    line_m: Floats  # (N, 2) centreline in driving direction
    in_junction: bool
    width_m: float
    has_left: bool  # whether another lane runs beside it, the same way
    has_right: bool
    incoming: tuple[int, ...]
    outgoing: tuple[int, ...]

    @property
    def ground(self) -> shapely.Polygon:
        return shapely.LineString(self.line_m).buffer(self.width_m / 2, cap_style="flat", join_style="mitre").simplify(0.01)


@dataclass(frozen=True)
class Streets:
    """Lanes, and the areas that hold them."""

    lanes: tuple[Lane, ...]
    block: Ints  # (lanes,) lanes side by side share one; -1 in a junction
    blocks: tuple[shapely.Polygon, ...]
    segments: tuple[tuple[shapely.Polygon, bool], ...]  # ground of a street or of a junction, and whether it is a junction


def streets_of(m: LogMap) -> Streets:
    """The streets of a map."""
    runs = _runs(m)
    owner = np.zeros(len(m.lane_left), int)
    for i, run in enumerate(runs):
        owner[run] = i
    links = owner[m.lane_successors]
    inner = (links[:, 0] == links[:, 1]) & np.isin(m.lane_successors[:, 1], [piece for run in runs for piece in run[1:]])
    links = np.unique(links[~inner], axis=0)
    pieces = shapely.get_parts(m.lanes)
    junction = np.array([m.lane_in_junction[run[0]] for run in runs])
    lines = [_joined(pieces[run]) for run in runs]
    widths_m = _widths(m, lines, junction, links)
    lanes = tuple(
        Lane(line, bool(junction[i]), float(widths_m[i]), bool((m.lane_left[run] >= 0).any()),
             bool((m.lane_right[run] >= 0).any()), tuple(links[links[:, 1] == i, 0].tolist()),
             tuple(links[links[:, 0] == i, 1].tolist()))
        for i, (run, line) in enumerate(zip(runs, lines, strict=True))
    )  # fmt: skip
    block = _blocks(m, owner, junction)
    grounds = np.array([lane.ground for lane in lanes])
    blocks = [_filled(grounds[block == i]) for i in range(block.max(initial=-1) + 1)]
    areas = [(area, False) for area in _areas(grounds[~junction])] + [(area, True) for area in _areas(grounds[junction])]
    return Streets(lanes, block, tuple(blocks), tuple(areas))


def _runs(m: LogMap) -> list[list[int]]:
    """Pieces that follow one another with no other way in or out, all in or all out of a junction."""
    links, count = m.lane_successors, len(m.lane_left)
    out, into = np.bincount(links[:, 0], minlength=count), np.bincount(links[:, 1], minlength=count)
    sole = (out[links[:, 0]] == 1) & (into[links[:, 1]] == 1) & (links[:, 0] != links[:, 1])
    sole &= m.lane_in_junction[links[:, 0]] == m.lane_in_junction[links[:, 1]]
    after = dict(links[sole].tolist())
    heads = sorted(set(range(count)) - set(after.values()))
    runs, seen = [], set()
    for head in [*heads, *range(count)]:  # the second part is for circles, which have no head
        run = []
        while head is not None and head not in seen:
            seen.add(head)
            run.append(head)
            head = after.get(head)
        if run:
            runs.append(run)
    return runs


def _joined(pieces: Geometries) -> Floats:
    points = np.concatenate([shapely.get_coordinates(piece) for piece in pieces])
    step_m = np.linalg.norm(np.diff(points, axis=0), axis=1)
    return points[np.concatenate([[True], step_m > LEAST_LINK_M])]


def _widths(m: LogMap, lines: list[Floats], junction: Bools, links: Ints) -> Floats:
    """Twice the way from a lane's middle to paint or kerb; across a junction, the mean of the lanes it joins."""
    edges = np.concatenate([shapely.get_parts(layer) for layer in (m.lane_dividers, m.road_dividers, m.drivable.boundary)])
    widths_m = np.full(len(lines), USUAL_WIDTH_M)
    if len(edges):
        tree = shapely.STRtree(edges)
        for i in np.flatnonzero(~junction):
            at = shapely.line_interpolate_point(shapely.LineString(lines[i]), [0.25, 0.5, 0.75], normalized=True)
            nearest_m = shapely.distance(at, edges[tree.nearest(at)])
            widths_m[i] = np.clip(2 * np.median(nearest_m), NARROWEST_M, WIDEST_M)
    for i in np.flatnonzero(junction):
        joined = np.concatenate([links[links[:, 1] == i, 0], links[links[:, 0] == i, 1]])
        roads = joined[~junction[joined]]
        widths_m[i] = widths_m[roads].mean() if len(roads) else USUAL_WIDTH_M
    return widths_m


def _blocks(m: LogMap, owner: Ints, junction: Bools) -> Ints:
    """Number of the block of each lane."""
    beside = np.stack([m.lane_left, m.lane_right], axis=1)
    piece, side = np.nonzero(beside >= 0)
    pairs = owner[piece], owner[beside[piece, side]]
    _, label = connected_components(
        coo_array((np.ones(len(piece)), pairs), shape=(len(junction), len(junction))), directed=False
    )
    number = np.full(len(junction), -1)
    number[~junction] = np.unique(label[~junction], return_inverse=True)[1]
    return number


def _areas(grounds: Geometries) -> list[shapely.Polygon]:
    """Grounds that touch or nearly touch, as one polygon each."""
    merged = shapely.union_all(shapely.buffer(grounds, SEAM_M, join_style="mitre")) if len(grounds) else shapely.Polygon()
    return [part for part in shapely.get_parts(merged.buffer(-SEAM_M, join_style="mitre")) if part.area > 1.0]


def _filled(grounds: Geometries) -> shapely.Polygon:
    return max(_areas(grounds), key=lambda part: part.area, default=grounds[0])
