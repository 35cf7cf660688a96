"""Who drives, rides and walks through a network: SUMO's vehicle types and departures, drawn at random."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from drive_wm.datasets.sumo_networks import JAYWALK, Network

from drive_wm.log import CYCLIST, PEDESTRIAN, VEHICLE

EGO_TYPE = "ego"
EGO_SIZE_M = (4.084, 1.85)  # the Renault Zoe of nuScenes
CAR_TYPES, WALKER_TYPES = 14, 6
CATEGORIES = {  # the first letters of a type: nuScenes category, kind
    "ego": ("vehicle.car", VEHICLE),
    "car": ("vehicle.car", VEHICLE),
    "lorry": ("vehicle.truck", VEHICLE),
    "bus": ("vehicle.bus.rigid", VEHICLE),
    "bike": ("vehicle.bicycle", CYCLIST),
    "walker": ("human.pedestrian.adult", PEDESTRIAN),
}


def write_traffic(net: Network, rng: np.random.Generator, until_s: float, path: Path) -> None:
    """Write the departures of the first `until_s` seconds as a SUMO route file."""
    root = ElementTree.Element("routes")
    for attributes in _types(rng):
        ElementTree.SubElement(root, "vType", attributes)
    departures = _vehicles(net, rng, until_s) + _walkers(net, rng, until_s)
    for _, element in sorted(departures, key=lambda departure: departure[0]):
        root.append(element)
    ElementTree.ElementTree(root).write(path)


def _types(rng: np.random.Generator) -> list[dict[str, str]]:
    """One vType per row: cars differ in size and driver, the ego's twin has the Zoe's size and a driver of its own."""
    types = [_driver(rng, f"car{i}", float(rng.uniform(3.7, 5.2)), float(rng.uniform(1.65, 2.05))) for i in range(CAR_TYPES)]
    types += [_driver(rng, f"{EGO_TYPE}{i}", *EGO_SIZE_M) for i in range(3)]
    for i in range(2):
        slow = {"accel": f"{rng.uniform(0.9, 1.4):.2f}", "vClass": "truck", "lcSpeedGain": "0.2"}
        types.append(_driver(rng, f"lorry{i}", float(rng.uniform(6.5, 11.5)), float(rng.uniform(2.3, 2.6))) | slow)
        slow["vClass"] = "bus"
        types.append(_driver(rng, f"bus{i}", float(rng.uniform(10.5, 12.5)), 2.55) | slow)
        types.append({
            "id": f"bike{i}", "vClass": "bicycle", "length": f"{rng.uniform(1.6, 1.85):.2f}", "width": f"{rng.uniform(0.55, 0.7):.2f}",
            "maxSpeed": f"{rng.uniform(4.0, 7.5):.2f}", "latAlignment": "right", "minGapLat": "0.4", "sigma": "0.2",
        })  # fmt: skip
    for i in range(WALKER_TYPES):
        size = {"length": f"{rng.uniform(0.45, 0.75):.2f}", "width": f"{rng.uniform(0.5, 0.7):.2f}"}
        types.append({"id": f"walker{i}", "vClass": "pedestrian", "maxSpeed": f"{rng.uniform(0.9, 1.8):.2f}", **size})
    return types


def _driver(rng: np.random.Generator, id: str, length_m: float, width_m: float) -> dict[str, str]:
    model = str(rng.choice(["Krauss", "IDM", "EIDM"], p=[0.4, 0.35, 0.25]))
    numbers = {
        "length": length_m, "width": width_m, "minGap": rng.uniform(1.2, 3.0), "tau": rng.uniform(0.9, 1.9),
        "accel": rng.uniform(1.4, 2.8), "decel": rng.uniform(2.5, 4.5), "emergencyDecel": 8.0,
        "lcAssertive": rng.uniform(0.8, 1.6), "lcSpeedGain": rng.uniform(0.5, 2.5), "minGapLat": 0.5,
        "maxSpeedLat": rng.uniform(0.7, 1.2), "lcMaxSpeedLatStanding": 0.0, "lcMaxSpeedLatFactor": 0.12,
        "lcAccelLat": 0.8, "impatience": rng.uniform(0.0, 0.4),
    }  # fmt: skip
    numbers |= {"sigma": rng.uniform(0.05, 0.4)} if model == "Krauss" else {}
    speed = f"normc({rng.uniform(0.85, 1.1):.2f},0.06,0.7,1.25)"
    return {"id": id, "carFollowModel": model, "speedFactor": speed} | {k: f"{v:.3f}" for k, v in numbers.items()}


def _vehicles(net: Network, rng: np.random.Generator, until_s: float) -> list[tuple[float, ElementTree.Element]]:
    """Trips between the ends of the network, as a Poisson stream into each of them."""
    used = [edge.start for edge in net.edges], [edge.end for edge in net.edges]
    entries = [e for e in net.edges if e.start not in used[1] or _is_end(net, e.start)]
    exits = [e for e in net.edges if e.end not in used[0] or _is_end(net, e.end)]
    trips: list[tuple[float, ElementTree.Element]] = []
    for entry in entries:
        # Where nobody stops, traffic flows faster than into a junction.
        headway_s = (rng.uniform(2.5, 6.0) if net.kind == "merge" else rng.uniform(4.0, 11.0)) / np.sqrt(entry.lanes)
        depart_s = rng.exponential(headway_s) * 0.5
        targets = [e for e in exits if e.end != entry.start and _reachable(net, entry, e)]
        while depart_s < until_s and targets:
            target = targets[int(rng.integers(len(targets)))]
            type = _draw_type(rng, with_bikes=entry.sidewalk)
            trips.append((depart_s, ElementTree.Element("trip", {
                "id": f"{entry.id}.{len(trips)}", "type": type, "depart": f"{depart_s:.1f}", "from": entry.id, "to": target.id,
                "departLane": "best_prob" if type[:4] != "bike" else "best", "departSpeed": "desired", "departPos": "base",
            })))  # fmt: skip
            depart_s += 1.2 + rng.exponential(headway_s)
    return trips


def _is_end(net: Network, node: str) -> bool:
    """Whether a single street meets the node."""
    return len({frozenset((e.start, e.end)) for e in net.edges if node in (e.start, e.end)}) == 1


def _reachable(net: Network, entry: object, target: object) -> bool:
    """Along the dual carriageway only the own direction is: everything else is joined everywhere."""
    if net.kind != "merge":
        return True
    backwards = {"dc", "cb", "ba"}
    return (entry.id in backwards) == (target.id in backwards)  # type: ignore[attr-defined]


def _draw_type(rng: np.random.Generator, with_bikes: bool) -> str:
    shares = {"ego": 0.28, "car": 0.52, "lorry": 0.07, "bus": 0.04, "bike": 0.09 if with_bikes else 0.0}
    weights = np.array(list(shares.values()))
    name = str(rng.choice(list(shares), p=weights / weights.sum()))
    return name + str(rng.integers({"ego": 3, "car": CAR_TYPES}.get(name, 2)))


def _walkers(net: Network, rng: np.random.Generator, until_s: float) -> list[tuple[float, ElementTree.Element]]:
    """Walks along sidewalks, and across every crossing there is."""
    walks: list[tuple[float, ElementTree.Element]] = []
    for node, (edge, back) in net.crossings:
        jaywalk = JAYWALK in node
        for _ in range(int(rng.poisson(until_s / (22.0 if jaywalk else 14.0)))):
            # Along one side of the street up to its crossing, and back along the other.
            start, end = (edge, back) if rng.uniform() < 0.5 else (back, edge)
            group = int(rng.integers(1, 4)) if rng.uniform() < 0.3 else 1
            depart_s = float(rng.uniform(0.0, until_s))
            back_m = float(rng.uniform(2.0, 14.0))
            walks += [
                (depart_s + i * 0.7, _walk(net, rng, f"p{len(walks) + i}", start, end, node, depart_s + i * 0.7, back_m))
                for i in range(group)
            ]
    streets = [e for e in net.edges if e.sidewalk]
    for edge in streets:
        for _ in range(int(rng.poisson(until_s / 60.0))):
            # No sidewalk runs around the ring of a roundabout.
            targets = [e for e in streets if not net.ring[0] or {edge.start, edge.end} == {e.start, e.end}]
            target = targets[int(rng.integers(len(targets)))]
            depart_s = float(rng.uniform(0.0, until_s))
            person = ElementTree.Element("person", {
                "id": f"p{len(walks)}", "type": f"walker{rng.integers(WALKER_TYPES)}", "depart": f"{depart_s:.1f}",
                "departPos": f"{rng.uniform(0.1, 0.9) * 40:.1f}",
            })  # fmt: skip
            ElementTree.SubElement(person, "walk", {"from": edge.id, "to": target.id})
            walks.append((depart_s, person))
    return walks


def _walk(net: Network, rng: np.random.Generator, id: str, start: str, end: str, node: str, depart_s: float, back_m: float) -> ElementTree.Element:  # fmt: skip
    """From `back_m` before the node, over the crossing there, to the other side of the same street."""
    nodes = {e.id: (e.start, e.end) for e in net.edges}
    at_end = {id: nodes[id][1] == node for id in (start, end)}
    depart = -back_m if at_end[start] else back_m
    person = ElementTree.Element("person", {
        "id": id, "type": f"walker{rng.integers(WALKER_TYPES)}", "depart": f"{depart_s:.1f}", "departPos": f"{depart:.1f}",
    })  # fmt: skip
    arrive = -12.0 if at_end[end] else 12.0
    ElementTree.SubElement(person, "walk", {"from": start, "to": end, "arrivalPos": f"{arrive:.1f}"})
    return person
