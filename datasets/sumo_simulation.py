"""One run of SUMO inside this process, recorded at 10 Hz: who was where, on which lane, and what happened."""

import contextlib
import importlib
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from drive_wm.datasets.sumo_events import Event, Stage

from drive_wm.errors import InputError

STEP_S = 0.1
LEAP_M = 3.0
NEEDS_SUMO = "SUMO is not installed: {missing} is missing. Install it with `pip install 'drive-wm[sumo]'`."


@dataclass
class Trace:
    """What SUMO says of one road user, a row per step from `first_step` on."""

    type: str
    size_m: tuple[float, float]
    first_step: int
    front: list[tuple[float, float, float]] = field(default_factory=list)  # x m, y m of the front, compass angle in degrees
    lanes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Recording:
    traces: dict[str, Trace]
    events: tuple[Event, ...]


def sumo_module(name: str) -> ModuleType:
    """Import a module of the `sumo` extra, silently."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return importlib.import_module(name)
    except ImportError as error:
        raise InputError(NEEDS_SUMO.format(missing=error.name or name)) from error


@contextlib.contextmanager
def _running(arguments: list[str]) -> Iterator[ModuleType]:
    """libsumo with a simulation loaded; closed whatever happens, since a process holds one at a time."""
    libsumo = sumo_module("libsumo")
    libsumo.start(arguments)
    try:
        yield libsumo
    finally:
        libsumo.close()


def simulate(network: Path, traffic: Path, seed: int, until_s: float, stage: Stage) -> Recording:
    """Run from 0 to `until_s` seconds and record everyone; `stage` may meddle after every step."""
    arguments = [
        sumo_module("sumolib").checkBinary("sumo"), "--net-file", str(network), "--route-files", str(traffic),
        "--seed", str(seed), "--step-length", str(STEP_S), "--lateral-resolution", "0.8", "--time-to-teleport", "-1",
        "--collision.action", "none", "--intermodal-collision.action", "none", "--pedestrian.timegap-crossing", "1.5",
        "--ignore-route-errors", "true", "--no-step-log", "true", "--no-warnings", "true", "--xml-validation", "never", "--step-method.ballistic", "true",
    ]  # fmt: skip
    traces: dict[str, Trace] = {}
    with _running(arguments) as sumo:
        for step in range(round(until_s / STEP_S)):
            sumo.simulationStep()
            _record(sumo, step, traces)
            stage.act(sumo, step * STEP_S)
    return Recording(traces, tuple(stage.events))


def _record(sumo: ModuleType, step: int, traces: dict[str, Trace]) -> None:
    tc = sumo.constants
    watched = [tc.VAR_POSITION, tc.VAR_ANGLE, tc.VAR_LANE_ID]
    for domain, arrived in (
        (sumo.vehicle, sumo.simulation.getDepartedIDList()),
        (sumo.person, sumo.simulation.getDepartedPersonIDList()),
    ):
        for id in arrived:
            size_m = (domain.getLength(id), domain.getWidth(id))
            traces[id] = Trace(domain.getTypeID(id), size_m, step)
            domain.subscribe(id, watched)
        for id, seen in domain.getAllSubscriptionResults().items():
            trace = traces[id]
            here = (*seen[tc.VAR_POSITION], seen[tc.VAR_ANGLE])
            # SUMO lifts the odd walker over a corner: the trace ends there.
            if trace.first_step + len(trace.front) == step and (not trace.front or math.dist(here[:2], trace.front[-1][:2]) < LEAP_M):
                trace.front.append(here)
                trace.lanes.append(seen[tc.VAR_LANE_ID])
