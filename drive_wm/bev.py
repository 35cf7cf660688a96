"""Bird's-eye view of the map in the ego frame: exact cell coverage and a signed distance, both continuous in the geometry.

Coverage accumulates the signed area beside every border edge, then sums along each row, as font renderers
antialias glyphs. A cell that is covered by a third holds a third, so a small turn of the world changes little.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from drive_wm.edge_distance import edge_distance
from drive_wm.log import Floats, Ints, LogMap
from drive_wm.scene import CELL_M, RASTER_LAYERS, RASTER_SIZE, X_RANGE_M, Y_RANGE_M

LANE_WIDTH_M = 3.0
DIVIDER_WIDTH_M = 0.3


@dataclass(frozen=True)
class Strips:
    """Borders of thin quads along polylines, what two quads share counted once."""

    edges: Floats  # (E, 2, 2) with what they enclose to the left
    weight: Floats  # (E, 3) 1 and the unit direction of the quad to the left, less those of the quad to the right


@dataclass(frozen=True)
class MapShapes:
    """A map prepared for drawing, in the global frame; the covered area lies to the left of each directed edge."""

    areas: dict[str, Floats]  # layer -> (E, 2, 2) edges of drivable, crosswalk, walkway
    strips: dict[str, Strips]  # layer -> lane, lane_divider, road_divider


def map_shapes(log_map: LogMap) -> MapShapes:
    """Prepare a map once; `draw` then costs milliseconds per pose."""
    areas = {"drivable": _dissolve(log_map.drivable), "crosswalk": log_map.crosswalks, "walkway": log_map.walkways}
    lines = {"lane": log_map.lanes, "lane_divider": log_map.lane_dividers, "road_divider": log_map.road_dividers}
    strips = {name: strips_of(x, LANE_WIDTH_M if name == "lane" else DIVIDER_WIDTH_M) for name, x in lines.items()}
    return MapShapes({name: area_edges(area) for name, area in areas.items()}, strips)


def draw(shapes: MapShapes, ego_pose: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Raster (C, Y, X) of RASTER_LAYERS and edge_m (Y, X) seen from ego_pose (3,) global_from_ego."""
    areas = {name: _to_ego(edges, ego_pose) for name, edges in shapes.areas.items()}
    outlines = {name: (edges, np.ones((len(edges), 1))) for name, edges in areas.items()}
    for name, strips in shapes.strips.items():
        weight = strips.weight[:, :1]
        if name == "lane":
            weight = np.concatenate([weight, strips.weight[:, 1:] @ _turn(ego_pose[2])], axis=1)
        outlines[name] = (_to_ego(strips.edges, ego_pose), weight)
    covered = dict(zip(outlines, coverages(list(outlines.values())), strict=True))
    layers = {name: np.clip(covered[name][0], 0, 1) for name in areas}
    for name in ("lane_divider", "road_divider"):
        # A line straight through a cell covers width / cell of it; scaled, that reads 1.
        layers[name] = np.clip(covered[name][0] * (CELL_M / DIVIDER_WIDTH_M), 0, 1)
    layers |= _lane_layers(*covered["lane"])
    raster = np.stack([layers[name] for name in RASTER_LAYERS]).astype(np.float32)
    return raster, edge_distance(areas["drivable"]).astype(np.float32)


def raster_corners_m(ego_poses: Floats) -> Floats:
    """Corners (N, 4, 2) of the raster in the global frame for ego_poses (N, 3)."""
    x_m, y_m = np.array([[x, y] for x in X_RANGE_M for y in Y_RANGE_M]).T
    cos, sin = np.cos(ego_poses[:, 2:]), np.sin(ego_poses[:, 2:])
    return ego_poses[:, None, :2] + np.stack([cos * x_m - sin * y_m, sin * x_m + cos * y_m], axis=-1)


def _lane_layers(total: Floats, cos: Floats, sin: Floats) -> dict[str, Floats]:
    """Layers lane, lane_cos, lane_sin: coverage, and the mean heading of what covers the cell times that coverage."""
    share = np.maximum(total, 1.0)
    # Clipped, since the quads of a bend sharper than the strip is wide fold over and cover less than nothing.
    cos, sin = (np.clip(part / share, -1, 1) for part in (cos, sin))
    return {"lane": np.clip(total, 0, 1), "lane_cos": cos, "lane_sin": sin}


def area_edges(areas: shapely.MultiPolygon) -> Floats:
    """Border edges (E, 2, 2) start, end of polygons, the inside to their left: outlines counter-clockwise, holes clockwise."""
    rings, polygon = shapely.get_rings(shapely.get_parts(areas), return_index=True)
    outline = np.diff(polygon, prepend=-1) != 0  # the first ring of each polygon
    xy_m, ring = shapely.get_coordinates(rings, return_index=True)
    inside_one = ring[1:] == ring[:-1]
    edges = np.stack([xy_m[:-1], xy_m[1:]], axis=1)[inside_one]
    ring = ring[1:][inside_one]
    start, end = edges[:, 0] - xy_m[:1], edges[:, 1] - xy_m[:1]
    area = np.bincount(ring, start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0], minlength=len(rings))
    backward = ((area > 0) != outline)[ring]
    return np.where(backward[:, None, None], edges[:, ::-1], edges)


def strip_quads(lines: shapely.MultiLineString, width_m: float) -> tuple[Floats, Floats]:
    """Quads (S, 4, 2), counter-clockwise, that cover polylines to a width, and the unit direction (S, 2) of each."""
    xy_m, line = shapely.get_coordinates(shapely.get_parts(lines), return_index=True)
    fresh = np.ones(len(xy_m), bool)  # a vertex given twice has no direction
    fresh[1:] = (line[1:] != line[:-1]) | (np.linalg.norm(np.diff(xy_m, axis=0), axis=1) > 1e-9)
    xy_m, line = xy_m[fresh], line[fresh]
    first = np.flatnonzero(line[1:] == line[:-1])
    step = xy_m[first + 1] - xy_m[first]
    direction = step / np.linalg.norm(step, axis=1, keepdims=True)
    # Each vertex takes the mean direction of its two segments, so that neighbouring quads share an end.
    vertex = np.zeros_like(xy_m)
    np.add.at(vertex, first, direction)
    np.add.at(vertex, first + 1, direction)
    vertex /= np.maximum(np.linalg.norm(vertex, axis=1, keepdims=True), 1e-9)
    left = np.stack([-vertex[:, 1], vertex[:, 0]], axis=1) * (width_m / 2)
    a, b = first, first + 1
    quads = np.stack([xy_m[a] - left[a], xy_m[b] - left[b], xy_m[b] + left[b], xy_m[a] + left[a]], axis=1)
    return quads, direction


def strips_of(lines: shapely.MultiLineString, width_m: float) -> Strips:
    """Polylines covered to a width; where a line goes straight on, nothing is left of the border between its quads."""
    quads, direction = strip_quads(lines, width_m)
    weight = np.concatenate([np.ones((len(quads), 1)), direction], axis=1)
    joined = (quads[:-1, [1, 2]] == quads[1:, [0, 3]]).all(axis=(1, 2))
    front, first = weight.copy(), np.append(True, ~joined)[: len(quads)]
    front[:-1][joined] -= weight[1:][joined]
    edges = np.concatenate([quads[:, [0, 1]], quads[:, [2, 3]], quads[:, [1, 2]], quads[first][:, [3, 0]]])
    weight = np.concatenate([weight, weight, front, weight[first]])
    some = np.abs(weight).max(axis=1) > 1e-9
    return Strips(edges[some], weight[some])


def coverage(edges_m: Floats, weight: Floats | None = None) -> Floats:
    """Sum (W, Y, X) over closed outlines, edges (E, 2, 2) in the ego frame, of covered share times weight (E, W)."""
    return coverages([(edges_m, np.ones((len(edges_m), 1)) if weight is None else weight)])[0]


def coverages(outlines: list[tuple[Floats, Floats]]) -> list[Floats]:
    """The coverage of several sets of outlines at once.

    Every edge is split at the grid lines; a piece adds the area between itself and the right side of its own cell,
    and its full height to the cells further right. Outlines that overlap add up.
    """
    edges = (np.concatenate([edges for edges, _ in outlines]) - np.array([X_RANGE_M[0], Y_RANGE_M[0]])) / CELL_M
    (x0, y0), (x1, y1) = edges[:, 0].T, edges[:, 1].T
    seen = (np.maximum(y0, y1) > 0) & (np.minimum(y0, y1) < RASTER_SIZE) & (np.minimum(x0, x1) < RASTER_SIZE)
    owner = np.flatnonzero(seen & (y0 != y1))
    pieces = np.stack([x0[owner], y0[owner], x1[owner], y1[owner]])
    for axis in (1, 0):
        pieces, parent = _split(pieces, axis)
        owner = owner[parent]
    x0, y0, x1, y1 = pieces
    x, y = 0.5 * (x0 + x1), 0.5 * (y0 + y1)
    inside = np.flatnonzero((y > 0) & (y < RASTER_SIZE) & (x < RASTER_SIZE))
    x, y, owner = np.maximum(x[inside], 0.0), y[inside], owner[inside]  # an edge left of the raster covers whole rows
    height = (y0 - y1)[inside]  # downward: the inside lies to the right
    column = x.astype(np.int64)
    cell = y.astype(np.int64) * (RASTER_SIZE + 1) + column
    beside = height * (x - column)
    own = height - beside
    ends = np.searchsorted(owner, np.cumsum([0, *(len(edges) for edges, _ in outlines)]))
    size, first, totals = RASTER_SIZE * (RASTER_SIZE + 1), 0, []
    for (edges, weight), start, stop in zip(outlines, ends, ends[1:], strict=False):
        at, here = cell[start:stop], owner[start:stop] - first
        sums = [
            np.bincount(at, w * own[start:stop], size) + np.bincount(at + 1, w * beside[start:stop], size + 1)[:size]
            for w in weight[here].T
        ]
        totals.append(np.cumsum(np.stack(sums).reshape(-1, RASTER_SIZE, RASTER_SIZE + 1), axis=2)[:, :, :RASTER_SIZE])
        first += len(edges)
    return totals


def _split(pieces: Floats, axis: int) -> tuple[Floats, Ints]:
    """Cut pieces (4, E), rows x0 y0 x1 y1 in cells, at the raster's lines across one axis; the parts and the piece of each."""
    a, b = pieces[axis], pieces[axis + 2]
    lowest = np.clip(np.floor(np.minimum(a, b)) + 1, 0, RASTER_SIZE + 1)
    highest = np.clip(np.ceil(np.maximum(a, b)) - 1, -1, RASTER_SIZE)
    cuts = np.maximum(highest - lowest + 1, 0).astype(np.int64)
    parent = np.repeat(np.arange(len(cuts)), cuts + 1)
    part = np.arange(len(parent)) - np.repeat(np.cumsum(cuts + 1) - (cuts + 1), cuts + 1)
    # Lines in the order in which the piece meets them; span is not 0 where there is a cut.
    way = np.where(a < b, 1.0, -1.0)
    before = np.where(a < b, lowest - 1, highest + 1)
    span = np.where(cuts > 0, b - a, 1.0)
    each = np.stack([*pieces, (before - a) / span, way / span, cuts])[:, parent]
    start = np.where(part == 0, 0.0, each[4] + each[5] * part)
    end = np.where(part == each[6], 1.0, each[4] + each[5] * (part + 1))
    x0, y0, x1, y1 = each[:4]
    dx, dy = x1 - x0, y1 - y0
    return np.stack([x0 + start * dx, y0 + start * dy, x0 + end * dx, y0 + end * dy]), parent


def _dissolve(areas: shapely.MultiPolygon) -> shapely.MultiPolygon:
    """Join polygons that overlap or touch: a seam between two of them is no border."""
    if shapely.is_valid(areas):
        return areas
    whole = shapely.get_parts(shapely.union_all(shapely.make_valid(shapely.get_parts(areas))))
    return shapely.multipolygons(whole[shapely.get_type_id(whole) == shapely.GeometryType.POLYGON])


def _turn(yaw_rad: float) -> Floats:
    """Matrix that takes row vectors of the global frame to the ego's axes."""
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[cos, -sin], [sin, cos]])


def _to_ego(points_in_global_m: Floats, ego_pose: Floats) -> Floats:
    return (points_in_global_m - ego_pose[:2]) @ _turn(ego_pose[2])
