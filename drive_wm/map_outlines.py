"""What is drawn of a map: outlines of areas and of strips along lines, and the raster's layers from what they cover."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from drive_wm.log import Floats, LogMap
from drive_wm.scene import CELL_M

LANE_WIDTH_M = 3.0
DIVIDER_WIDTH_M = 0.3
ROUGH_M = 0.5  # a road that is cut off where the map ends may end a little before
FAR_M = 1e5  # from a map, where nobody gets
Outlines = tuple[Floats, Floats]  # closed: edges (E, 2, 2) with what they enclose to the left, and weights (E, W) of that
Shares = NDArray[np.floating[Any]]


def outlines_of(log_map: LogMap) -> dict[str, Outlines]:
    """What is drawn of a map, in the global frame."""
    areas = {"drivable": _dissolved(log_map.drivable), "crosswalk": log_map.crosswalks, "walkway": log_map.walkways}
    dividers = {"lane_divider": log_map.lane_dividers, "road_divider": log_map.road_dividers}
    outlines = {name: area_outlines(area) for name, area in areas.items()}
    outlines |= {name: _undirected(strip_outlines(lines, DIVIDER_WIDTH_M)) for name, lines in dividers.items()}
    return outlines | {"lane": strip_outlines(log_map.lanes, LANE_WIDTH_M)}


def road_border(log_map: LogMap) -> Outlines:
    """The border of the drivable area, in the global frame; where the map ends no road does."""
    road = _dissolved(log_map.drivable)
    if road.is_empty or log_map.extent.is_empty:
        return area_outlines(road)
    shown = log_map.extent.buffer(-ROUGH_M, join_style="mitre")
    unknown = log_map.extent.envelope.buffer(FAR_M, join_style="mitre").difference(shown)
    return area_outlines(shapely.multipolygons(shapely.get_parts(road.union(unknown))))


def _undirected(strips: Outlines) -> Outlines:
    edges, weight = strips
    some = weight[:, 0] != 0
    return edges[some], weight[some, :1]


def area_outlines(areas: shapely.MultiPolygon) -> Outlines:
    """Borders of polygons; outlines counter-clockwise, holes clockwise, whichever way they are given."""
    rings, polygon = shapely.get_rings(shapely.get_parts(areas), return_index=True)
    outline = np.diff(polygon, prepend=-1) != 0  # the first ring of each polygon
    xy_m, ring = shapely.get_coordinates(rings, return_index=True)
    inside_one = ring[1:] == ring[:-1]
    edges = np.stack([xy_m[:-1], xy_m[1:]], axis=1)[inside_one]
    ring = ring[1:][inside_one]
    start, end = edges[:, 0] - xy_m[:1], edges[:, 1] - xy_m[:1]
    area = np.bincount(ring, start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0], minlength=len(rings))
    backward = ((area > 0) != outline)[ring]
    return np.where(backward[:, None, None], edges[:, ::-1], edges), np.ones((len(edges), 1))


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
    vertex[first] += direction
    vertex[first + 1] += direction
    vertex /= np.maximum(np.linalg.norm(vertex, axis=1, keepdims=True), 1e-9)
    left = np.stack([-vertex[:, 1], vertex[:, 0]], axis=1) * (width_m / 2)
    a, b = first, first + 1
    quads = np.stack([xy_m[a] - left[a], xy_m[b] - left[b], xy_m[b] + left[b], xy_m[a] + left[a]], axis=1)
    return quads, direction


def strip_outlines(lines: shapely.MultiLineString, width_m: float) -> Outlines:
    """Borders of thin quads along polylines, what two quads share counted once; where a line goes straight on, nothing of it is
    left. Weights (E, 3) are 1 and the unit direction of the quad to the left, less those of the quad to the right.
    """
    quads, direction = strip_quads(lines, width_m)
    weight = np.concatenate([np.ones((len(quads), 1)), direction], axis=1)
    joined = (quads[:-1, [1, 2]] == quads[1:, [0, 3]]).all(axis=(1, 2))
    front, first = weight.copy(), np.append(True, ~joined)[: len(quads)]
    front[:-1][joined] -= weight[1:][joined]
    edges = np.concatenate([quads[:, [0, 1]], quads[:, [2, 3]], quads[:, [1, 2]], quads[first][:, [3, 0]]])
    weight = np.concatenate([weight, weight, front, weight[first]])
    some = np.abs(weight).max(axis=1) > 1e-9
    return edges[some], weight[some]


def seen_from(outlines: Outlines, pose: Floats) -> Outlines:
    """Outlines of the global frame in that of a pose (3,); weights after the first are directions and turn along."""
    edges, weight = outlines
    turn = axes_turned(pose[2])
    directions = [weight[:, i : i + 2] @ turn for i in range(1, weight.shape[1], 2)]
    return (edges - pose[:2]) @ turn, np.concatenate([weight[:, :1], *directions], axis=1)


def axes_turned(yaw_rad: float) -> Floats:
    """Matrix that takes row vectors to axes turned by yaw."""
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[cos, -sin], [sin, cos]])


def layers_of(name: str, covered: Sequence[Shares]) -> dict[str, Shares]:
    """Layers (Y, X) by name, from summed shares (Y, X), W of them, of the outlines of one name, which are not used again."""
    if name == "lane":
        total, cos, sin = covered
        share = np.maximum(total, 1.0)
        # Clipped, since the quads of a bend sharper than the strip is wide fold over and cover less than nothing.
        cos, sin = (np.clip(np.divide(part, share, out=part), -1, 1, out=part) for part in (cos, sin))
        return {"lane": np.clip(total, 0, 1, out=total), "lane_cos": cos, "lane_sin": sin}
    [total] = covered
    if "divider" in name:
        total *= CELL_M / DIVIDER_WIDTH_M  # a line straight through a cell covers width / cell of it; scaled, that reads 1
    return {name: np.clip(total, 0, 1, out=total)}


def _dissolved(areas: shapely.MultiPolygon) -> shapely.MultiPolygon:
    """Join polygons that overlap or touch: a seam between two of them is no border."""
    if shapely.is_valid(areas):
        return areas
    whole = shapely.get_parts(shapely.union_all(shapely.make_valid(shapely.get_parts(areas))))
    return shapely.multipolygons(whole[shapely.get_type_id(whole) == shapely.GeometryType.POLYGON])
