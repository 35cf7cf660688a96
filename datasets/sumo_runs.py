"""One simulation ready to be cut into Logs, and the choice of who is the ego and when."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drive_wm.datasets.sumo_events import EVENTS, Event, Stage
from drive_wm.datasets.sumo_map import Roads, read_roads
from drive_wm.datasets.sumo_plain import Network, compile_network
from drive_wm.datasets.sumo_proof import happened
from drive_wm.datasets.sumo_simulation import STEP_S, Act, Trace, simulate
from drive_wm.datasets.sumo_tracks import LOOK_STEPS, overlaps, poses_of
from drive_wm.datasets.sumo_traffic import EGO_TYPE, write_traffic
from drive_wm.log import Floats, Ints

KEYFRAME_STEPS = 5  # 0.5 s
KEYFRAMES = 41  # 20 s
WINDOW_STEPS = (KEYFRAMES - 1) * KEYFRAME_STEPS
RUN_S, QUIET_START_S = 85.0, 15.0
LOGS_PER_RUN = 6
BEFORE_M, BEYOND_M = 30.0, 65.0  # the ego drives this far before its log begins, and after it ends
LEAST_DRIVEN_M = 10.0  # within a log
LEFT_HAND_SHARE = 0.4


@dataclass(frozen=True)
class Run:
    """One simulation of one network."""

    net: Network
    roads: Roads
    traces: dict[str, Trace]
    boxes: dict[str, Floats]  # (N, 3) box poses at 10 Hz, from the trace's first step on
    events: tuple[Event, ...]
    struck: dict[str, Ints]  # per ego and actor on wheels, the steps at which SUMO lets it and another vehicle overlap
    left_hand: bool
    left_out: frozenset[str]  # walkers whom a wheel ran over


@dataclass(frozen=True)
class Setting:
    """A compiled network and its traffic, ready to be simulated, any number of times the same."""

    net: Network
    roads: Roads
    network: Path
    traffic: Path
    seed: int
    left_hand: bool
    chance: bool  # whether drivers and walkers also act by chance


def set_up(net: Network, rng: np.random.Generator, folder: Path, chance: bool = True) -> Setting:
    """Compile a network into `folder` and draw its traffic."""
    left_hand = bool(rng.uniform() < LEFT_HAND_SHARE)
    network = compile_network(net, rng, folder)
    write_traffic(net, rng, RUN_S - 20.0, folder / "traffic.rou.xml", chance)
    return Setting(net, read_roads(network), network, folder / "traffic.rou.xml", int(rng.integers(2**31)), left_hand, chance)


def run_sumo(net: Network, rng: np.random.Generator, events: tuple[str, ...] = EVENTS) -> Run:
    """Compile a network, fill it with traffic, simulate it with events."""
    with tempfile.TemporaryDirectory() as name:
        setting = set_up(net, rng, Path(name))
        stage = Stage(rng, events, QUIET_START_S, RUN_S - 15.0)
        return run_setting(setting, stage.act, stage.events)


def run_setting(setting: Setting, act: Act, events: Sequence[Event] = ()) -> Run:
    """Simulate once; `events` is read afterwards, when `act` has filled it.

    SUMO lets a wheel cut the corner where people wait, and people pass through a queue; such walkers are left out.
    """
    traces = simulate(setting.network, setting.traffic, setting.seed, RUN_S, act, setting.chance)
    boxes = {id: poses_of(trace) for id, trace in traces.items()}
    walkers = [id for id, trace in traces.items() if trace.type.startswith("walker")]
    wheels = [id for id in traces if id not in set(walkers)]
    hit = overlaps(traces, boxes, walkers, wheels).any(axis=(1, 2))
    left_out = frozenset(id for id, is_hit in zip(walkers, hit, strict=True) if is_hit)
    for id in left_out:
        del traces[id], boxes[id]
    actors = {event.actor for event in events}
    watched = [id for id in wheels if traces[id].type.startswith(EGO_TYPE) or id in actors]
    struck = overlaps(traces, boxes, watched, wheels).any(axis=1)
    clashes = {id: np.flatnonzero(steps) * LOOK_STEPS for id, steps in zip(watched, struck, strict=True)}
    return Run(setting.net, setting.roads, traces, boxes, tuple(events), clashes, setting.left_hand, left_out)


@dataclass(frozen=True)
class Window:
    """An ego and the step at which its log begins."""

    ego: str
    first_step: int
    event: Event | None = None


def choose_windows(run: Run, rng: np.random.Generator) -> list[Window]:
    """Up to LOGS_PER_RUN windows, one per ego, those with an event first."""
    windows: dict[str, Window] = {}
    for event in run.events:
        if not happened(event, run.traces):
            continue
        before_s = float(rng.uniform(4.0, 9.0))
        first, last = feasible_steps(run, event.subject)
        at = min(max(round((event.time_s - before_s) / STEP_S), first), last)
        if first <= last and 3.0 <= event.time_s - at * STEP_S <= 13.0:
            windows.setdefault(event.subject, Window(event.subject, at, event))
    egos = [id for id in sorted(run.struck) if run.traces[id].type.startswith(EGO_TYPE)]
    for ego in rng.permutation(egos).tolist():
        first, last = feasible_steps(run, ego)
        if first <= last:
            windows.setdefault(ego, Window(ego, int(rng.integers(first, last + 1))))
    return [window for window in windows.values() if is_worth_it(run, window)][:LOGS_PER_RUN]


def feasible_steps(run: Run, ego: str) -> tuple[int, int]:
    """First and last step at which a 20 s log of this ego can begin; the first exceeds the last where none can."""
    moves_m = np.linalg.norm(np.diff(run.boxes[ego][:, :2], axis=0), axis=1)
    driven_m = np.concatenate([[0.0], np.cumsum(moves_m)])
    first = int(np.searchsorted(driven_m, BEFORE_M))
    last = int(np.searchsorted(driven_m, driven_m[-1] - BEYOND_M)) - WINDOW_STEPS - 1
    return run.traces[ego].first_step + first, run.traces[ego].first_step + last


def is_worth_it(run: Run, window: Window) -> bool:
    """Whether the ego moves, and neither it nor who acts before it touches anybody."""
    steps = window.first_step, window.first_step + WINDOW_STEPS
    watched = [window.ego, window.event.actor] if window.event else [window.ego]
    for id in watched:
        clash = run.struck.get(id, np.zeros(0, np.int64))
        if ((clash >= steps[0]) & (clash <= steps[1])).any():
            return False
    own = run.boxes[window.ego][steps[0] - run.traces[window.ego].first_step :][: WINDOW_STEPS + 1, :2]
    return float(np.linalg.norm(np.diff(own, axis=0), axis=1).sum()) > LEAST_DRIVEN_M
