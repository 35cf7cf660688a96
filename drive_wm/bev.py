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
_CENTRE_M = np.array([sum(X_RANGE_M) / 2, sum(Y_RANGE_M) / 2])
_REACH_M = float(np.hypot(np.ptp(X_RANGE_M), np.ptp(Y_RANGE_M))) / 2 + 1.0  # around the raster


@dataclass(frozen=True)
class MapShapes:
    """A map prepared for drawing, in the global frame; the covered area lies to the left of each directed edge."""

    areas: dict[str, Floats]  # layer -> (E, 2, 2) edges of drivable, crosswalk, walkway
    strips: dict[str, Floats]  # layer -> (S, 4, 2) corners of a thin quad per segment of lane, lane_divider, road_divider
    lane_direction: Floats  # (S, 2) unit vector along each quad of the lanes


def map_shapes(log_map: LogMap) -> MapShapes:
    """Prepare a map once; `draw` then costs milliseconds per pose."""
    areas = {"drivable": _dissolve(log_map.drivable), "crosswalk": log_map.crosswalks, "walkway": log_map.walkways}
    lane, lane_direction = strip_quads(log_map.lanes, LANE_WIDTH_M)
    dividers = {"lane_divider": log_map.lane_dividers, "road_divider": log_map.road_dividers}
    strips = {"lane": lane} | {name: strip_quads(lines, DIVIDER_WIDTH_M)[0] for name, lines in dividers.items()}
    return MapShapes({name: area_edges(area) for name, area in areas.items()}, strips, lane_direction)


def draw(shapes: MapShapes, ego_pose: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Raster (C, Y, X) of RASTER_LAYERS and edge_m (Y, X) seen from ego_pose (3,) global_from_ego."""
    areas = {name: _to_ego(edges, ego_pose) for name, edges in shapes.areas.items()}
    layers = {name: np.clip(coverage(edges)[0], 0, 1) for name, edges in areas.items()}
    for name in ("lane_divider", "road_divider"):
        quads = _to_ego(shapes.strips[name], ego_pose)
        # A line straight through a cell covers width / cell of it; scaled, that reads 1.
        layers[name] = np.clip(coverage(_quad_edges(quads[_near(quads)]))[0] * (CELL_M / DIVIDER_WIDTH_M), 0, 1)
    layers |= _lane_layers(_to_ego(shapes.strips["lane"], ego_pose), shapes.lane_direction @ _turn(ego_pose[2]))
    raster = np.stack([layers[name] for name in RASTER_LAYERS]).astype(np.float32)
    return raster, edge_distance(areas["drivable"]).astype(np.float32)


def _lane_layers(quads: Floats, direction: Floats) -> dict[str, Floats]:
    """Layers lane, lane_cos, lane_sin: coverage, and the mean heading of what covers the cell times that coverage."""
    near = _near(quads)
    weight = np.concatenate([np.ones((near.sum(), 1)), direction[near]], axis=1)
    total, cos, sin = coverage(_quad_edges(quads[near]), np.repeat(weight, 4, axis=0))
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


def coverage(edges_m: Floats, weight: Floats | None = None) -> Floats:
    """Sum (W, Y, X) over closed outlines, edges (E, 2, 2) in the ego frame, of covered share times weight (E, W).

    Every edge is split at the grid lines; a piece adds the area between itself and the right side of its own cell,
    and its full height to the cells further right. Outlines that overlap add up.
    """
    weight = np.ones((len(edges_m), 1)) if weight is None else weight
    edges = (edges_m - np.array([X_RANGE_M[0], Y_RANGE_M[0]])) / CELL_M
    low, high = edges[:, :, 1].min(1), edges[:, :, 1].max(1)
    owner = np.flatnonzero((high > 0) & (low < RASTER_SIZE) & (edges[:, :, 0].min(1) < RASTER_SIZE))
    edges = edges[owner]
    for axis in (1, 0):
        edges, parent = _split(edges, axis)
        owner = owner[parent]
    middle = edges.mean(axis=1)
    inside = (middle[:, 1] > 0) & (middle[:, 1] < RASTER_SIZE) & (middle[:, 0] < RASTER_SIZE)
    edges, middle, owner = edges[inside], middle[inside], owner[inside]
    x = np.maximum(middle[:, 0], 0.0)  # an edge left of the raster covers whole rows
    column, row = x.astype(np.int64), middle[:, 1].astype(np.int64)
    height = edges[:, 0, 1] - edges[:, 1, 1]  # downward: the inside lies to the right
    beside = height * (x - column)
    cell, size = row * (RASTER_SIZE + 1) + column, RASTER_SIZE * (RASTER_SIZE + 1)
    sums = [
        np.bincount(cell, w * (height - beside), size) + np.bincount(cell + 1, w * beside, size + 1)[:size]
        for w in weight[owner].T
    ]
    return np.cumsum(np.stack(sums).reshape(-1, RASTER_SIZE, RASTER_SIZE + 1), axis=2)[:, :, :RASTER_SIZE]


def _split(edges: Floats, axis: int) -> tuple[Floats, Ints]:
    """Cut edges (E, 2, 2), in cells, at the raster's lines across one axis; the pieces and the edge of each."""
    a, b = edges[:, 0, axis], edges[:, 1, axis]
    lowest = np.clip(np.floor(np.minimum(a, b)) + 1, 0, RASTER_SIZE + 1)
    highest = np.clip(np.ceil(np.maximum(a, b)) - 1, -1, RASTER_SIZE)
    cuts = np.maximum(highest - lowest + 1, 0).astype(np.int64)
    parent = np.repeat(np.arange(len(edges)), cuts + 1)
    piece = np.arange(len(parent)) - np.repeat(np.cumsum(cuts + 1) - (cuts + 1), cuts + 1)
    # Lines in the order in which the edge meets them; span is not 0 where there is a cut.
    line = np.where(a < b, lowest - 1, highest + 1)[parent] + np.where(a < b, 1, -1)[parent] * piece
    span = np.where(cuts > 0, b - a, 1.0)[parent]
    start = np.where(piece == 0, 0.0, (line - a[parent]) / span)
    end = np.where(piece == cuts[parent], 1.0, (line + np.sign(span) - a[parent]) / span)
    share = np.stack([start, end], axis=1)[..., None]
    return edges[parent, :1] * (1 - share) + edges[parent, 1:] * share, parent


def _dissolve(areas: shapely.MultiPolygon) -> shapely.MultiPolygon:
    """Join polygons that overlap or touch: a seam between two of them is no border."""
    if shapely.is_valid(areas):
        return areas
    whole = shapely.get_parts(shapely.union_all(shapely.make_valid(shapely.get_parts(areas))))
    return shapely.multipolygons(whole[shapely.get_type_id(whole) == shapely.GeometryType.POLYGON])


def _near(quads: Floats) -> NDArray[np.bool_]:
    middle = quads.mean(axis=1)
    half_m = np.linalg.norm(quads[:, 0] - middle, axis=-1)
    return np.linalg.norm(middle - _CENTRE_M, axis=-1) < _REACH_M + half_m


def _quad_edges(quads: Floats) -> Floats:
    return np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2, 2)


def _turn(yaw_rad: float) -> Floats:
    """Matrix that takes row vectors of the global frame to the ego's axes."""
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[cos, -sin], [sin, cos]])


def _to_ego(points_in_global_m: Floats, ego_pose: Floats) -> Floats:
    return (points_in_global_m - ego_pose[:2]) @ _turn(ego_pose[2])
