"""LogMaps, laid side by side, as one location of the nuScenes map expansion 1.3."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from shapely import affinity

from drive_wm.datasets.nuscenes_arclines import fit_arclines
from drive_wm.datasets.nuscenes_streets import Lane, Streets, streets_of
from drive_wm.log import Floats, LogMap

VERSION = "1.3"
LAYERS = (
    "polygon", "line", "node", "drivable_area", "road_segment", "road_block", "lane", "ped_crossing", "walkway", "stop_line",
    "carpark_area", "road_divider", "lane_divider", "traffic_light", "lane_connector",
)  # fmt: skip
GAP_M = 160.0  # between two places: more than a Log's map reaches beyond its drive
ROW_M = 2400.0  # a row of places goes this far east; the next one begins north of it
STOP_LINE_M = 0.5  # thickness
SIGNAL_HEIGHT_M = 4.0
LAMPS = {"RED": 0.3, "YELLOW": 0.0, "GREEN": -0.3}  # m above the middle one
DIGITS = 4

Record = dict[str, Any]


def token(*parts: object) -> str:
    """32 hexadecimal digits, the same for the same parts."""
    return hashlib.md5("/".join(map(str, parts)).encode()).hexdigest()


@dataclass
class Location:
    """One map file in the making."""

    name: str
    layers: dict[str, list[Record]] = field(default_factory=lambda: {name: [] for name in LAYERS})
    paths: dict[str, list[Record]] = field(default_factory=dict)
    connectivity: dict[str, Record] = field(default_factory=dict)
    grounds: list[shapely.Polygon] = field(default_factory=list)  # where people drive and walk, for the mask
    edge_m: tuple[float, float] = (GAP_M, GAP_M)  # canvas, east and north
    next_m: tuple[float, float] = (GAP_M, GAP_M)  # south-western corner of the next place

    def place(self, m: LogMap, signals: shapely.MultiLineString) -> Floats:
        """Add a map east of the one before, or in a new row; return by how much (2,) it was moved."""
        west, south, east, north = shapely.total_bounds([m.drivable, m.walkways, m.lanes])
        if self.next_m[0] > ROW_M:
            self.next_m = GAP_M, self.edge_m[1]
        offset_m = np.round(np.array(self.next_m) - (west, south), 0)
        end_m = np.array([east, north]) + offset_m + GAP_M
        self.next_m = float(np.ceil(end_m[0])), self.next_m[1]
        self.edge_m = (max(self.edge_m[0], float(np.ceil(end_m[0]))), max(self.edge_m[1], float(np.ceil(end_m[1]))))
        self._add(moved(m, offset_m), affinity.translate(signals, *offset_m))
        return offset_m

    def content(self) -> Record:
        """The JSON file's content."""
        maps = {"arcline_path_3": self.paths, "connectivity": self.connectivity}
        return {"version": VERSION, **self.layers, **maps, "canvas_edge": list(self.edge_m)}

    def _add(self, m: LogMap, signals: shapely.MultiLineString) -> None:
        streets = streets_of(m)
        self.grounds += [*m.drivable.geoms, *m.walkways.geoms]
        drivable = self._put("drivable_area", polygon_tokens=[self._polygon(area) for area in m.drivable.geoms])
        segments = [
            self._put("road_segment", polygon_token=self._polygon(area), is_intersection=junction, drivable_area_token=drivable)
            for area, junction in streets.segments
        ]
        areas = shapely.STRtree([area for area, _ in streets.segments])

        def segment_at(thing: shapely.Geometry) -> str:
            return segments[int(areas.nearest(shapely.point_on_surface(thing)))]

        blocks = self._add_blocks(streets, [segment_at(block) for block in streets.blocks])
        self._add_lanes(streets)
        crossings = [
            self._put("ped_crossing", polygon_token=self._polygon(area), road_segment_token=segment_at(area))
            for area in m.crosswalks.geoms
        ]
        for area in m.walkways.geoms:
            self._put("walkway", polygon_token=self._polygon(area))
        self._add_stops(m, signals, streets, blocks, crossings)
        for line in m.road_dividers.geoms:
            self._put("road_divider", line_token=self._line(line.coords), road_segment_token=segment_at(line))
        for line in m.lane_dividers.geoms:
            self._put("lane_divider", line_token=self._line(line.coords), lane_divider_segments=self._marks(line, True))

    def _add_blocks(self, streets: Streets, segments: list[str]) -> list[str]:
        tokens = []
        for i, (ground, segment) in enumerate(zip(streets.blocks, segments, strict=True)):
            ends = [_ends(lane) for lane, block in zip(streets.lanes, streets.block, strict=True) if block == i]
            first, last = (_hull_line(np.concatenate([pair[side] for pair in ends])) for side in (0, 1))
            tokens.append(
                self._put("road_block", polygon_token=self._polygon(ground), from_edge_line_token=self._line(first),
                          to_edge_line_token=self._line(last), road_segment_token=segment)
            )  # fmt: skip
        return tokens

    def _add_lanes(self, streets: Streets) -> None:
        first = len(self.paths)
        tokens = [token(self.name, "lane", first + i) for i in range(len(streets.lanes))]
        for own, lane in zip(tokens, streets.lanes, strict=True):
            self.paths[own] = fit_arclines(lane.line_m)
            ways = {"incoming": [tokens[i] for i in lane.incoming], "outgoing": [tokens[i] for i in lane.outgoing]}
            self.connectivity[own] = ways
            ground = self._polygon(lane.ground)
            if lane.in_junction:
                self.layers["lane_connector"].append({"token": own, "polygon_token": ground})
                continue
            start, end = _ends(lane)
            line = shapely.LineString(lane.line_m)
            left, right = line.offset_curve(lane.width_m / 2), line.offset_curve(-lane.width_m / 2)
            self.layers["lane"].append({
                "token": own, "polygon_token": ground, "lane_type": "CAR", "from_edge_line_token": self._line(start),
                "to_edge_line_token": self._line(end), "left_lane_divider_segments": self._marks(left, lane.has_left),
                "right_lane_divider_segments": self._marks(right, lane.has_right),
            })  # fmt: skip

    def _add_stops(
        self, m: LogMap, signals: shapely.MultiLineString, streets: Streets, blocks: list[str], crossings: list[str]
    ) -> None:
        """Stop lines, each with the crossing beyond it and, where a signal governs it, the signal above it."""
        grounds, zebras = shapely.STRtree(streets.blocks), shapely.STRtree(m.crosswalks.geoms)
        for line in m.stop_lines.geoms:
            block = blocks[int(grounds.nearest(line))] if blocks else ""
            lights = [self._signal(line, block)] if signals.dwithin(line.centroid, 0.1) else []
            self._put(
                "stop_line", polygon_token=self._polygon(line.buffer(STOP_LINE_M / 2, cap_style="flat")),
                stop_line_type="TRAFFIC_LIGHT" if lights else "YIELD", traffic_light_tokens=lights, road_block_token=block,
                ped_crossing_tokens=[crossings[i] for i in zebras.query(line, predicate="dwithin", distance=2.0)],
            )  # fmt: skip

    def _signal(self, line: shapely.LineString, block: str) -> str:
        """A signal of three lamps over the middle of a stop line."""
        middle = line.interpolate(0.5, normalized=True)
        level = {"tx": 0.0, "ty": 0.0, "rx": 0.0, "ry": 0.0, "rz": 0.0}
        lamps = [
            {"color": color, "shape": "CIRCLE", "rel_pos": level | {"tz": up_m}, "to_road_block_tokens": []}
            for color, up_m in LAMPS.items()
        ]
        pose = level | {"tx": round(middle.x, DIGITS), "ty": round(middle.y, DIGITS), "tz": SIGNAL_HEIGHT_M}
        return self._put("traffic_light", line_token=self._line(line.coords), traffic_light_type="VERTICAL",
                         from_road_block_token=block, items=lamps, pose=pose)  # fmt: skip

    def _put(self, layer: str, **fields: Any) -> str:
        own = token(self.name, layer, len(self.layers[layer]))
        self.layers[layer].append({"token": own, **fields})
        return own

    def _nodes(self, points: Any) -> list[str]:
        return [self._put("node", x=round(float(x), DIGITS), y=round(float(y), DIGITS)) for x, y in points]

    def _line(self, points: Any) -> str:
        return self._put("line", node_tokens=self._nodes(points))

    def _polygon(self, area: shapely.Polygon) -> str:
        holes = [{"node_tokens": self._nodes(hole.coords[:-1])} for hole in area.interiors]
        return self._put("polygon", exterior_node_tokens=self._nodes(area.exterior.coords[:-1]), holes=holes)

    def _marks(self, line: shapely.Geometry, dashed: bool) -> list[Record]:
        """Nodes along a lane's border with the paint there."""
        kind = "DOUBLE_DASHED_WHITE" if dashed else "SINGLE_SOLID_WHITE"
        nodes = self._nodes(shapely.get_coordinates(shapely.simplify(line, 0.02)))
        return [{"node_token": node, "segment_type": kind} for node in nodes]


def moved(m: LogMap, offset_m: Floats) -> LogMap:
    """The same map elsewhere."""
    geometry = {k: affinity.translate(v, *offset_m) for k, v in vars(m).items() if isinstance(v, shapely.Geometry)}
    return LogMap(**(vars(m) | geometry))


def _ends(lane: Lane) -> tuple[Floats, Floats]:
    """Points (2, 2) across a lane where it begins, and where it ends."""
    step = np.diff(lane.line_m, axis=0)[[0, -1]]
    left = step[:, ::-1] * (-1, 1) / np.linalg.norm(step, axis=1)[:, None] * lane.width_m / 2
    first, last = (np.stack([at + aside, at - aside]) for at, aside in zip(lane.line_m[[0, -1]], left, strict=True))
    return first, last


def _hull_line(points: Floats) -> Floats:
    """The two points (2, 2) that lie farthest apart."""
    apart_m = np.linalg.norm(points[:, None] - points, axis=-1)
    return points[list(np.unravel_index(np.argmax(apart_m), apart_m.shape))]
