"""Whether an event that was staged did happen, measured from the traces: a driver may not do as told, or be in time."""

from collections.abc import Callable

import numpy as np

from drive_wm.datasets.sumo_events import Event
from drive_wm.datasets.sumo_simulation import STEP_S, Trace
from drive_wm.log import Floats

LOOK_S = 14.0  # after the event
SOON_S, CUT_IN_S, CROSSED_S = 4.0, 5.0, 6.0
LEAST_DROP_MPS, STANDING_MPS, LEAST_STAND_S, LEAST_CROSSING_S = 3.0, 0.3, 5.0, 1.0


def happened(event: Event, traces: dict[str, Trace]) -> bool:
    """Whether the actor did before the subject what the event says."""
    if event.actor not in traces or event.subject not in traces:
        return False
    actor, subject = (_after(traces[id], event.time_s) for id in (event.actor, event.subject))
    return len(actor.front) > 2 and len(subject.front) > 2 and PROOFS[event.kind](actor, subject)


def _after(trace: Trace, time_s: float) -> Trace:
    """The trace from this moment on, for LOOK_S."""
    part = slice(max(0, round(time_s / STEP_S) - trace.first_step), round((time_s + LOOK_S) / STEP_S) - trace.first_step)
    return Trace(trace.type, trace.size_m, 0, trace.front[part], trace.lanes[part])


def _speeds_mps(trace: Trace) -> Floats:
    return np.linalg.norm(np.diff(np.array(trace.front)[:, :2], axis=0), axis=1) / STEP_S


def _cuts_in(actor: Trace, subject: Trace) -> bool:
    """From another lane into the subject's, which keeps to it, ahead of it."""
    if actor.lanes[0] == subject.lanes[0]:
        return False
    for i, (own, other) in enumerate(zip(actor.lanes, subject.lanes, strict=False)):
        if i * STEP_S > CUT_IN_S or other != subject.lanes[0]:
            return False
        if own == other:
            compass = np.radians(subject.front[i][2])
            offset_m = np.subtract(actor.front[i][:2], subject.front[i][:2])
            return bool(offset_m @ (np.sin(compass), np.cos(compass)) > 0)
    return False


def _brakes(actor: Trace, subject: Trace) -> bool:
    speed = _speeds_mps(actor)[: round(SOON_S / STEP_S)]
    return bool(speed[0] - speed.min() > LEAST_DROP_MPS)


def _stops(actor: Trace, subject: Trace) -> bool:
    """Stands for a while, having moved."""
    speed = _speeds_mps(actor)
    return bool(speed[0] > 1.0 and (speed < STANDING_MPS).sum() * STEP_S > LEAST_STAND_S)


def _runs_red(actor: Trace, subject: Trace) -> bool:
    """Is in the junction soon, and the subject as well a little before or after."""
    inside = [[lane.startswith(":") for lane in trace.lanes] for trace in (actor, subject)]
    return any(inside[0][: round(CROSSED_S / STEP_S)]) and any(inside[1][: round(CROSSED_S / STEP_S) + 40])


def _jaywalks(actor: Trace, subject: Trace) -> bool:
    return sum("_c" in lane for lane in actor.lanes) * STEP_S > LEAST_CROSSING_S


PROOFS: dict[str, Callable[[Trace, Trace], bool]] = {
    "cut_in": _cuts_in, "hard_brake": _brakes, "stopped_vehicle": _stops, "red_light_runner": _runs_red, "jaywalker": _jaywalks,
}  # fmt: skip
