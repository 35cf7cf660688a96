"""Rare events staged in running traffic, and remembered: who did what before whom."""

from dataclasses import dataclass, field
from types import ModuleType

import numpy as np

from drive_wm.datasets.sumo_acts import ACTS

EVENTS = tuple(ACTS)
MOMENT_S = 0.5  # between two attempts
QUIET_S = 6.0  # between two events
SET_OUT_M = 60.0  # whoever has not driven this far has no past to show
DEFAULT_SPEED_MODE, DEFAULT_LANE_CHANGE_MODE = 31, 1621


@dataclass(frozen=True)
class Event:
    """`actor` did something before `subject`, which makes the subject worth watching as the ego."""

    kind: str  # one of EVENTS
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
        self.next_s = time_s + MOMENT_S
        egos = [v for v in sumo.vehicle.getIDList() if sumo.vehicle.getTypeID(v).startswith("ego")]
        subjects = [v for v in egos if sumo.vehicle.getDistance(v) > SET_OUT_M]
        kinds = [kind for kind in self.kinds if self.rng.uniform() < ACTS[kind][1]]
        for kind in kinds:
            for subject in self.rng.permutation(subjects):
                actor = ACTS[kind][0](sumo, self.rng, str(subject))
                if actor:
                    self._remember(sumo, Event(kind, time_s, actor, str(subject)))
                    return

    def _remember(self, sumo: ModuleType, event: Event) -> None:
        self.events.append(event)
        usual_mps = sumo.vehicle.getMaxSpeedLat(event.subject)
        self.release.append((event.time_s + float(self.rng.uniform(3.5, 5.5)), event.actor, usual_mps))
        self.next_s = event.time_s + QUIET_S


def _release(sumo: ModuleType, actor: str, lateral_mps: float) -> None:
    """Give a vehicle back to its driver."""
    if actor in sumo.vehicle.getIDList():
        sumo.vehicle.setSpeed(actor, -1)
        sumo.vehicle.setSpeedMode(actor, DEFAULT_SPEED_MODE)
        sumo.vehicle.setLaneChangeMode(actor, DEFAULT_LANE_CHANGE_MODE)
        sumo.vehicle.setMaxSpeedLat(actor, lateral_mps)
