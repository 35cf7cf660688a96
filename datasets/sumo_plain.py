"""A road network in plain nodes, edges and crossings, and its compilation by SUMO's netconvert."""

import math
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from drive_wm.datasets.sumo_install import find_program
from drive_wm.errors import InputError
from drive_wm.log import Floats

POINT_SPACING_M = 6.0
JAYWALK = "jaywalk"  # a node with this in its name has a crossing that no paint marks


@dataclass(frozen=True)
class Edge:
    """A one-way road; its lanes lie to the right of `shape`, the sidewalk outermost."""

    id: str
    start: str
    end: str
    shape_m: Floats  # (P, 2) from the start node to the end node
    lanes: int
    speed_mps: float
    priority: int = 1
    sidewalk: bool = True
    bike_lane: bool = False


@dataclass
class Network:
    """What netconvert needs to know, filled by one of the functions in NETWORKS."""

    kind: str
    nodes: dict[str, tuple[float, float, str, float]] = field(default_factory=dict)  # x m, y m, type, corner radius m
    edges: list[Edge] = field(default_factory=list)
    crossings: list[tuple[str, tuple[str, str]]] = field(default_factory=list)  # node, edges walked over
    links: list[tuple[str, str, int, int]] = field(default_factory=list)  # from, to, from lane, to lane
    ring: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())  # nodes, edges of a roundabout

    def node(self, id: str, at_m: Floats, type: str = "priority", radius_m: float = 6.0) -> None:
        self.nodes[id] = (float(at_m[0]), float(at_m[1]), type, radius_m)

    def road(
        self, id: str, start: str, end: str, shape_m: Floats, lanes: int, speed_mps: float,
        priority: int = 1, bike_lane: bool = False,
    ) -> None:  # fmt: skip
        """Both directions of a street: `id` from start to end and "-" + `id` back."""
        self.edges.append(Edge(id, start, end, shape_m, lanes, speed_mps, priority, bike_lane=bike_lane))
        self.edges.append(Edge("-" + id, end, start, shape_m[::-1], lanes, speed_mps, priority, bike_lane=bike_lane))

    def cross(self, node: str, road: str) -> None:
        """A crossing over both directions of a street, at one of its nodes."""
        self.crossings.append((node, (road, "-" + road)))


def arc(start_m: Floats, heading_rad: float, length_m: float, curvature_per_m: float) -> Floats:
    """Points (P, 2) along a circular arc, about 6 m apart, both ends included."""
    s = np.linspace(0.0, length_m, max(2, round(length_m / POINT_SPACING_M)))
    half = 0.5 * s * curvature_per_m
    chord = s * np.sinc(half / np.pi)
    return start_m + chord[:, None] * np.stack([np.cos(heading_rad + half), np.sin(heading_rad + half)], axis=1)


def bezier(start_m: Floats, start_rad: float, end_m: Floats, end_rad: float) -> Floats:
    """Points (12, 2) of a cubic curve with the given headings at its ends."""
    reach = 0.4 * float(np.linalg.norm(end_m - start_m))
    a = start_m + reach * np.array([math.cos(start_rad), math.sin(start_rad)])
    b = end_m - reach * np.array([math.cos(end_rad), math.sin(end_rad)])
    t = np.linspace(0.0, 1.0, 12)[:, None]
    return (1 - t) ** 3 * start_m + 3 * (1 - t) ** 2 * t * a + 3 * (1 - t) * t**2 * b + t**3 * end_m


def heading(shape_m: Floats) -> float:
    """Direction in which a polyline ends."""
    return math.atan2(*(shape_m[-1] - shape_m[-2])[::-1])


def compile_network(net: Network, rng: np.random.Generator, folder: Path) -> Path:
    """Write the plain files into `folder` and compile them; return the path of the .net.xml."""
    _write(folder / "plain.nod.xml", _nodes(net))
    _write(folder / "plain.edg.xml", _edges(net))
    _write(folder / "plain.con.xml", _connections(net))
    options = {
        "node-files": folder / "plain.nod.xml", "edge-files": folder / "plain.edg.xml",
        "connection-files": folder / "plain.con.xml", "output-file": folder / "road.net.xml",
        "no-turnarounds": True, "offset.disable-normalization": True, "walkingareas": True,
        "junctions.corner-detail": 6, "junctions.internal-link-detail": 10, "junctions.limit-turn-speed": 2.2,
        "default.lanewidth": f"{rng.uniform(3.0, 3.6):.2f}", "default.crossing-width": f"{rng.uniform(3.0, 5.0):.2f}",
        "tls.cycle.time": int(rng.integers(36, 60)), "tls.left-green.time": 6, "xml-validation": "never", "no-warnings": True,
    }  # fmt: skip
    arguments = [
        find_program("netconvert"),
        *(f"--{name}={str(value).lower() if value is True else value}" for name, value in options.items()),
    ]
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"netconvert refused the {net.kind} network in {folder}: {done.stderr.strip()}")
    return folder / "road.net.xml"


def _write(path: Path, root: ElementTree.Element) -> None:
    ElementTree.ElementTree(root).write(path)


def _element(parent: ElementTree.Element, tag: str, **attributes: object) -> None:
    ElementTree.SubElement(parent, tag, {name.rstrip("_"): str(value) for name, value in attributes.items()})


def _nodes(net: Network) -> ElementTree.Element:
    root = ElementTree.Element("nodes")
    for id, (x, y, type, radius) in net.nodes.items():
        _element(root, "node", id=id, x=f"{x:.2f}", y=f"{y:.2f}", type=type, radius=f"{radius:.1f}")
    return root


def _edges(net: Network) -> ElementTree.Element:
    root = ElementTree.Element("edges")
    for edge in net.edges:
        extra: dict[str, object] = {"sidewalkWidth": 2.5} if edge.sidewalk else {}
        extra |= {"bikeLaneWidth": 1.6} if edge.bike_lane else {}
        shape = " ".join(f"{x:.2f},{y:.2f}" for x, y in edge.shape_m)
        _element(root, "edge", id=edge.id, from_=edge.start, to=edge.end, numLanes=edge.lanes, priority=edge.priority,
                 speed=f"{edge.speed_mps:.2f}", shape=shape, **extra)  # fmt: skip
    if net.ring[0]:
        _element(root, "roundabout", nodes=" ".join(net.ring[0]), edges=" ".join(net.ring[1]))
    return root


def _connections(net: Network) -> ElementTree.Element:
    root = ElementTree.Element("connections")
    for start, end, start_lane, end_lane in net.links:
        _element(root, "connection", from_=start, to=end, fromLane=start_lane, toLane=end_lane)
    for node, edges in net.crossings:
        # Where no paint marks a crossing, or cars may keep going, whoever walks must wait for a gap.
        priority = JAYWALK not in node and net.nodes[node][2] != "right_before_left"
        _element(root, "crossing", node=node, edges=" ".join(edges), priority=str(priority).lower())
    return root
