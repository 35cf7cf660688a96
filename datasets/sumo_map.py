"""SUMO's compiled road network as a LogMap: centrelines, areas, and the paint between lanes."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from drive_wm.datasets.sumo_plain import JAYWALK
from drive_wm.lane_graph import build_lanes
from drive_wm.log import Floats, LogMap

GRID_M = 0.01  # areas are cut out of each other on this grid, where no sliver survives


@dataclass(frozen=True)
class Lane:
    """One lane of the network, whoever may use it."""

    id: str
    edge: str
    function: str  # "normal", "internal", "crossing", "walkingarea"
    user: str  # "car", "bike", "walker"
    shape_m: Floats  # (P, 2) centreline, or outline of a walking area
    width_m: float


@dataclass(frozen=True)
class Roads:
    """A whole network."""

    map: LogMap
    shape_m: dict[str, Floats]  # centreline of every lane, by SUMO's lane id
    signals: shapely.MultiLineString  # those of the map's stop lines that a signal governs


def read_roads(path: Path) -> Roads:
    """Read a .net.xml file."""
    root = ElementTree.parse(path).getroot()
    lanes = [lane for edge in root.iter("edge") for lane in _lanes_of(edge)]
    # Where a straight road goes on as another, the way across their joint has no length.
    lanes_map = [lane for lane in lanes if lane.user == "car" and np.ptp(lane.shape_m, axis=0).any()]
    number = {lane.id: i for i, lane in enumerate(lanes_map)}
    successors = [(number[a], number[b]) for a, b in _links(root, set(number)) if a in number and b in number]
    pieces, follows, left, right, in_junction = build_lanes(
        [lane.shape_m for lane in lanes_map], successors, [lane.function == "internal" for lane in lanes_map]
    )
    lane_dividers, road_dividers = _dividers(root, lanes)
    drivable = _drivable(root, lanes)
    paths = _union([_strip(lane) for lane in lanes if lane.user == "walker" and lane.function != "crossing"])
    stops, signals = _stop_lines(root, lanes)
    return Roads(
        LogMap(
            lanes=pieces, lane_successors=follows, lane_left=left, lane_right=right, lane_in_junction=in_junction,
            drivable=_areas(drivable),
            crosswalks=_areas(shapely.MultiPolygon([_strip(lane) for lane in lanes if _is_painted(lane)])),
            walkways=_areas(shapely.difference(paths, drivable, grid_size=GRID_M)),
            stop_lines=_lines(stops), lane_dividers=_lines(lane_dividers),
            road_dividers=_lines(road_dividers),
        ),
        {lane.id: lane.shape_m for lane in lanes},
        _lines(signals),
    )  # fmt: skip


def crop(whole: LogMap, to: shapely.Polygon) -> LogMap:
    """The lane pieces that touch `to`, and the parts of everything else inside it."""
    pieces = np.array(whole.lanes.geoms)
    kept = np.flatnonzero(shapely.intersects(pieces, to))
    new = np.full(len(pieces) + 1, -1)  # the last entry is what -1 becomes
    new[kept] = np.arange(len(kept))
    follows = new[whole.lane_successors]
    return LogMap(
        lanes=shapely.MultiLineString(list(pieces[kept])),
        lane_successors=follows[(follows >= 0).all(axis=1)],
        lane_left=new[whole.lane_left[kept]],
        lane_right=new[whole.lane_right[kept]],
        lane_in_junction=whole.lane_in_junction[kept],
        **{name: _areas(getattr(whole, name).intersection(to)) for name in ("drivable", "crosswalks", "walkways")},
        **{name: _lines(getattr(whole, name).intersection(to)) for name in ("stop_lines", "lane_dividers", "road_dividers")},
        extent=to,
    )


def mirror(m: LogMap) -> LogMap:
    """The same roads reflected in the x axis: traffic that kept right now keeps left."""
    flip = {
        name: shapely.transform(getattr(m, name), lambda points: points * (1, -1))
        for name in ("lanes", "drivable", "crosswalks", "walkways", "stop_lines", "lane_dividers", "road_dividers", "extent")
    }
    return LogMap(lane_successors=m.lane_successors, lane_left=m.lane_right, lane_right=m.lane_left,
                  lane_in_junction=m.lane_in_junction, **flip)  # fmt: skip


def _lanes_of(edge: ElementTree.Element) -> list[Lane]:
    function = edge.get("function", "normal")
    return [
        Lane(str(lane.get("id")), str(edge.get("id")), function, _user(lane, function),
             _points(str(lane.get("shape"))), float(lane.get("width", "3.2")))
        for lane in edge.iter("lane")
    ]  # fmt: skip


def _user(lane: ElementTree.Element, function: str) -> str:
    allowed = lane.get("allow", "")
    if function in ("crossing", "walkingarea") or allowed == "pedestrian":
        return "walker"
    return "bike" if allowed == "bicycle" else "car"


def _points(text: str) -> Floats:
    return np.array([[float(v) for v in point.split(",")[:2]] for point in text.split()])


def _links(root: ElementTree.Element, known: set[str]) -> list[tuple[str, str]]:
    """Pairs of lane ids, from and to; a way across a junction goes by the lane inside it where that is known."""
    pairs: dict[tuple[str, str], None] = {}  # a set would come in another order in every process
    for c in root.iter("connection"):
        ends = f"{c.get('from')}_{c.get('fromLane')}", f"{c.get('to')}_{c.get('toLane')}"
        via = c.get("via")
        pairs[ends[0], via if via in known else ends[1]] = None
    return list(pairs)


def _strip(lane: Lane) -> BaseGeometry:
    """The ground a lane covers."""
    if lane.function == "walkingarea":
        return _areas(shapely.make_valid(shapely.Polygon(lane.shape_m)))
    return shapely.LineString(lane.shape_m).buffer(lane.width_m / 2, cap_style="flat")


def _is_painted(lane: Lane) -> bool:
    return lane.function == "crossing" and JAYWALK not in lane.edge


def _drivable(root: ElementTree.Element, lanes: list[Lane]) -> BaseGeometry:
    """Lanes of cars and bicycles, and junctions without their corners, where people walk."""
    roads = [_strip(lane) for lane in lanes if lane.user != "walker"]
    outlines = [str(j.get("shape")) for j in root.iter("junction") if j.get("type") not in ("internal", "dead_end")]
    junctions = [_areas(shapely.make_valid(shapely.Polygon(p))) for p in map(_points, outlines) if len(p) > 2]
    corners = [_strip(lane) for lane in lanes if lane.function == "walkingarea"]
    inner = shapely.difference(_union(junctions), _union(corners), grid_size=GRID_M)
    # A centimetre of overlap closes the seams that rounding leaves between neighbouring lanes.
    closed = _union([*roads, inner]).buffer(0.05, join_style="mitre").buffer(-0.05, join_style="mitre")
    return shapely.set_precision(closed.simplify(0.02), GRID_M)


def _union(parts: list[BaseGeometry]) -> BaseGeometry:
    return shapely.union_all(parts, grid_size=GRID_M)


def _sides(lane: Lane) -> tuple[shapely.LineString, shapely.LineString]:
    """Left and right border of a lane, in driving direction."""
    line = shapely.LineString(lane.shape_m)
    return line.offset_curve(lane.width_m / 2), line.offset_curve(-lane.width_m / 2)


def _dividers(root: ElementTree.Element, lanes: list[Lane]) -> tuple[list[BaseGeometry], list[BaseGeometry]]:
    """Lines between lanes of one street, and between the two directions of a street."""
    ends = {e.get("id"): (e.get("from"), e.get("to")) for e in root.iter("edge") if e.get("from")}
    both_ways = {id for id, (start, end) in ends.items() if (end, start) in ends.values()}
    between, opposite = [], []
    for edge, own in _by_edge(lanes).items():
        between += [_sides(lane)[0] for lane in own[:-1]]
        if edge in both_ways and (ends[edge][1], ends[edge][0]) != ends[edge] and str(ends[edge][0]) < str(ends[edge][1]):
            opposite.append(_sides(own[-1])[0])
    return between, opposite


def _by_edge(lanes: list[Lane]) -> dict[str, list[Lane]]:
    """The lanes of wheeled traffic per street and direction, from the rightmost to the leftmost."""
    edges = defaultdict(list)
    for lane in lanes:
        if lane.function == "normal" and lane.user != "walker":
            edges[lane.edge].append(lane)
    return edges


def _stop_lines(root: ElementTree.Element, lanes: list[Lane]) -> tuple[list[BaseGeometry], list[BaseGeometry]]:
    """Lines across all lanes of a street where it must give way or has a signal; those with a signal once more."""
    yielding = {str(c.get("from")) for c in root.iter("connection") if c.get("state") in ("m", "o", "O", "s", "w", "=")}
    signalled = {str(c.get("from")) for c in root.iter("connection") if c.get("tl")}
    stops: dict[str, BaseGeometry] = {}
    for edge, own in _by_edge(lanes).items():
        if edge in yielding | signalled:
            right, left = _sides(own[0])[1], _sides(own[-1])[0]
            stops[edge] = shapely.LineString([left.coords[-1], right.coords[-1]])
    return list(stops.values()), [line for edge, line in stops.items() if edge in signalled]


def _areas(geometry: BaseGeometry) -> shapely.MultiPolygon:
    parts = shapely.get_parts(geometry)
    return shapely.MultiPolygon([p for p in shapely.get_parts(parts) if p.geom_type == "Polygon" and p.area > 0.1])


def _lines(geometry: BaseGeometry | list[BaseGeometry]) -> shapely.MultiLineString:
    parts = shapely.get_parts(geometry)
    return shapely.MultiLineString([p for p in parts if p.geom_type == "LineString" and p.length > 0.5])
