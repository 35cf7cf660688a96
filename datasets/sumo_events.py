"""Rare events staged in running traffic: a leader brakes hard, a neighbour cuts in."""

from dataclasses import dataclass, field
from types import ModuleType

import numpy as np

EVENTS = ("cut_in", "hard_brake")
QUIET_S = 6.0  # between two attempts
DEFAULT_SPEED_MODE, DEFAULT_LANE_CHANGE_MODE = 31, 1621
IGNORE_DECEL_LIMIT = 27  # speed mode without "do not brake harder than decel"
ONLY_AS_TOLD = 0  # lane change mode: no changes of its own, ours without regard to others
BRISK_LATERAL_MPS = 1.6


@dataclass(frozen=True)
class Event:
    """`actor` did something before `subject`, which makes the subject worth watching as the ego."""

    kind: str  # "hard_brake", "cut_in"
    time_s: float
    actor: str
    subject: str


@dataclass
class Stage:
    """Watches the traffic and meddles now and then."""

    rng: np.random.Generator
    kinds: tuple[str, ...]
    start_s: float
    end_s: float
    events: list[Event] = field(default_factory=list)
    release: list[tuple[float, str, float]] = field(default_factory=list)  # when, whom, lateral speed limit m/s
    next_s: float = 0.0

    def act(self, sumo: ModuleType, time_s: float) -> None:
        for due in [r for r in self.release if r[0] <= time_s]:
            self.release.remove(due)
            _release(sumo, due[1], due[2])
        if not self.kinds or not self.start_s <= time_s < self.end_s or time_s < self.next_s:
            return
        self.next_s = time_s + 0.5
        # A chance to brake comes often, one to cut in seldom.
        kind = self.kinds[int(self.rng.uniform() ** 2 * len(self.kinds))]
        subjects = [v for v in sumo.vehicle.getIDList() if sumo.vehicle.getTypeID(v).startswith("ego")]
        for subject in self.rng.permutation(subjects):
            actor = {"hard_brake": _brake, "cut_in": _cut_in}[kind](sumo, self.rng, str(subject))
            if actor:
                self.events.append(Event(kind, time_s, actor, str(subject)))
                usual_mps = sumo.vehicle.getMaxSpeedLat(str(subject))
                self.release.append((time_s + float(self.rng.uniform(3.5, 5.5)), actor, usual_mps))
                self.next_s = time_s + QUIET_S
                return


def _release(sumo: ModuleType, actor: str, lateral_mps: float) -> None:
    """Give a vehicle back to its driver."""
    if actor in sumo.vehicle.getIDList():
        sumo.vehicle.setSpeed(actor, -1)
        sumo.vehicle.setSpeedMode(actor, DEFAULT_SPEED_MODE)
        sumo.vehicle.setLaneChangeMode(actor, DEFAULT_LANE_CHANGE_MODE)
        sumo.vehicle.setMaxSpeedLat(actor, lateral_mps)


def _brake(sumo: ModuleType, rng: np.random.Generator, subject: str) -> str | None:
    """Let the car ahead of the subject brake at 5 to 7.5 m/s2, nearly to a stop; return it."""
    leader = sumo.vehicle.getLeader(subject, 40.0)
    speed_mps = sumo.vehicle.getSpeed(subject)
    if not leader or not leader[0] or speed_mps < 6.0 or leader[1] > 6.0 + 1.6 * speed_mps:
        return None
    actor_mps = sumo.vehicle.getSpeed(leader[0])
    if actor_mps < 6.0 or not sumo.vehicle.getTypeID(leader[0]).startswith(("car", "ego")):
        return None
    sumo.vehicle.setSpeedMode(leader[0], IGNORE_DECEL_LIMIT)
    final_mps = float(rng.uniform(0.0, 0.25)) * actor_mps
    sumo.vehicle.slowDown(leader[0], final_mps, (actor_mps - final_mps) / float(rng.uniform(5.0, 7.5)))
    return str(leader[0])


def _cut_in(sumo: ModuleType, rng: np.random.Generator, subject: str) -> str | None:
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
        leader = sumo.vehicle.getLeader(subject, 60.0)
        gap_m = leader[1] if leader and leader[0] else 60.0
        fits = gap_m > ahead_m + sumo.vehicle.getLength(other) + 6.0 and closing_mps * 2.0 < ahead_m
        if fits and room_m - at_m > 60.0 and sumo.vehicle.getTypeID(other).startswith(("car", "ego")):
            sumo.vehicle.setLaneChangeMode(other, ONLY_AS_TOLD)
            sumo.vehicle.setMaxSpeedLat(other, BRISK_LATERAL_MPS)
            side = lane - sumo.vehicle.getLaneIndex(other)
            sumo.vehicle.changeSublane(other, side * sumo.lane.getWidth(f"{edge}_{lane}"))
            # Whoever cuts in seldom speeds up to open the gap.
            sumo.vehicle.slowDown(other, float(rng.uniform(0.85, 1.0)) * speed_mps, 2.0)
            return str(other)
    return None
