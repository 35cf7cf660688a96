"""Who drives, rides and walks through a network: SUMO's vehicle types and departures, drawn at random."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from drive_wm.datasets.sumo_plain import JAYWALK, Edge, Network
from drive_wm.log import CYCLIST, PEDESTRIAN, VEHICLE

EGO_TYPE = "ego"
EGO_SIZE_M = (4.084, 1.85)  # the Renault Zoe of nuScenes
CAR_TYPES, EGO_TYPES, WALKER_TYPES = 14, 3, 6
Departure = tuple[float, ElementTree.Element]  # at s
CATEGORIES = {  # the first letters of a type: nuScenes category, kind
    "ego": ("vehicle.car", VEHICLE),
    "car": ("vehicle.car", VEHICLE),
    "lorry": ("vehicle.truck", VEHICLE),
    "bus": ("vehicle.bus.rigid", VEHICLE),
    "bike": ("vehicle.bicycle", CYCLIST),
    "walker": ("human.pedestrian.adult", PEDESTRIAN),
}


def write_traffic(net: Network, rng: np.random.Generator, until_s: float, path: Path, chance: bool = True) -> None:
    """Write the departures of the first `until_s` seconds as a SUMO route file; without `chance` no driver wavers."""
    root = ElementTree.Element("routes")
    for attributes in _types(rng):
        ElementTree.SubElement(root, "vType", attributes if chance else attributes | _unwavering(attributes))
    departures = _vehicles(net, rng, until_s) + _walkers(net, rng, until_s)
    for _, element in sorted(departures, key=lambda departure: departure[0]):
        root.append(element)
    ElementTree.ElementTree(root).write(path)


def _types(rng: np.random.Generator) -> list[dict[str, str]]:
    """One vType per row: cars differ in size and driver, the ego's twin has the Zoe's size and a driver of its own."""
    types = [_driver(rng, f"car{i}", float(rng.uniform(3.7, 5.2)), float(rng.uniform(1.65, 2.05))) for i in range(CAR_TYPES)]
    types += [_driver(rng, f"{EGO_TYPE}{i}", *EGO_SIZE_M) for i in range(EGO_TYPES)]
    for i in range(2):
        slow = {"accel": f"{rng.uniform(0.9, 1.4):.2f}", "lcSpeedGain": "0.2"}
        types.append(_driver(rng, f"lorry{i}", float(rng.uniform(6.5, 11.5)), float(rng.uniform(2.3, 2.6)), "truck") | slow)
        types.append(_driver(rng, f"bus{i}", float(rng.uniform(10.5, 12.5)), 2.55, "bus") | slow)
        size = {"length": f"{rng.uniform(1.6, 1.85):.2f}", "width": f"{rng.uniform(0.55, 0.7):.2f}"}
        pace = {"maxSpeed": f"{rng.uniform(4.0, 7.5):.2f}", "latAlignment": "right", "minGapLat": "0.4", "sigma": "0.2"}
        types.append({"id": f"bike{i}", "vClass": "bicycle"} | size | pace)
    for i in range(WALKER_TYPES):
        size = {"length": f"{rng.uniform(0.45, 0.75):.2f}", "width": f"{rng.uniform(0.5, 0.7):.2f}"}
        # Every other one steps out where the cars can still brake; the rest wait for a gap.
        walk = {"maxSpeed": f"{rng.uniform(0.9, 1.8):.2f}", "impatience": str(i % 2)}
        types.append({"id": f"walker{i}", "vClass": "pedestrian"} | walk | size)
    return types


def _driver(
    rng: np.random.Generator, id: str, length_m: float, width_m: float, vehicle_class: str = "passenger"
) -> dict[str, str]:
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
    words = {"id": id, "vClass": vehicle_class, "carFollowModel": model, "speedFactor": speed}
    return words | {k: f"{v:.3f}" for k, v in numbers.items()}


def _unwavering(attributes: dict[str, str]) -> dict[str, str]:
    """What to change of a vType so that it draws no random numbers while it drives."""
    if attributes["vClass"] == "pedestrian":
        return {}
    model = attributes.get("carFollowModel", "Krauss")
    return {"carFollowModel": "IDM" if model == "EIDM" else model, "sigma": "0"}


def _vehicles(net: Network, rng: np.random.Generator, until_s: float) -> list[Departure]:
    """Trips between the ends of the network, as a Poisson stream into each of them."""
    entries = [e for e in net.edges if _is_end(net, e.start)]
    exits = [e for e in net.edges if _is_end(net, e.end)]
    trips: list[Departure] = []
    for entry in entries:
        # Where nobody stops, traffic flows faster than into a junction.
        headway_s = (rng.uniform(2.0, 5.0) if net.kind == "merge" else rng.uniform(4.0, 11.0)) / np.sqrt(entry.lanes)
        targets = [e for e in exits if e.end != entry.start and _leads_to(net, entry, e)]
        depart_s = float(rng.exponential(headway_s)) * 0.5
        while depart_s < until_s:
            target = targets[int(rng.integers(len(targets)))]
            trips.append(
                (depart_s, _trip(f"{entry.id}.{len(trips)}", _draw_type(rng, entry.sidewalk), depart_s, entry, target))
            )
            depart_s += 1.2 + float(rng.exponential(headway_s))
    return trips


def _trip(id: str, type: str, depart_s: float, entry: Edge, target: Edge) -> ElementTree.Element:
    lane = "best" if type.startswith("bike") else "best_prob"
    where = {"from": entry.id, "to": target.id, "departLane": lane, "departSpeed": "desired", "departPos": "base"}
    return ElementTree.Element("trip", {"id": id, "type": type, "depart": f"{depart_s:.1f}"} | where)


def _is_end(net: Network, node: str) -> bool:
    """Whether a single street meets the node."""
    return len({frozenset((e.start, e.end)) for e in net.edges if node in (e.start, e.end)}) == 1


def _leads_to(net: Network, entry: Edge, target: Edge) -> bool:
    """Along a dual carriageway only its own direction is in reach; other networks join everything."""
    return net.kind != "merge" or (entry.id == "dc") == (target.id == "ba")


def _draw_type(rng: np.random.Generator, with_bikes: bool) -> str:
    shares = {"ego": 0.28, "car": 0.52, "lorry": 0.07, "bus": 0.04, "bike": 0.09 if with_bikes else 0.0}
    weights = np.array(list(shares.values()))
    name = str(rng.choice(list(shares), p=weights / weights.sum()))
    return name + str(rng.integers({"ego": EGO_TYPES, "car": CAR_TYPES}.get(name, 2)))


def _walkers(net: Network, rng: np.random.Generator, until_s: float) -> list[Departure]:
    """Walks over every crossing there is, alone and in groups, and along the sidewalks."""
    walks: list[Departure] = []
    for node, roads in net.crossings:
        for _ in range(int(rng.poisson(until_s / (11.0 if JAYWALK in node else 14.0)))):
            start, end = roads if rng.uniform() < 0.5 else roads[::-1]
            group = int(rng.integers(2, 5)) if rng.uniform() < 0.25 else 1
            depart_s, away_m = rng.uniform(0.0, until_s), rng.uniform(2.0, 14.0)
            at_end = {e.id: e.end == node for e in net.edges}
            places = -away_m if at_end[start] else away_m, -12.0 if at_end[end] else 12.0
            walks += [_walk(rng, f"p{len(walks) + i}", start, end, depart_s + 0.7 * i, *places) for i in range(group)]
    ways = {(e.start, e.end) for e in net.edges}
    streets = [e for e in net.edges if e.sidewalk and (e.end, e.start) in ways]
    for edge in streets:
        # No sidewalk runs around the ring of a roundabout: there people stay on their street.
        targets = [e for e in streets if not net.ring[0] or {edge.start, edge.end} == {e.start, e.end}]
        for _ in range(int(rng.poisson(until_s / 60.0))):
            target = targets[int(rng.integers(len(targets)))]
            walks.append(
                _walk(rng, f"p{len(walks)}", edge.id, target.id, rng.uniform(0.0, until_s), rng.uniform(4.0, 36.0), None)
            )
    return walks


def _walk(
    rng: np.random.Generator, id: str, start: str, end: str, depart_s: float, from_m: float, to_m: float | None
) -> Departure:
    """From `from_m` along one edge to `to_m` along another; negative distances count from the edge's end."""
    type = f"walker{rng.integers(WALKER_TYPES)}"
    person = ElementTree.Element("person", {"id": id, "type": type, "depart": f"{depart_s:.1f}", "departPos": f"{from_m:.1f}"})
    arrival = {} if to_m is None else {"arrivalPos": f"{to_m:.1f}"}
    ElementTree.SubElement(person, "walk", {"from": start, "to": end} | arrival)
    return depart_s, person
