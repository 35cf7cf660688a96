"""The nuScenes map expansion as a LogMap: each location is read once, then cropped around each drive."""

import json
import logging
import warnings
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import shapely
from numpy.typing import NDArray
from nuscenes.map_expansion.arcline_path_utils import discretize_lane, length_of_lane

from drive_wm.errors import InputError
from drive_wm.lane_graph import build_lanes
from drive_wm.log import Floats, Ints, LogMap, empty_map

# Importing the devkit's map module changes matplotlib's style for the whole program; this keeps it as it was.
with matplotlib.rc_context():
    from nuscenes.map_expansion.map_api import NuScenesMap, locations

LOCATIONS: tuple[str, ...] = tuple(locations)
EXPANSION_VERSION = "1.3"
CENTRELINE_STEP_M = 1.0
MIN_LANE_M = 1e-3
MARGIN_M = 120.0  # the raster's far corner lies 86 m from the ego
WHERE_TO_GET = (
    "Download nuScenes-map-expansion-v1.3.zip from nuscenes.org/nuscenes#download "
    "and unpack it, so that {folder}/boston-seaport.json exists."
)
Geometries = NDArray[np.object_]
_logger = logging.getLogger(__name__)


def map_at(root: Path, location: str, path_m: Floats) -> LogMap:
    """The map around a drive (S, 2); empty, with one warning a run, where the dataroot has no map expansion."""
    if not has_expansion(root):
        return empty_map()
    return crop_map(location_map(root, location), path_m, MARGIN_M)


@lru_cache(maxsize=8)
def has_expansion(root: Path) -> bool:
    """Whether ROOT/maps/expansion holds any map; warns on the first call if not."""
    folder = root / "maps" / "expansion"
    found = any(folder.glob("*.json"))
    if not found:
        where = WHERE_TO_GET.format(folder=folder)
        warnings.warn(f"No map expansion in {folder}: scenes will have no lanes and no raster. {where}", stacklevel=2)
    return found


@lru_cache(maxsize=len(LOCATIONS))
def location_map(root: Path, location: str) -> LogMap:
    """The whole vector map of a location in its global frame."""
    devkit = _open(root, location)
    nodes = {node["token"]: (node["x"], node["y"]) for node in devkit.node}
    polygons = {polygon["token"]: polygon for polygon in devkit.polygon}

    def areas(records: Iterable[dict[str, Any]]) -> Geometries:
        tokens = [token for r in records for token in r.get("polygon_tokens", [r.get("polygon_token")])]
        return _areas([_polygon(polygons[token], nodes) for token in tokens], location)

    def lines(records: Iterable[dict[str, Any]]) -> shapely.MultiLineString:
        paths = [[nodes[token] for token in r["node_tokens"]] for r in records]
        return shapely.MultiLineString([path for path in paths if len(set(path)) > 1])

    try:
        lanes, successors, left, right, in_junction = build_lanes(*_centrelines(devkit))
        return LogMap(
            lanes=lanes,
            lane_successors=successors,
            lane_left=left,
            lane_right=right,
            lane_in_junction=in_junction,
            # Neighbouring areas overlap; only their union has the border that distances are measured to.
            drivable=_multipolygon(np.array([shapely.union_all(areas(devkit.drivable_area))])),
            crosswalks=_multipolygon(areas(devkit.ped_crossing)),
            walkways=_multipolygon(areas(devkit.walkway)),
            stop_lines=_centre_lines(areas(devkit.stop_line)),
            lane_dividers=lines(devkit.lane_divider),
            road_dividers=lines(devkit.road_divider),
        )
    except KeyError as error:
        raise _damaged(_path(root, location), f"record {error} is missing") from error


def crop_map(whole: LogMap, path_m: Floats, margin_m: float) -> LogMap:
    """What comes within margin_m of a path (S, 2): lanes and lines whole with links renumbered, drivable area clipped."""
    path = shapely.MultiPoint(path_m) if len(np.unique(path_m, axis=0)) < 2 else shapely.LineString(path_m)

    def near(layer: shapely.Geometry) -> tuple[Geometries, Ints]:
        parts = shapely.get_parts(layer)
        index = np.sort(shapely.STRtree(parts).query(path, predicate="dwithin", distance=margin_m))
        return parts[index], index

    lanes, kept = near(whole.lanes)
    new_index = np.full(len(whole.lane_left) + 1, -1, np.int64)  # the last entry answers the link -1
    new_index[kept] = np.arange(len(kept))
    successors = new_index[whole.lane_successors]
    extent = path.buffer(margin_m)
    return LogMap(
        lanes=shapely.multilinestrings(lanes),
        lane_successors=successors[(successors >= 0).all(axis=1)],
        lane_left=new_index[whole.lane_left[kept]],
        lane_right=new_index[whole.lane_right[kept]],
        lane_in_junction=whole.lane_in_junction[kept],
        drivable=_multipolygon(shapely.intersection(near(whole.drivable)[0], extent)),
        crosswalks=_multipolygon(near(whole.crosswalks)[0]),
        walkways=_multipolygon(near(whole.walkways)[0]),
        stop_lines=shapely.multilinestrings(near(whole.stop_lines)[0]),
        lane_dividers=shapely.multilinestrings(near(whole.lane_dividers)[0]),
        road_dividers=shapely.multilinestrings(near(whole.road_dividers)[0]),
        extent=extent,
    )


def expansion_version(root: Path, location: str) -> str:
    """The version that a location's file states."""
    path = _path(root, location)
    if not path.is_file():
        where = WHERE_TO_GET.format(folder=path.parent)
        raise FileNotFoundError(f"No map of {location}: {path} is missing. {where}")
    try:
        return str(json.loads(path.read_bytes()).get("version", "1.0"))
    except (ValueError, AttributeError) as error:
        raise _damaged(path, str(error)) from error


def _open(root: Path, location: str) -> Any:
    path = _path(root, location)
    if location not in LOCATIONS:
        raise InputError(f"Location {location!r} in the log table has no nuScenes map; known: {', '.join(LOCATIONS)}.")
    version = expansion_version(root, location)
    if version < EXPANSION_VERSION:
        where = WHERE_TO_GET.format(folder=path.parent)
        raise InputError(f"{path} is map expansion {version}; needed: {EXPANSION_VERSION}. {where}")
    try:
        return NuScenesMap(str(root), location)
    except KeyError as error:
        raise _damaged(path, f"record {error} is missing") from error


def _path(root: Path, location: str) -> Path:
    return root / "maps" / "expansion" / f"{location}.json"


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path} is damaged ({reason}). {WHERE_TO_GET.format(folder=path.parent)}")


def _centrelines(devkit: Any) -> tuple[list[Floats], list[tuple[int, int]], list[bool]]:
    """Centrelines (N, 2) of lanes, then connectors; index pairs from, to; whether each is a connector."""
    # A few lanes of the official maps have no path; the devkit skips them too.
    paths = {token: path for token, path in devkit.arcline_path_3.items() if length_of_lane(path) > MIN_LANE_M}
    lanes = [r["token"] for r in devkit.lane if r["token"] in paths]
    connectors = [r["token"] for r in devkit.lane_connector if r["token"] in paths]
    tokens = lanes + connectors
    index = {token: i for i, token in enumerate(tokens)}
    centrelines = [np.array(discretize_lane(paths[token], CENTRELINE_STEP_M))[:, :2] for token in tokens]
    links = [
        (index[token], index[after])
        for token in tokens
        for after in devkit.connectivity.get(token, {}).get("outgoing", [])
        if after in index
    ]
    return centrelines, links, [False] * len(lanes) + [True] * len(connectors)


def _polygon(record: dict[str, Any], nodes: dict[str, tuple[float, float]]) -> shapely.Polygon:
    shell = [nodes[token] for token in record["exterior_node_tokens"]]
    holes = [[nodes[token] for token in hole["node_tokens"]] for hole in record["holes"]]
    if len(shell) < 3:
        return shapely.Polygon()
    return shapely.Polygon(shell, [hole for hole in holes if len(hole) > 2])


def _areas(polygons: list[shapely.Polygon], location: str) -> Geometries:
    """The polygons, crossed outlines repaired."""
    array = np.array(polygons, dtype=object)
    broken = ~shapely.is_valid(array)
    if broken.any():
        _logger.info("%s: repaired %d of %d outlines that cross themselves", location, broken.sum(), len(array))
        array[broken] = shapely.make_valid(array[broken])
    return array


def _multipolygon(geometries: Geometries) -> shapely.MultiPolygon:
    """All polygons in the geometries; lines and points, left where outlines only touch, are dropped."""
    parts = shapely.get_parts(shapely.get_parts(geometries))
    return shapely.multipolygons(parts[(shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)])


def _centre_lines(areas: Geometries) -> shapely.MultiLineString:
    """Each thin area as the line along the middle of its smallest enclosing rectangle."""
    boxes = shapely.oriented_envelope(areas[~shapely.is_empty(areas)])
    boxes = boxes[shapely.get_type_id(boxes) == shapely.GeometryType.POLYGON]  # an area without width has a line instead
    corners = shapely.get_coordinates(boxes).reshape(-1, 5, 2)[:, :4]
    middles = 0.5 * (corners + np.roll(corners, -1, axis=1))  # of the four sides
    side_m = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
    first_is_long = side_m[:, 0] > side_m[:, 1]
    ends = np.where(first_is_long[:, None, None], middles[:, [1, 3]], middles[:, [0, 2]])
    return shapely.MultiLineString(list(ends))
