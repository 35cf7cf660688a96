"""Log: one recorded drive in the global frame, the shape in which every data source arrives."""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from drive_wm.errors import InputError
from drive_wm.files import write_atomically

LOG_VERSION = 3
KINDS = ("vehicle", "cyclist", "pedestrian", "static")
VEHICLE, CYCLIST, PEDESTRIAN, STATIC = range(4)
KEEP = "keep"  # branch_action where the ego just goes on

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class LogMap:
    """Vector map in the global frame; shapely geometry, empty where the source has none."""

    lanes: shapely.MultiLineString  # L centreline pieces of at most 20 m, in driving direction
    lane_successors: Ints  # (E, 2) from piece, to piece
    lane_left: Ints  # (L,) neighbour piece in the same direction, -1 for none
    lane_right: Ints  # (L,)
    lane_in_junction: Bools  # (L,)
    drivable: shapely.MultiPolygon
    crosswalks: shapely.MultiPolygon
    walkways: shapely.MultiPolygon
    stop_lines: shapely.MultiLineString
    lane_dividers: shapely.MultiLineString
    road_dividers: shapely.MultiLineString
    # Beyond it nothing is known, not even that there is no road; empty: the map has no end.
    extent: shapely.Polygon = field(default_factory=shapely.Polygon)


def empty_map() -> LogMap:
    """The map of a source that has none."""
    none, lines, areas = np.zeros(0, np.int64), shapely.MultiLineString(), shapely.MultiPolygon()
    return LogMap(lines, np.zeros((0, 2), np.int64), none, none, none.astype(bool), areas, areas, areas, lines, lines, lines)


@dataclass(frozen=True)
class Log:
    """S keyframes of the ego and A other agents; where `valid` is False the other agent fields are 0."""

    name: str
    source: str  # "nuscenes", "sumo"
    location: str
    description: str
    keyframes: tuple[str, ...]  # (S,) the source's own names, nuScenes sample tokens for example
    agents: tuple[str, ...]  # (A,) the source's own names, instance tokens for example
    categories: tuple[str, ...]  # (A,) the source's own category names
    time_s: Floats  # (S,)
    ego_pose: Floats  # (S, 3) global_from_ego: x m, y m, yaw rad of the rear axle
    ego_size_m: Floats  # (2,) length, width
    ego_centre_m: float  # the ego's box centre lies this far ahead of the rear axle
    ego_from_lidar: Floats  # (3,) where LIDAR_TOP sits: x m, y m, yaw rad
    position_m: Floats  # (A, S, 2) box centres
    yaw_rad: Floats  # (A, S)
    size_m: Floats  # (A, S, 2) length, width
    kind: Ints  # (A,) index into KINDS
    points: Ints  # (A, S) lidar and radar points inside the box, -1 where unknown
    visibility: Ints  # (A, S) nuScenes visibility 1 (0-40 %) to 4 (80-100 %), 0 where unknown
    valid: Bools  # (A, S)
    map: LogMap
    route: shapely.LineString  # the way the ego was told to go, empty where unknown
    targets: Ints  # (N, 2) agent, step: the instants whose six seconds a forecast challenge asks for; empty: it names none
    has_ego: bool  # False: no ego was recorded, and its poses are 0
    has_all_traffic: bool  # False: only part of the traffic was recorded, absence is not emptiness
    branch_of: str = ""  # name of the Log that this one equals up to branch_step; its own where the ego just goes on
    branch_step: int = 0  # after this keyframe the ego does something else
    branch_action: str = ""  # what it does: "keep", "brake", "accelerate", "change_lane"; empty: there are no branches

    def check(self) -> None:
        """Raise InputError that names the first field at odds with the table above."""
        s, a = len(self.keyframes), len(self.agents)
        lanes = len(self.map.lanes.geoms)
        shapes = {
            "time_s": (s,), "ego_pose": (s, 3), "ego_size_m": (2,), "ego_from_lidar": (3,),
            "position_m": (a, s, 2), "yaw_rad": (a, s), "size_m": (a, s, 2), "kind": (a,),
            "points": (a, s), "visibility": (a, s), "valid": (a, s), "targets": (len(self.targets), 2),
        }  # fmt: skip
        for name, shape in shapes.items():
            value = getattr(self, name)
            self._need(value.shape == shape, name, f"shape {value.shape}", f"shape {shape}")
            self._need(bool(np.isfinite(value).all()), name, self._first_bad(name), "finite numbers")
        self._need(s >= 2, "keyframes", f"{s} keyframe(s)", "at least 2, since velocity is a difference of two")
        self._need(bool((np.diff(self.time_s) > 0).all()), "time_s", "a keyframe not after the one before", "increasing times")
        self._need(len(self.categories) == a, "categories", f"{len(self.categories)} names", f"{a}, one per agent")
        self._need(
            bool(np.isin(self.kind, range(len(KINDS))).all()), "kind", f"{set(self.kind.tolist())}", f"0 to {len(KINDS) - 1}"
        )
        self._need(bool((self.size_m[self.valid] > 0).all()), "size_m", "a size of 0 or less", "positive length and width")
        inside = bool(((self.targets >= 0) & (self.targets < (a, s))).all())
        self._need(inside, "targets", "an agent or a step that is not there", f"agents 0 to {a - 1}, steps 0 to {s - 1}")
        present = bool(self.valid[tuple(self.targets.T)].all())
        self._need(present, "targets", "an agent at a step where it is not valid", "agents that are there")
        for name in ("lane_left", "lane_right", "lane_in_junction"):
            n = len(getattr(self.map, name))
            self._need(n == lanes, f"map.{name}", f"{n} entries", f"{lanes}, one per lane piece")
        links = np.concatenate([self.map.lane_successors.ravel(), self.map.lane_left, self.map.lane_right])
        self._need(bool(((links >= -1) & (links < lanes)).all()), "map links", "a lane that is not there", f"-1 to {lanes - 1}")

    def _need(self, ok: bool, field: str, found: str, needed: str) -> None:
        if not ok:
            raise InputError(
                f"Log {self.name!r}: {field} has {found}; needed: {needed}. Fix the source or leave this scene out."
            )

    def _first_bad(self, field: str) -> str:
        where = np.argwhere(~np.isfinite(getattr(self, field)))
        if not len(where):
            return ""
        per_agent = field in ("position_m", "yaw_rad", "size_m", "points", "visibility")
        agent = f" (agent {self.agents[where[0][0]]!r})" if per_agent else ""
        return f"a value that is not finite at index {tuple(where[0].tolist())}{agent}"


_TEXT = (
    "name",
    "source",
    "location",
    "description",
    "keyframes",
    "agents",
    "categories",
    "ego_centre_m",
    "has_ego",
    "has_all_traffic",
    "branch_of",
    "branch_step",
    "branch_action",
)


def write_log(log: Log, path: Path) -> None:
    """Store a Log as safetensors: arrays as they are, geometry as well-known binary, text in the header."""
    arrays: dict[str, NDArray[Any]] = {}
    for owner, prefix in ((log, ""), (log.map, "map.")):
        for f in fields(owner):
            value = getattr(owner, f.name)
            if isinstance(value, np.ndarray):
                arrays[prefix + f.name] = np.ascontiguousarray(value)
            elif isinstance(value, shapely.Geometry):
                arrays[prefix + f.name] = np.frombuffer(shapely.to_wkb(value), np.uint8)
    # One entry: safetensors writes several in no fixed order, and equal logs should be equal bytes.
    text = {"version": LOG_VERSION} | {k: getattr(log, k) for k in _TEXT}
    write_atomically(path, save(arrays, {"drive_wm_log": json.dumps(text)}))


def read_log(path: Path) -> Log:
    """Read a Log that `write_log` stored, checked.

    Raises FileNotFoundError, or InputError for a damaged file or another version's.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"No log at {path}. Make one with `drive-wm prepare`, or pass the path of a *.log.safetensors file."
        )
    try:
        with safe_open(path, framework="numpy") as file:
            text = json.loads((file.metadata() or {}).get("drive_wm_log", "{}"))
            version = text.pop("version", None) if isinstance(text, dict) else text
            if version != LOG_VERSION:
                raise InputError(
                    f"{path} holds log version {version}, this program reads {LOG_VERSION}. Run `drive-wm prepare` again."
                )
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path} is damaged ({error}). Delete it and run `drive-wm prepare` again.") from error
    text |= {k: tuple(v) for k, v in text.items() if isinstance(v, list)}
    parts = {k.removeprefix("map."): v for k, v in arrays.items() if k.startswith("map.")}
    geometry = {f.name for f in fields(LogMap)} - {"lane_successors", "lane_left", "lane_right", "lane_in_junction"}
    parts = {k: shapely.from_wkb(v.tobytes()) if k in geometry else v for k, v in parts.items()}
    own = {k: v for k, v in arrays.items() if not k.startswith("map.")}
    own["route"] = shapely.from_wkb(own["route"].tobytes())
    log = Log(**text, **own, map=LogMap(**parts))
    log.check()
    return log
