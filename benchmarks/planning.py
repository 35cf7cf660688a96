"""Open-loop planning on nuScenes under five protocols side by side, each with its own masks, denominators and averaging.

Coordinates are LIDAR_TOP's at t0, x right and y forward, in every protocol. `bev_planner` works about the rear axle:
its axes are turned here, its origin is not moved, so give it positions of the rear axle and boxes about it, as
`planning_samples` does.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from drive_wm.benchmarks.planning_input import (
    Bools,
    Floats,
    SampleBoxes,
    checked_path,
    checked_protocol,
    checked_valid,
    flat_boxes,
)
from drive_wm.benchmarks.planning_rows import PlanRows, join
from drive_wm.benchmarks.planning_samples import (
    ego_from_sensor,
    plan_in_lidar,
    protocol_boxes,
    protocol_steps,
    truth_of,
)
from drive_wm.errors import InputError
from drive_wm.log import Log
from drive_wm.metrics.planning import (
    DENOMINATOR,
    EXCLUDES_TRUTH,
    PROTOCOLS,
    STEPS,
    Protocol,
    hits,
    weights,
)
from drive_wm.rollouts import Trajectory
from drive_wm.scene import COMMAND_ORIGINS, Scene

_TURN_M = 2.0  # a human who ends this far beside the start has turned, as the papers' commands define it


def score_plans(
    protocol: str, plans_m: ArrayLike, truths_m: ArrayLike, valid: ArrayLike, boxes: Sequence[SampleBoxes]
) -> PlanRows:
    """Score plans (S, 6, 2) against the human's (S, 6, 2), valid (S, 6), at 0.5 s, 1 s, ... 3 s.

    `boxes` holds, per sample and step, an (n, 5) array [x, y, length, width, yaw of the length axis from +x], already
    chosen by the protocol's rule. Raises InputError for anything of another form.
    """
    known = checked_protocol(protocol)
    exists = checked_valid(valid)
    plans, truths = (checked_path(name, path, exists) for name, path in (("plans_m", plans_m), ("truths_m", truths_m)))
    scored = exists & weights(known, exists)
    flat, owner = flat_boxes(boxes, scored)
    plan_hit, truth_hit = hits(known, np.stack([plans, truths]), exists, flat, owner)
    if DENOMINATOR[known] == "all":  # a missing step is filled with obstacles
        plan_hit, truth_hit = plan_hit | ~exists, truth_hit | ~exists
    counted = scored & ~truth_hit if known in EXCLUDES_TRUTH else scored
    return PlanRows(known, _distance_m(plans, truths), plan_hit, truth_hit, counted, exists)


def _distance_m(plans_m: Floats, truths_m: Floats) -> Floats:
    return np.asarray(np.hypot(*np.moveaxis(plans_m - truths_m, -1, 0)))


def evaluate_planning(
    drives: Iterable[tuple[Log, Scene]],
    plan: Callable[[Scene], Trajectory],
    planner: str,
    protocols: Sequence[str] = PROTOCOLS,
    ego_status: bool = True,
    batch: int = 8,
    legacy_index: bool = False,
    progress: Callable[[int, str], None] = lambda count, note: None,
) -> list[dict[str, Any]]:
    """Per protocol one row for the planner and one for the human's own path ("log"); then the same for straight and turning.

    `drives` pairs each Log with its Scenes, one per keyframe. `ego_status` says whether the planner reads the ego's speed or
    history. Raises InputError where a drive has no ego or no sample enters a protocol.
    """
    known = [checked_protocol(name) for name in protocols]
    found: dict[Protocol, list[PlanRows]] = {protocol: [] for protocol in known}
    turning: dict[Protocol, list[Bools]] = {protocol: [] for protocol in known}
    origins: set[str] = set()
    frames = 0
    for done, (log, scene) in enumerate(drives):
        _check_drive(log, scene)
        pose = _planned_poses(plan, scene, batch)
        for protocol in known:
            rows, turns = _score_drive(protocol, log, pose, legacy_index)
            found[protocol].append(rows)
            turning[protocol].append(turns)
        origins |= {COMMAND_ORIGINS[i] for i in set(scene.command_origin.tolist())}
        frames = scene.tracks.valid.shape[-1]
        progress(done + 1, log.name)
    if not frames:
        raise InputError("No drive to evaluate. Pass --cache with the folder that `drive-wm prepare` wrote.")
    whole = {protocol: join(rows) for protocol, rows in found.items()}
    about = {"ego_status": ego_status, "command_origin": "+".join(sorted(origins)), "frames": frames}
    return _table(planner, about, whole, {protocol: np.concatenate(turns) for protocol, turns in turning.items()})


def _check_drive(log: Log, scene: Scene) -> None:
    count = len(scene.has_ego)
    if not log.has_ego:
        raise InputError(f"Drive {log.name!r} has no ego, so there is no path to plan. Leave it out.")
    if count != len(log.keyframes):
        raise InputError(f"Drive {log.name!r} has {len(log.keyframes)} keyframes and {count} scenes; needed: one scene each.")


def _planned_poses(plan: Callable[[Scene], Trajectory], scene: Scene, batch: int) -> torch.Tensor:
    """Rear-axle poses (S, T, 3) planned at each keyframe, float64."""
    with torch.inference_mode():
        poses = [plan(scene[i : i + batch]).pose for i in range(0, len(scene.has_ego), batch)]
    return torch.cat(poses).cpu().double()


def _score_drive(protocol: Protocol, log: Log, pose: torch.Tensor, legacy_index: bool) -> tuple[PlanRows, Bools]:
    """Scores of one drive, and in which samples the human turned (S,)."""
    steps = protocol_steps(protocol, log)
    plans = plan_in_lidar(pose[steps], torch.from_numpy(ego_from_sensor(protocol, log))).numpy()
    driven = [truth_of(log, step, protocol) for step in steps]
    truths = np.array([path for path, _ in driven]).reshape(-1, STEPS, 2)
    valid = np.array([exists for _, exists in driven], bool).reshape(-1, STEPS)
    boxes = [protocol_boxes(protocol, log, step, legacy_index) for step in steps]
    last = np.maximum(valid.sum(-1) - 1, 0)
    turning = np.abs(truths[np.arange(len(steps)), last, 0]) >= _TURN_M
    return score_plans(protocol, plans, truths, valid, boxes), turning


def _table(
    planner: str, about: dict[str, Any], whole: dict[Protocol, PlanRows], turning: dict[Protocol, Bools]
) -> list[dict[str, Any]]:
    """The rows that `evaluate_planning` returns; the whole set comes first and has no "slice"."""
    of_log: dict[str, Any] = {"ego_status": False, "command_origin": "none", "frames": 0}
    table: list[dict[str, Any]] = []
    for part in ("", "straight", "turning"):
        named: dict[str, Any] = {"slice": part} if part else {}
        for protocol, rows in whole.items():
            chosen = rows.take(turning[protocol] == (part == "turning")) if part else rows
            summary = chosen.summary()
            if not part and not summary["n"]:
                raise InputError(f"No sample enters protocol {protocol!r}: no drive has enough keyframes. Leave it out.")
            if summary["n"]:
                table.append({"planner": planner, "protocol": protocol, **about, **summary, **named})
                table.append({"planner": "log", "protocol": protocol, **of_log, **chosen.of_human().summary(), **named})
    return table
