"""Rare deeds in running traffic: each makes one road user do something before a subject, where the moment suits."""

import math
from collections.abc import Callable
from types import ModuleType

import numpy as np

from drive_wm.datasets.sumo_plain import JAYWALK

IGNORE_DECEL_LIMIT = 27  # speed mode without "do not brake harder than decel"
IGNORE_SIGNALS = 7  # speed mode without right of way and red lights
ONLY_AS_TOLD = 0  # lane change mode: no changes of its own, ours without regard to others
BRISK_LATERAL_MPS = 1.6
MOST_WARNING_S = 4.0
CARS = ("car", "ego")


def brake(sumo: ModuleType, rng: np.random.Generator, subject: str) -> str | None:
    """Let the car ahead of the subject brake at 5 to 7.5 m/s2, nearly to a stop; return it."""
    leader = sumo.vehicle.getLeader(subject, 40.0)
    speed_mps = sumo.vehicle.getSpeed(subject)
    if not leader or not leader[0] or speed_mps < 6.0 or leader[1] > 6.0 + 1.6 * speed_mps:
        return None
    actor_mps = sumo.vehicle.getSpeed(leader[0])
    if actor_mps < 6.0 or not sumo.vehicle.getTypeID(leader[0]).startswith(CARS):
        return None
    sumo.vehicle.setSpeedMode(leader[0], IGNORE_DECEL_LIMIT)
    final_mps = float(rng.uniform(0.0, 0.25)) * actor_mps
    sumo.vehicle.slowDown(leader[0], final_mps, (actor_mps - final_mps) / float(rng.uniform(5.0, 7.5)))
    return str(leader[0])


def cut_in(sumo: ModuleType, rng: np.random.Generator, subject: str) -> str | None:
    """Let a car on a neighbouring lane, a little ahead, change into the subject's lane; return it."""
    speed_mps = sumo.vehicle.getSpeed(subject)
    edge, lane = sumo.vehicle.getRoadID(subject), sumo.vehicle.getLaneIndex(subject)
    if edge.startswith(":") or speed_mps < 5.0:
        return None
    at_m, room_m = sumo.vehicle.getLanePosition(subject), sumo.lane.getLength(f"{edge}_{lane}")
    for other in sumo.edge.getLastStepVehicleIDs(edge):
        ahead_m = sumo.vehicle.getLanePosition(other) - sumo.vehicle.getLength(other) - at_m
        if abs(sumo.vehicle.getLaneIndex(other) - lane) != 1 or not 3.0 < ahead_m < 14.0:
            continue
        closing_mps = speed_mps - sumo.vehicle.getSpeed(other)
        fits = _leader_m(sumo, subject) > ahead_m + sumo.vehicle.getLength(other) + 6.0 and closing_mps * 2.0 < ahead_m
        if fits and room_m - at_m > 60.0 and sumo.vehicle.getTypeID(other).startswith(CARS):
            sumo.vehicle.setLaneChangeMode(other, ONLY_AS_TOLD)
            sumo.vehicle.setMaxSpeedLat(other, BRISK_LATERAL_MPS)
            side = lane - sumo.vehicle.getLaneIndex(other)
            sumo.vehicle.changeSublane(other, side * sumo.lane.getWidth(f"{edge}_{lane}"))
            # Whoever cuts in seldom speeds up to open the gap.
            sumo.vehicle.slowDown(other, float(rng.uniform(0.85, 1.0)) * speed_mps, 2.0)
            return str(other)
    return None


def stop(sumo: ModuleType, rng: np.random.Generator, subject: str) -> str | None:
    """Let the car ahead of the subject stop in its lane for 7 to 13 s, far from a junction; return it."""
    leader = sumo.vehicle.getLeader(subject, 60.0)
    if not leader or not leader[0] or sumo.vehicle.getSpeed(subject) < 5.0 or leader[1] < 8.0:
        return None
    actor = str(leader[0])
    edge, lane, speed_mps = sumo.vehicle.getRoadID(actor), sumo.vehicle.getLaneIndex(actor), sumo.vehicle.getSpeed(actor)
    if edge.startswith(":") or speed_mps < 5.0 or not sumo.vehicle.getTypeID(actor).startswith(CARS):
        return None
    end_m = sumo.vehicle.getLanePosition(actor) + 6.0 + speed_mps**2 / 4.0
    if end_m > sumo.lane.getLength(f"{edge}_{lane}") - 25.0:
        return None
    sumo.vehicle.setStop(actor, edge, end_m, lane, float(rng.uniform(7.0, 13.0)))
    return actor


def run_red(sumo: ModuleType, rng: np.random.Generator, subject: str) -> str | None:
    """Let a car pass, or start at, the red light of a junction that the subject is about to cross on green; return it."""
    signal, speed_mps = sumo.vehicle.getNextTLS(subject), sumo.vehicle.getSpeed(subject)
    if not signal or signal[0][3] not in "gG" or speed_mps < 5.0 or not 1.5 < signal[0][2] / speed_mps < 5.0:
        return None
    if _leader_m(sumo, subject) < signal[0][2]:
        return None
    for other in sumo.vehicle.getIDList():
        ahead, other_mps = sumo.vehicle.getNextTLS(other), sumo.vehicle.getSpeed(other)
        if not ahead or ahead[0][0] != signal[0][0] or ahead[0][3] != "r" or not sumo.vehicle.getTypeID(other).startswith(CARS):
            continue
        near_m, turn_deg = ahead[0][2], sumo.vehicle.getAngle(other) - sumo.vehicle.getAngle(subject)
        crosses = abs(math.sin(math.radians(turn_deg))) > 0.6
        if crosses and near_m < max(4.0, 2.5 * other_mps) and _leader_m(sumo, other) > near_m + 10.0:
            sumo.vehicle.setSpeedMode(other, IGNORE_SIGNALS)
            sumo.vehicle.setSpeed(other, max(float(rng.uniform(0.9, 1.1)) * other_mps, 7.0))
            return str(other)
    return None


def _leader_m(sumo: ModuleType, id: str) -> float:
    """Gap to the vehicle ahead, 60 m where there is none."""
    leader = sumo.vehicle.getLeader(id, 60.0)
    return float(leader[1]) if leader and leader[0] else 60.0


def jaywalk(sumo: ModuleType, rng: np.random.Generator, subject: str) -> str | None:
    """Whoever steps onto an unpainted crossing less than MOST_WARNING_S ahead of the subject: some do unasked."""
    speed_mps = sumo.vehicle.getSpeed(subject)
    if speed_mps < 5.0:
        return None
    yaw = math.radians(90.0 - sumo.vehicle.getAngle(subject))
    x, y = sumo.vehicle.getPosition(subject)
    for person in sumo.person.getIDList():
        lane = sumo.person.getLaneID(person)
        if JAYWALK not in lane or "_c" not in lane or sumo.person.getLanePosition(person) > 2.0:
            continue
        px, py = sumo.person.getPosition(person)
        ahead_m = (px - x) * math.cos(yaw) + (py - y) * math.sin(yaw)
        left_m = (py - y) * math.cos(yaw) - (px - x) * math.sin(yaw)
        if 6.0 < ahead_m < MOST_WARNING_S * speed_mps and abs(left_m) < 9.0:
            return str(person)
    return None


# Which deeds there are, and the chance that one is tried at a moment: what could be had always is tried seldom.
ACTS: dict[str, tuple[Callable[[ModuleType, np.random.Generator, str], str | None], float]] = {
    "jaywalker": (jaywalk, 1.0),
    "red_light_runner": (run_red, 1.0),
    "cut_in": (cut_in, 0.7),
    "stopped_vehicle": (stop, 0.06),
    "hard_brake": (brake, 0.08),
}
