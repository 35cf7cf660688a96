"""One run of SUMO inside this process, recorded at 10 Hz: who was where, on which lane, and what happened."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from drive_wm.datasets.sumo_install import find_program, sumo_module

STEP_S = 0.1
LEAP_M = 3.0
Act = Callable[[ModuleType, float], None]  # meddles in running traffic, told SUMO and the time in seconds


@dataclass
class Trace:
    """What SUMO says of one road user, a row per step from `first_step` on."""

    type: str
    size_m: tuple[float, float]
    first_step: int
    front: list[tuple[float, float, float]] = field(default_factory=list)  # x m, y m of the front, compass angle in degrees
    lanes: list[str] = field(default_factory=list)


@contextlib.contextmanager
def _running(arguments: list[str]) -> Iterator[ModuleType]:
    """libsumo with a simulation loaded; closed whatever happens, since a process holds one at a time."""
    libsumo = sumo_module("libsumo")
    libsumo.start(arguments)
    try:
        yield libsumo
    finally:
        libsumo.close()


def simulate(network: Path, traffic: Path, seed: int, until_s: float, act: Act, chance: bool = True) -> dict[str, Trace]:
    """Run from 0 to `until_s` seconds and return everyone's trace; `act` may meddle after every step.

    Without `chance` nobody on foot dawdles; what wheels do by chance is the traffic file's matter.
    """
    options = {
        "net-file": network, "route-files": traffic, "seed": seed, "step-length": STEP_S, "step-method.ballistic": "true",
        "lateral-resolution": 0.8, "time-to-teleport": -1, "collision.action": "none", "intermodal-collision.action": "none",
        "pedestrian.timegap-crossing": 1.5, "pedestrian.striping.dawdling": 0.2 if chance else 0.0,
        "ignore-route-errors": "true", "xml-validation": "never",
        "no-step-log": "true", "no-warnings": "true",
    }  # fmt: skip
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    traces: dict[str, Trace] = {}
    with _running([find_program("sumo"), *arguments]) as sumo:
        for step in range(round(until_s / STEP_S)):
            sumo.simulationStep()
            _watch(sumo, step, traces)
            for id, seen in [
                *sumo.vehicle.getAllSubscriptionResults().items(),
                *sumo.person.getAllSubscriptionResults().items(),
            ]:
                _record(sumo.constants, step, traces[id], seen)
            act(sumo, step * STEP_S)
    return traces


def _watch(sumo: ModuleType, step: int, traces: dict[str, Trace]) -> None:
    """Ask for positions of everyone who has just set out."""
    constants = sumo.constants
    arrivals = (sumo.vehicle, sumo.simulation.getDepartedIDList()), (sumo.person, sumo.simulation.getDepartedPersonIDList())
    for domain, ids in arrivals:
        for id in ids:
            traces[id] = Trace(domain.getTypeID(id), (domain.getLength(id), domain.getWidth(id)), step)
            domain.subscribe(id, [constants.VAR_POSITION, constants.VAR_ANGLE, constants.VAR_LANE_ID])


def _record(constants: ModuleType, step: int, trace: Trace, seen: dict[int, Any]) -> None:
    here = (*seen[constants.VAR_POSITION], seen[constants.VAR_ANGLE])
    # SUMO lifts the odd walker over a corner, or out of the world: the trace ends there.
    ended = trace.first_step + len(trace.front) != step
    if not ended and (not trace.front or math.dist(here[:2], trace.front[-1][:2]) < LEAP_M):
        trace.front.append(here)
        trace.lanes.append(seen[constants.VAR_LANE_ID])
