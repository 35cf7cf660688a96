"""Closed loop over prepared caches: which starts, which planner and traffic, and the terms of every drive."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from drive_wm.benchmarks.closed_loop import LEAD, Plan, Simulated, Starts, at_start, simulate
from drive_wm.benchmarks.closed_loop_idm import Following, LanePaths
from drive_wm.benchmarks.closed_loop_log import Human
from drive_wm.benchmarks.closed_loop_scores import score
from drive_wm.benchmarks.closed_loop_table import ClosedLoop, DriveTerms
from drive_wm.benchmarks.closed_loop_traffic import Imagined, Replayed, Traffic, checked_traffic
from drive_wm.benchmarks.planner_named import planner_named
from drive_wm.benchmarks.planning_slices import slices_of
from drive_wm.benchmarks.planning_table import HUMAN
from drive_wm.checkpoint import load_weights
from drive_wm.datasets.cache import open_caches
from drive_wm.errors import InputError
from drive_wm.kinematics import DT_S
from drive_wm.log import Log
from drive_wm.metrics.ego_area import EgoAreas
from drive_wm.metrics.simulated import Crowd
from drive_wm.model.world_model import WorldModel
from drive_wm.scene import SceneConfig
from drive_wm.scene_at import SceneBuilder

FIRST_STEP = 3  # NAVSIM shows a planner 1.5 s of history
HORIZON_S = 4.0
LATE_S = 0.05  # a horizon may end this long after the last keyframe

Progress = Callable[[int, int, str], None]  # finished drives, of how many, name of the last


@dataclass(frozen=True)
class Setting:
    """What is asked."""

    planner: str = "world_model"
    weights: str = "synthetic"
    traffic: str = "replay"
    horizon_s: float = HORIZON_S  # 0: from the first start to the end of each drive
    every: int = 1  # keyframes from one start to the next


def run(caches: Sequence[Path], setting: Setting, only: Sequence[str], progress: Progress) -> ClosedLoop:
    """Drive every start of every drive; InputError for an unknown name or a drive that is too short or has no ego."""
    checked_traffic(setting.traffic)
    if setting.horizon_s < 0 or setting.horizon_s / DT_S != round(setting.horizon_s / DT_S):
        raise InputError(f"A horizon of {setting.horizon_s} s is no multiple of {DT_S} s. Pass 4, or 0 for whole drives.")
    plan = None if setting.planner == HUMAN else planner_named(setting.planner, setting.weights)
    model = load_weights(setting.weights)[0] if setting.traffic == "imagined" else None
    drives = [(cache, i) for cache in open_caches(caches, only) for i in range(len(cache))]
    found = []
    for done, (cache, i) in enumerate(drives, start=1):
        log = cache.log(i)
        if log.has_ego and starts_in(log, setting)[0]:
            config = SceneConfig(**cache.manifest.settings.scene)
            found.append(drive(SceneBuilder(log, config), plan, setting, model))
        progress(done, len(drives), log.name)
    if not found:
        raise InputError(
            f"No drive has an ego and {setting.horizon_s:g} s after {FIRST_STEP * DT_S:g} s of history, so there is nothing to "
            "simulate. Pass a cache of drives recorded from a vehicle, or a shorter --horizon."
        )
    return ClosedLoop(setting.planner, setting.traffic, setting.horizon_s, tuple(found))


def drive(builder: SceneBuilder, plan: Plan | None, setting: Setting, model: WorldModel | None = None) -> DriveTerms:
    """All starts of one drive, scored, and the human from the same starts among recorded traffic."""
    log = builder.log
    wanted, ticks = starts_in(log, setting)
    # Extended comfort compares each drive with the one that began a tick earlier.
    steps = sorted({*wanted, *(s - 1 for s in wanted if s > FIRST_STEP)}) if setting.horizon_s else list(wanted)
    starts = Starts(builder, Human(log), tuple(steps), ticks)
    areas = EgoAreas(log.map)
    before = torch.tensor([steps.index(s - 1) if s - 1 in steps else -1 for s in steps], dtype=torch.long)
    slices = slices_of(log)
    shown = torch.tensor([steps.index(s) for s in wanted], dtype=torch.long)
    simulated, human = _both(starts, plan, setting, model)
    return DriveTerms(
        scene=log.name,
        steps=tuple(wanted),
        samples=tuple(log.keyframes[s] for s in wanted),
        slices=tuple(slices[s] for s in wanted),
        terms=score(starts, simulated, human, areas, before)[shown],
        human=score(starts, human, human, areas, before)[shown],
    )


def _both(starts: Starts, plan: Plan | None, setting: Setting, model: WorldModel | None) -> tuple[Simulated, Simulated]:
    """What was asked, and the human among recorded traffic."""
    human = simulate(starts, None, lambda crowd: Replayed(crowd.valid[:, :, LEAD]))
    if plan is None and setting.traffic == "replay":
        return human, human
    return simulate(starts, plan, partial(traffic_named, setting.traffic, starts.log, model)), human


def traffic_named(name: str, log: Log, model: WorldModel | None, recorded: Crowd) -> Traffic:
    """One of TRAFFIC, from what is recorded of the starts."""
    present = recorded.valid[:, :, LEAD]
    if name == "idm":
        return Following(at_start(recorded), log, LanePaths(log.map))
    if model:
        return Imagined(present, log, model)
    return Replayed(present)


def starts_in(log: Log, setting: Setting) -> tuple[list[int], int]:
    """Keyframes to start from, none where the drive is too short, and ticks to drive; whole drives have one start."""
    left_s = log.time_s[-1] - log.time_s[FIRST_STEP :: setting.every] + LATE_S
    horizon_s = setting.horizon_s or DT_S * max(1, int(left_s[:1].sum() / DT_S))
    steps = range(FIRST_STEP, len(log.keyframes), setting.every)
    enough = [step for step, seconds in zip(steps, left_s, strict=True) if seconds >= horizon_s]
    return enough if setting.horizon_s else enough[:1], round(horizon_s / DT_S)
