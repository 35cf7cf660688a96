"""Road networks drawn at random: plain nodes, edges and crossings, compiled by SUMO's netconvert."""

import math
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from drive_wm.errors import InputError
from drive_wm.log import Floats

POINT_SPACING_M = 6.0
MAX_LATERAL_ACCEL_MPS2 = 2.6  # SUMO does not slow down for bends, so bends are laid out for the speed limit
JAYWALK = "jaywalk"  # a node of this name has a crossing that no paint marks


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
    crossings: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)  # node, edges walked over
    links: list[tuple[str, str, int, int]] = field(default_factory=list)  # from, to, from lane, to lane
    ring: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())  # nodes, edges of a roundabout

    def node(self, id: str, at_m: Floats, type: str = "priority", radius_m: float = 6.0) -> None:
        self.nodes[id] = (float(at_m[0]), float(at_m[1]), type, radius_m)

    def road(self, id: str, start: str, end: str, shape_m: Floats, lanes: int, speed_mps: float, **more: int) -> None:
        """Both directions of a street: `id` from start to end and "-" + `id` back."""
        self.edges.append(Edge(id, start, end, shape_m, lanes, speed_mps, **more))  # type: ignore[arg-type]
        self.edges.append(Edge("-" + id, end, start, shape_m[::-1], lanes, speed_mps, **more))  # type: ignore[arg-type]


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


def _heading(shape_m: Floats) -> float:
    """Direction in which a polyline ends."""
    return math.atan2(*(shape_m[-1] - shape_m[-2])[::-1])


@dataclass(frozen=True)
class Lay:
    """How a street is built."""

    lanes: int  # per direction
    speed_mps: float
    length_m: float
    bend_per_m: float  # its curvature is at most this
    crossing: tuple[str, float] | None = None  # name of a crossing on the way, its distance from the start
    priority: int = 1
    bike_lane: bool = False


def _street(net: Network, rng: np.random.Generator, id: str, start: str, heading_rad: float, lay: Lay) -> None:
    """Lay a street outwards from a node; edges towards that node begin with "-"."""
    at_m = np.array(net.nodes[start][:2])
    curvature = float(rng.uniform(-lay.bend_per_m, lay.bend_per_m))
    parts_m = [lay.crossing[1], lay.length_m - lay.crossing[1]] if lay.crossing else [lay.length_m]
    for part, span_m in enumerate(parts_m):
        shape = arc(at_m, heading_rad, span_m, curvature)
        end = f"{id}end" if part == len(parts_m) - 1 or not lay.crossing else f"{id}{lay.crossing[0]}"
        net.node(end, shape[-1], radius_m=1.5)
        net.road(f"{id}{part}", start, end, shape, lay.lanes, lay.speed_mps, priority=lay.priority, bike_lane=lay.bike_lane)
        if part == 1:
            net.crossings.append((start, (f"{id}0", f"-{id}0")))
        start, at_m, heading_rad = end, shape[-1], _heading(shape)


def _crossing(rng: np.random.Generator) -> tuple[str, float] | None:
    """A crossing on the way along a street, painted or not, or none."""
    name = [None, JAYWALK, "zebra"][int(rng.integers(3))]
    return (name, float(rng.uniform(55, 100))) if name else None


def _arms(net: Network, rng: np.random.Generator, centre: str, angles_rad: Floats, lanes: list[int], speed_mps: float, bike_lane: bool) -> None:  # fmt: skip
    """Streets in all directions from a junction, each with a painted crossing at its mouth."""
    for id, angle, count in zip("nesw", angles_rad, lanes, strict=False):
        priority = 3 if count == max(lanes) else 1
        lay = Lay(count, speed_mps, float(rng.uniform(150, 220)), 0.004, _crossing(rng), priority, bike_lane)
        _street(net, rng, id, centre, float(angle), lay)
        net.crossings.append((centre, (f"{id}0", f"-{id}0")))


def signal_junction(rng: np.random.Generator) -> Network:
    net = Network("signal junction")
    net.node("centre", np.zeros(2), "traffic_light", float(rng.uniform(6, 11)))
    main, side = int(rng.integers(2, 4)), int(rng.integers(1, 3))
    angles = np.arange(4) * math.pi / 2 + rng.uniform(-0.2, 0.2, 4)
    _arms(net, rng, "centre", angles, [main, side, main, side], float(rng.uniform(11.1, 16.7)), bool(rng.uniform() < 0.4))
    return net


def priority_junction(rng: np.random.Generator) -> Network:
    net = Network("priority junction")
    kinds = ["priority", "priority", "priority_stop", "allway_stop", "right_before_left"]
    kind = str(rng.choice(kinds))
    net.node("centre", np.zeros(2), kind, float(rng.uniform(5, 9)))
    arms = int(rng.integers(3, 5))
    angles = np.array([0, 0.5, 1, 1.5])[:arms] * math.pi + rng.uniform(-0.25, 0.25, arms)
    major = 1 if kind in ("allway_stop", "right_before_left") else int(rng.integers(1, 3))
    _arms(net, rng, "centre", angles, [major, 1, major, 1][:arms], float(rng.uniform(8.3, 13.9)), False)
    return net


def roundabout(rng: np.random.Generator) -> Network:
    net = Network("roundabout")
    arms, lanes = int(rng.integers(3, 6)), int(rng.integers(1, 3))
    radius_m = float(rng.uniform(15, 22) + 3 * arms)
    speed_mps = float(rng.uniform(8.3, 13.9))
    angles = np.arange(arms) * 2 * math.pi / arms + rng.uniform(-0.12, 0.12, arms)
    gate = 7.0 / radius_m  # half the angle between where an arm's traffic leaves the ring and where it enters
    around = [(f"{i}{side}", angle + sign * gate) for i, angle in enumerate(angles) for side, sign in (("out", -1), ("in", 1))]
    for id, angle in around:
        net.node(id, radius_m * np.array([math.cos(angle), math.sin(angle)]), radius_m=4.0)
    for (a, start_rad), (b, end_rad) in zip(around, around[1:] + around[:1], strict=True):
        span = (end_rad - start_rad) % (2 * math.pi)
        shape = arc(np.array(net.nodes[a][:2]), start_rad + math.pi / 2, radius_m * span, 1 / radius_m)
        net.edges.append(
            Edge(
                f"ring{a}",
                a,
                b,
                shape,
                lanes,
                min(speed_mps, math.sqrt(MAX_LATERAL_ACCEL_MPS2 * radius_m), 8.3),
                5,
                sidewalk=False,
            )
        )
    net.ring = (tuple(id for id, _ in around), tuple(f"ring{id}" for id, _ in around))
    for i, angle in enumerate(angles):
        _roundabout_arm(net, rng, i, float(angle), gate, radius_m, lanes, speed_mps)
    return net


def _roundabout_arm(net: Network, rng: np.random.Generator, i: int, angle: float, gate: float, radius_m: float, lanes: int, speed_mps: float) -> None:  # fmt: skip
    split_m = (radius_m + 26.0) * np.array([math.cos(angle), math.sin(angle)])
    net.node(f"{i}split", split_m, radius_m=1.5)
    inward = bezier(split_m, angle + math.pi, np.array(net.nodes[f"{i}in"][:2]), angle + gate + math.pi * 0.75)
    outward = bezier(np.array(net.nodes[f"{i}out"][:2]), angle - gate + math.pi * 0.25, split_m, angle)
    net.edges.append(Edge(f"{i}enter", f"{i}split", f"{i}in", inward, lanes, min(speed_mps, 9.7), sidewalk=False))
    net.edges.append(Edge(f"{i}leave", f"{i}out", f"{i}split", outward, lanes, min(speed_mps, 9.7), sidewalk=False))
    lay = Lay(lanes, speed_mps, float(rng.uniform(130, 180)), 0.004, ("zebra", float(rng.uniform(16, 24))))
    _street(net, rng, f"{i}", f"{i}split", angle, lay)


def curve(rng: np.random.Generator) -> Network:
    net = Network("curve")
    lanes, speed_mps = int(rng.integers(1, 3)), float(rng.uniform(8.3, 14.5))
    tightest_per_m = min(0.028, MAX_LATERAL_ACCEL_MPS2 / speed_mps**2)
    bike_lane = bool(rng.uniform() < 0.4)
    at_m, heading = np.zeros(2), 0.0
    net.node("start", at_m, radius_m=1.5)
    names = ["start", *(f"{i}{rng.choice([JAYWALK, 'zebra', 'joint'])}" for i in range(1, 4)), "end"]
    turns = rng.uniform(0.2, 1.0, 4) * tightest_per_m * rng.choice([-1, 1], 4)
    for i, turn in enumerate(turns):
        shape = arc(at_m, heading, float(rng.uniform(110, 170)) if i in (0, 3) else float(rng.uniform(70, 110)), float(turn))
        at_m, heading = shape[-1], _heading(shape)
        net.node(names[i + 1], at_m, radius_m=1.5)
        net.road(f"c{i}", names[i], names[i + 1], shape, lanes, speed_mps, bike_lane=bike_lane)
    net.crossings += [(names[i], (f"c{i}", f"-c{i}")) for i in (1, 2, 3) if "joint" not in names[i]]
    return net


def merge(rng: np.random.Generator) -> Network:
    """A dual carriageway with an on-ramp whose lane ends after a while."""
    net = Network("merge")
    lanes, speed_mps = int(rng.integers(2, 4)), float(rng.uniform(12.5, 18.0))
    before_m, taper_m, after_m = rng.uniform(160, 220), rng.uniform(90, 160), rng.uniform(200, 280)
    bend = float(rng.uniform(-0.002, 0.002))
    at_m, heading = np.zeros(2), 0.0
    net.node("a", at_m)
    for start, end, count, span_m in (("a", "b", lanes, before_m), ("b", "c", lanes + 1, taper_m), ("c", "d", lanes, after_m)):
        shape = arc(at_m, heading, float(span_m), bend)
        at_m, heading = shape[-1], _heading(shape)
        net.node(end, at_m, radius_m=1.5)
        net.edges.append(Edge(start + end, start, end, shape, count, speed_mps, 3, sidewalk=False))
        net.edges.append(Edge(end + start, end, start, shape[::-1], lanes, speed_mps, 3, sidewalk=False))
    b_m = np.array(net.nodes["b"][:2])
    end_rad = math.atan2(*(b_m - net.edges[0].shape_m[-2])[::-1])
    angle = end_rad + float(rng.uniform(0.12, 0.3))
    # The ramp's lane must meet the outermost lane of the widened road, that is `lanes` lane widths to the right.
    foot_m = b_m + lanes * 3.2 * np.array([math.sin(end_rad), -math.cos(end_rad)])
    far_m = foot_m - float(rng.uniform(150, 200)) * np.array([math.cos(angle), math.sin(angle)])
    net.node("ramp", far_m)
    net.edges.append(Edge("ramp", "ramp", "b", bezier(far_m, angle, foot_m, end_rad), 1, speed_mps * 0.8, 1, sidewalk=False))
    net.links += [("ab", "bc", i, i + 1) for i in range(lanes)] + [("ramp", "bc", 0, 0)]
    net.links += [("bc", "cd", i + 1, i) for i in range(lanes)]
    for start, end in (("dc", "cb"), ("cb", "ba")):
        net.links += [(start, end, i, i) for i in range(lanes)]
    return net


def arterial(rng: np.random.Generator) -> Network:
    """A wide road over two signalised junctions with side streets."""
    net = Network("arterial")
    lanes, speed_mps = int(rng.integers(2, 5)), float(rng.uniform(13.9, 18.0))
    bike_lane = bool(rng.uniform() < 0.4)
    gap_m = float(rng.uniform(110, 170))
    net.node("west", np.zeros(2), "traffic_light", float(rng.uniform(6, 10)))
    shape = arc(np.zeros(2), 0.0, gap_m, float(rng.uniform(-0.003, 0.003)))
    net.node("east", shape[-1], "traffic_light", float(rng.uniform(6, 10)))
    net.road("m0", "west", "east", shape, lanes, speed_mps, priority=3, bike_lane=bike_lane)
    for id, centre, angle in (("w", "west", math.pi), ("e", "east", _heading(shape))):
        lay = Lay(lanes, speed_mps, float(rng.uniform(160, 220)), 0.002, None, 3, bike_lane)
        _street(net, rng, id, centre, angle, lay)
        net.crossings.append((centre, (f"{id}0", f"-{id}0")))
        for side in ("l", "r"):
            turn = angle + (math.pi / 2 if side == "l" else -math.pi / 2) + float(rng.uniform(-0.2, 0.2))
            if rng.uniform() < 0.8:
                _street(net, rng, id + side, centre, turn, Lay(1, 11.1, float(rng.uniform(130, 170)), 0.004, _crossing(rng)))
                net.crossings.append((centre, (f"{id}{side}0", f"-{id}{side}0")))
    return net


NETWORKS: tuple[Callable[[np.random.Generator], Network], ...] = (
    signal_junction, roundabout, merge, curve, priority_junction, arterial,
)  # fmt: skip


def compile_network(net: Network, netconvert: str, rng: np.random.Generator, folder: Path) -> Path:
    """Write the plain files into `folder` and compile them; return the path of the .net.xml."""
    _write(folder / "plain.nod.xml", _nodes(net))
    _write(folder / "plain.edg.xml", _edges(net))
    _write(folder / "plain.con.xml", _connections(net))
    options = {
        "node-files": folder / "plain.nod.xml", "edge-files": folder / "plain.edg.xml",
        "connection-files": folder / "plain.con.xml", "output-file": folder / "road.net.xml",
        "no-turnarounds": True, "offset.disable-normalization": True, "walkingareas": True,
        "junctions.corner-detail": 6, "junctions.internal-link-detail": 10, "junctions.limit-turn-speed": 2.2,
        "default.lanewidth": round(float(rng.uniform(3.0, 3.6)), 2), "default.crossing-width": round(float(rng.uniform(3.0, 5.0)), 2),
        "tls.cycle.time": int(rng.integers(36, 60)), "tls.left-green.time": 6, "xml-validation": "never", "no-warnings": True,
    }  # fmt: skip
    arguments = [netconvert, *(f"--{name}={str(value).lower() if value is True else value}" for name, value in options.items())]
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
