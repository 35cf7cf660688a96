"""Counterfactual drives: the same traffic run again from its start, with an ego that from one keyframe on does something else.

Nobody acts by chance and no event is staged, so whatever differs between branches is the ego's doing.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from types import ModuleType

import numpy as np
import shapely

from drive_wm.datasets.sumo_cut import cut, near
from drive_wm.datasets.sumo_networks import NETWORKS
from drive_wm.datasets.sumo_runs import (
    KEYFRAME_STEPS,
    KEYFRAMES,
    WINDOW_STEPS,
    Run,
    Setting,
    Window,
    choose_windows,
    is_worth_it,
    run_setting,
    set_up,
)
from drive_wm.datasets.sumo_simulation import STEP_S, Trace
from drive_wm.datasets.sumo_tracks import STRIDE_STEPS, wheeled
from drive_wm.log import KEEP, Log

ACTIONS = (KEEP, "brake", "accelerate", "change_lane")
FIRST_KEYFRAME, LAST_KEYFRAME = 8, KEYFRAMES - 14  # of a branch: enough past, and six seconds of future
LEAST_SPEED_MPS = 5.0
HELD_S = 6.0  # an action goes on this long; then the driver has the wheel again
DECEL_MPS2, FASTER = 3.0, 1.4
TOLD_AND_SAFE = 256  # lane change mode: no changes of its own, ours unless they crash
DEFAULT_LANE_CHANGE_MODE = 1621
WINDOWS_PER_RUN = 3
LEAST_APART_M = 2.0  # a branch whose ego never gets this far from where it was is none


@dataclass(frozen=True)
class Branch:
    """What the ego does from a step of 0.1 s on."""

    ego: str
    step: int
    action: str

    def act(self, sumo: ModuleType, time_s: float) -> None:
        now = round(time_s / STEP_S)
        if self.action == KEEP or self.ego not in sumo.vehicle.getIDList():
            return
        if now == self.step:
            START[self.action](sumo, self.ego)
        elif now == self.step + round(HELD_S / STEP_S):
            sumo.vehicle.setSpeed(self.ego, -1)
            if self.action == "accelerate":
                sumo.vehicle.setSpeedFactor(self.ego, sumo.vehicle.getSpeedFactor(self.ego) / FASTER)
            sumo.vehicle.setLaneChangeMode(self.ego, DEFAULT_LANE_CHANGE_MODE)


def _brake(sumo: ModuleType, ego: str) -> None:
    sumo.vehicle.slowDown(ego, 0.0, sumo.vehicle.getSpeed(ego) / DECEL_MPS2)


def _accelerate(sumo: ModuleType, ego: str) -> None:
    """Drive as if more were allowed: SUMO would not let a told speed exceed the limit."""
    sumo.vehicle.setSpeedFactor(ego, FASTER * sumo.vehicle.getSpeedFactor(ego))


def _change_lane(sumo: ModuleType, ego: str) -> None:
    """To the left where there is a lane for cars, else to the right; nothing where there is neither."""
    edge, lane = sumo.vehicle.getRoadID(ego), sumo.vehicle.getLaneIndex(ego)
    for other in (lane + 1, lane - 1):
        if 0 <= other < sumo.edge.getLaneNumber(edge) and "passenger" in sumo.lane.getAllowed(f"{edge}_{other}"):
            sumo.vehicle.setLaneChangeMode(ego, TOLD_AND_SAFE)
            sumo.vehicle.changeLane(ego, other, HELD_S)
            return


START = {"brake": _brake, "accelerate": _accelerate, "change_lane": _change_lane}


def read_branches(seed: int) -> Iterator[tuple[Log, ...]]:
    """Groups of Logs, without end: the ego goes on, then each other action that makes a difference and hits nobody.

    All of a group have the same agents, map and route and are equal, bit for bit, up to `branch_step`.
    """
    made = count()
    for index in count():
        rng = np.random.default_rng([seed, 1, index])
        with tempfile.TemporaryDirectory() as name:
            setting = set_up(NETWORKS[index % len(NETWORKS)](rng), rng, Path(name), chance=False)
            kept = run_setting(setting, lambda sumo, time_s: None)
            for window in choose_windows(kept, rng)[:WINDOWS_PER_RUN]:
                keyframe = _branch_keyframe(kept, window)
                if keyframe is not None:
                    runs = {KEEP: kept} | _others(setting, kept, window, keyframe)
                    if len(runs) > 1:
                        yield _logs(runs, window, keyframe, f"branch-{seed}-{next(made):04d}")


def _branch_keyframe(run: Run, window: Window) -> int | None:
    """The first keyframe at which the ego drives on a street at speed, None where there is none."""
    trace = run.traces[window.ego]
    front = np.array(trace.front)[:, :2]
    for keyframe in range(FIRST_KEYFRAME, LAST_KEYFRAME + 1):
        own = window.first_step - trace.first_step + keyframe * KEYFRAME_STEPS
        speed_mps = float(np.linalg.norm(front[own] - front[own - 1])) / STEP_S
        if speed_mps > LEAST_SPEED_MPS and not any(lane.startswith(":") for lane in trace.lanes[own : own + 20]):
            return keyframe
    return None


def _others(setting: Setting, kept: Run, window: Window, keyframe: int) -> dict[str, Run]:
    """A run per action other than to go on; those that change nothing, hit somebody or end too early are left out."""
    # A walker's place is averaged over STRIDE_STEPS to come: the action begins after what the keyframe shows.
    step = window.first_step + keyframe * KEYFRAME_STEPS + STRIDE_STEPS
    runs = {}
    for action in ACTIONS[1:]:
        run = run_setting(setting, Branch(window.ego, step, action).act)
        paths = [wheeled(r.traces[window.ego])[window.first_step - r.traces[window.ego].first_step :] for r in (kept, run)]
        if len(paths[1]) <= WINDOW_STEPS or not is_worth_it(run, window):
            continue
        if action == "change_lane" and not _is_beside(kept.traces[window.ego], run.traces[window.ego], step):
            continue
        apart_m = np.linalg.norm(paths[0][: WINDOW_STEPS + 1, :2] - paths[1][: WINDOW_STEPS + 1, :2], axis=1)
        if apart_m.max() > LEAST_APART_M:
            runs[action] = run
    return runs


def _is_beside(kept: Trace, other: Trace, step: int) -> bool:
    """Whether the ego is on another lane of the same street than it would have been, soon after the step."""
    own = slice(step - kept.first_step, step - kept.first_step + round(HELD_S / STEP_S))
    lanes = zip(kept.lanes[own], other.lanes[own], strict=False)
    return any(a != b and a.rsplit("_", 1)[0] == b.rsplit("_", 1)[0] for a, b in lanes)


def _logs(runs: dict[str, Run], window: Window, keyframe: int, name: str) -> tuple[Log, ...]:
    """One Log per run, all with everybody who comes near in one of them, less the walkers run over in any."""
    left_out = frozenset().union(*(run.left_out for run in runs.values()))
    others = {id: trace for run in runs.values() for id, trace in near(run, window).items() if id not in left_out}
    ways = [wheeled(r.traces[window.ego])[window.first_step - r.traces[window.ego].first_step :] for r in runs.values()]
    along = shapely.MultiLineString([way[: WINDOW_STEPS + 1, :2] for way in ways])
    logs = {action: cut(run, window, f"{name}-{action}", others, along) for action, run in runs.items()}
    link = {"branch_of": logs[KEEP].name, "branch_step": keyframe, "route": logs[KEEP].route}
    return tuple(replace(log, **link, branch_action=action) for action, log in logs.items())
