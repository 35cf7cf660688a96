"""Seven kinds of road network, drawn at random."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drive_wm.datasets.sumo_plain import JAYWALK, Edge, Network, arc, bezier, heading
from drive_wm.log import Floats

MAX_LATERAL_ACCEL_MPS2 = 2.6  # SUMO does not slow down for bends, so bends are laid out for the speed limit


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


def _street(net: Network, rng: np.random.Generator, id: str, start: str, outwards_rad: float, lay: Lay) -> None:
    """Lay a street outwards from a node; edges towards that node begin with "-"."""
    at_m = np.array(net.nodes[start][:2])
    curvature = float(rng.uniform(-lay.bend_per_m, lay.bend_per_m))
    name, first_m = lay.crossing or ("end", lay.length_m)
    for part, (end, span_m) in enumerate([(name, first_m), ("end", lay.length_m - first_m)][: 2 if lay.crossing else 1]):
        shape = arc(at_m, outwards_rad, span_m, curvature)
        net.node(id + end, shape[-1], radius_m=1.5)
        net.road(f"{id}{part}", start, id + end, shape, lay.lanes, lay.speed_mps, lay.priority, lay.bike_lane)
        start, at_m, outwards_rad = id + end, shape[-1], heading(shape)
    if lay.crossing:
        net.cross(id + name, f"{id}1")


def _crossing(rng: np.random.Generator) -> tuple[str, float] | None:
    """A crossing on the way along a street, painted or not, or none."""
    name = [None, JAYWALK, "zebra"][int(rng.integers(3))]
    return (name, float(rng.uniform(55, 100))) if name else None


def _arms(
    net: Network, rng: np.random.Generator, angles_rad: Floats, lanes: list[int], speed_mps: float, bike_lane: bool = False
) -> None:
    """Streets in all directions from the node "centre", each with a painted crossing at its mouth."""
    for id, angle, count in zip("nesw", angles_rad, lanes, strict=False):
        priority = 3 if count == max(lanes) else 1
        lay = Lay(count, speed_mps, float(rng.uniform(150, 220)), 0.004, _crossing(rng), priority, bike_lane)
        _street(net, rng, id, "centre", float(angle), lay)
        net.cross("centre", f"{id}0")


def signal_junction(rng: np.random.Generator) -> Network:
    net = Network("signal junction")
    net.node("centre", np.zeros(2), "traffic_light", float(rng.uniform(6, 11)))
    main, side = int(rng.integers(2, 4)), int(rng.integers(1, 3))
    angles = np.arange(4) * math.pi / 2 + rng.uniform(-0.2, 0.2, 4)
    _arms(net, rng, angles, [main, side, main, side], float(rng.uniform(11.1, 16.7)), bool(rng.uniform() < 0.4))
    return net


def priority_junction(rng: np.random.Generator) -> Network:
    net = Network("priority junction")
    kinds = ["priority", "priority", "priority_stop", "allway_stop", "right_before_left"]
    kind = str(rng.choice(kinds))
    net.node("centre", np.zeros(2), kind, float(rng.uniform(5, 9)))
    arms = int(rng.integers(3, 5))
    angles = np.array([0, 0.5, 1, 1.5])[:arms] * math.pi + rng.uniform(-0.25, 0.25, arms)
    major = 1 if kind in ("allway_stop", "right_before_left") else int(rng.integers(1, 3))
    _arms(net, rng, angles, [major, 1, major, 1][:arms], float(rng.uniform(8.3, 13.9)))
    return net


@dataclass(frozen=True)
class Ring:
    """The circle of a roundabout, driven counter-clockwise."""

    radius_m: float
    lanes: int
    gate_rad: float  # half the angle between where an arm's traffic leaves and where it enters

    def at(self, angle_rad: float) -> Floats:
        return self.radius_m * np.array([math.cos(angle_rad), math.sin(angle_rad)])


def roundabout(rng: np.random.Generator) -> Network:
    net = Network("roundabout")
    arms = int(rng.integers(3, 6))
    radius_m = float(rng.uniform(15, 22) + 3 * arms)
    ring = Ring(radius_m, int(rng.integers(1, 3)), 7.0 / radius_m)
    angles = np.arange(arms) * 2 * math.pi / arms + rng.uniform(-0.12, 0.12, arms)
    gates = [(f"{i}{side}", a + sign * ring.gate_rad) for i, a in enumerate(angles) for side, sign in (("out", -1), ("in", 1))]
    for id, angle in gates:
        net.node(id, ring.at(angle), radius_m=4.0)
    limit_mps = min(8.3, math.sqrt(MAX_LATERAL_ACCEL_MPS2 * radius_m))
    for (a, start_rad), (b, end_rad) in zip(gates, gates[1:] + gates[:1], strict=True):
        shape = arc(
            ring.at(start_rad), start_rad + math.pi / 2, radius_m * ((end_rad - start_rad) % (2 * math.pi)), 1 / radius_m
        )
        net.edges.append(Edge(f"ring{a}", a, b, shape, ring.lanes, limit_mps, 5, sidewalk=False))
    net.ring = (tuple(id for id, _ in gates), tuple(f"ring{id}" for id, _ in gates))
    speed_mps = float(rng.uniform(8.3, 13.9))
    for i, angle in enumerate(angles):
        _roundabout_arm(net, rng, i, float(angle), ring, speed_mps)
    return net


def _roundabout_arm(net: Network, rng: np.random.Generator, i: int, angle_rad: float, ring: Ring, speed_mps: float) -> None:
    """A street that parts into a way into the ring and a way out of it."""
    split_m = ring.at(angle_rad) * (1 + 26.0 / ring.radius_m)
    net.node(f"{i}split", split_m, radius_m=1.5)
    enters_rad, leaves_rad = angle_rad + ring.gate_rad, angle_rad - ring.gate_rad
    inward = bezier(split_m, angle_rad + math.pi, ring.at(enters_rad), enters_rad + math.pi * 0.75)
    outward = bezier(ring.at(leaves_rad), leaves_rad + math.pi * 0.25, split_m, angle_rad)
    for id, start, end, shape in (("enter", "split", "in", inward), ("leave", "out", "split", outward)):
        net.edges.append(Edge(f"{i}{id}", f"{i}{start}", f"{i}{end}", shape, ring.lanes, min(speed_mps, 9.7)))
    zebra = ("zebra", float(rng.uniform(10, 18)))
    lay = Lay(ring.lanes, speed_mps, float(rng.uniform(150, 200)), 0.004, zebra)
    _street(net, rng, f"{i}", f"{i}split", angle_rad, lay)


def curve(rng: np.random.Generator) -> Network:
    lanes, speed_mps = int(rng.integers(1, 3)), float(rng.uniform(8.3, 14.5))
    return _open_road("curve", rng, lanes, speed_mps, min(0.028, MAX_LATERAL_ACCEL_MPS2 / speed_mps**2))


def straight(rng: np.random.Generator) -> Network:
    return _open_road("straight", rng, int(rng.integers(1, 4)), float(rng.uniform(11.1, 18.0)), 0.0)


def _open_road(kind: str, rng: np.random.Generator, lanes: int, speed_mps: float, tightest_per_m: float) -> Network:
    """Four lengths of a street with crossings between some of them, each with its own bend."""
    net = Network(kind)
    bike_lane = bool(rng.uniform() < 0.4)
    at_m, ahead_rad = np.zeros(2), 0.0
    net.node("start", at_m, radius_m=1.5)
    names = ["start", *(f"{i}{rng.choice([JAYWALK, 'zebra', 'joint'])}" for i in range(1, 4)), "end"]
    turns = rng.uniform(0.2, 1.0, 4) * tightest_per_m * rng.choice([-1, 1], 4)
    for i, turn in enumerate(turns):
        shape = arc(at_m, ahead_rad, float(rng.uniform(110, 170)) if i in (0, 3) else float(rng.uniform(70, 110)), float(turn))
        at_m, ahead_rad = shape[-1], heading(shape)
        net.node(names[i + 1], at_m, radius_m=1.5)
        net.road(f"c{i}", names[i], names[i + 1], shape, lanes, speed_mps, bike_lane=bike_lane)
    for i in (1, 2, 3):
        if "joint" not in names[i]:
            net.cross(names[i], f"c{i}")
    return net


def merge(rng: np.random.Generator) -> Network:
    """A dual carriageway with an on-ramp whose lane ends after a while."""
    net = Network("merge")
    lanes, speed_mps = int(rng.integers(2, 4)), float(rng.uniform(12.5, 18.0))
    before_m, taper_m, after_m = rng.uniform(160, 220), rng.uniform(90, 160), rng.uniform(200, 280)
    bend = float(rng.uniform(-0.002, 0.002))
    at_m, ahead_rad = np.zeros(2), 0.0
    net.node("a", at_m)
    for start, end, count, span_m in (("a", "b", lanes, before_m), ("b", "c", lanes + 1, taper_m), ("c", "d", lanes, after_m)):
        shape = arc(at_m, ahead_rad, float(span_m), bend)
        at_m, ahead_rad = shape[-1], heading(shape)
        net.node(end, at_m, radius_m=1.5)
        net.edges.append(Edge(start + end, start, end, shape, count, speed_mps, 3, sidewalk=False))
        net.edges.append(Edge(end + start, end, start, shape[::-1], lanes, speed_mps, 3, sidewalk=False))
    _ramp(net, rng, lanes, speed_mps * 0.8)
    net.links += [("ab", "bc", i, i + 1) for i in range(lanes)] + [("ramp", "bc", 0, 0)]
    net.links += [("bc", "cd", i + 1, i) for i in range(lanes)]
    net.links += [(start, end, i, i) for start, end in (("dc", "cb"), ("cb", "ba")) for i in range(lanes)]
    return net


def _ramp(net: Network, rng: np.random.Generator, lanes: int, speed_mps: float) -> None:
    """A one-lane road that joins the outermost lane of the widened road from node "b" on."""
    b_m = np.array(net.nodes["b"][:2])
    along_rad = heading(net.edges[0].shape_m)
    foot_m = b_m + lanes * 3.3 * np.array([math.sin(along_rad), -math.cos(along_rad)])
    angle = along_rad + float(rng.uniform(0.12, 0.3))
    far_m = foot_m - float(rng.uniform(150, 200)) * np.array([math.cos(angle), math.sin(angle)])
    net.node("ramp", far_m)
    shape = bezier(far_m, angle, foot_m, along_rad)
    net.edges.append(Edge("ramp", "ramp", "b", shape, 1, speed_mps, 1, sidewalk=False))


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
    for id, centre, angle in (("w", "west", math.pi), ("e", "east", heading(shape))):
        lay = Lay(lanes, speed_mps, float(rng.uniform(160, 220)), 0.002, None, 3, bike_lane)
        _street(net, rng, id, centre, angle, lay)
        net.cross(centre, f"{id}0")
        for side in ("l", "r"):
            turn = angle + (math.pi / 2 if side == "l" else -math.pi / 2) + float(rng.uniform(-0.2, 0.2))
            if rng.uniform() < 0.8:
                _street(net, rng, id + side, centre, turn, Lay(1, 11.1, float(rng.uniform(130, 170)), 0.004, _crossing(rng)))
                net.cross(centre, f"{id}{side}0")
    return net


NETWORKS: tuple[Callable[[np.random.Generator], Network], ...] = (
    signal_junction, roundabout, merge, curve, priority_junction, arterial, straight,
)  # fmt: skip
