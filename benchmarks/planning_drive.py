"""One drive under one planning protocol: scores per sample and step, and the boxes that explain them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from drive_wm.benchmarks.planning_input import Bools, Floats, Ints
from drive_wm.benchmarks.planning_rows import PlanRows
from drive_wm.benchmarks.planning_samples import (
    ego_from_sensor,
    plan_in_lidar,
    protocol_obstacles,
    protocol_steps,
    truth_of,
)
from drive_wm.benchmarks.planning_scores import score_plans
from drive_wm.log import Log
from drive_wm.metrics.planning import STEPS, Protocol, hits

NEAR_M = 15.0  # obstacles this near the plan or the human are kept, whether hit or not

Strings = NDArray[np.object_]


@dataclass(frozen=True)
class Obstacles:
    """N boxes near the plan or the human, in order of sample and step."""

    boxes: Floats  # (N, 5) x, y, length, width, yaw in the protocol's frame at t0
    owner: Ints  # (N,) 6 * sample + step
    instance: Strings  # (N,) the source's own name of the agent
    category: Strings  # (N,) the source's own name of its class
    hit: Bools  # (N,) the plan meets it
    truth_hit: Bools  # (N,) the human meets it


@dataclass(frozen=True)
class DriveScores:
    """The S samples of a drive that enter the protocol."""

    scene: str
    all_traffic: bool  # False: obstacles that were not recorded are not there to be hit
    samples: tuple[str, ...]  # (S,)
    slices: tuple[tuple[str, ...], ...]  # (S,)
    rows: PlanRows
    plans_m: Floats  # (S, 6, 2) in the protocol's frame: LIDAR_TOP or the rear axle at t0, x right, y forward
    truths_m: Floats  # (S, 6, 2)
    obstacles: Obstacles


def score_drive(
    protocol: Protocol, log: Log, pose: torch.Tensor, slices: list[tuple[str, ...]], legacy_index: bool = False, every: int = 1
) -> DriveScores:
    """Score rear-axle poses (N, T >= 6, 3) planned at every n-th keyframe, each in the ego frame there.

    Slices are per keyframe.
    """
    steps = [step for step in protocol_steps(protocol, log) if step % every == 0]
    plans = plan_in_lidar(pose[[step // every for step in steps]], torch.from_numpy(ego_from_sensor(protocol, log))).numpy()
    driven = [truth_of(log, step, protocol) for step in steps]
    truths = np.array([path for path, _ in driven]).reshape(-1, STEPS, 2)
    valid = np.array([exists for _, exists in driven], bool).reshape(-1, STEPS)
    found = [protocol_obstacles(protocol, log, step, legacy_index) for step in steps]
    rows = score_plans(protocol, plans, truths, valid, [[boxes for _, boxes in sample] for sample in found])
    return DriveScores(
        scene=log.name,
        all_traffic=log.has_all_traffic,
        samples=tuple(log.keyframes[step] for step in steps),
        slices=tuple(slices[step] for step in steps),
        rows=rows,
        plans_m=plans,
        truths_m=truths,
        obstacles=_obstacles(log, rows, np.stack([plans, truths]), found),
    )


def _obstacles(log: Log, rows: PlanRows, paths_m: Floats, found: list[list[tuple[Ints, Floats]]]) -> Obstacles:
    flat = [step for sample in found for step in sample]
    agent = np.concatenate([np.zeros(0, np.int64), *(agents for agents, _ in flat)])
    boxes = np.concatenate([np.zeros((0, 5)), *(boxes for _, boxes in flat)])
    owner = np.repeat(np.arange(len(flat)), [len(agents) for agents, _ in flat])
    reach_m = NEAR_M + np.hypot(boxes[:, 2], boxes[:, 3]) / 2
    away_m = np.linalg.norm(paths_m.reshape(2, -1, 2)[:, owner] - boxes[:, :2], axis=-1).min(0)
    hit, truth_hit = _hits_each(rows, paths_m, boxes, owner)
    kept = (away_m <= reach_m) | hit | truth_hit
    names, categories = np.array(log.agents, object), np.array(log.categories, object)
    return Obstacles(
        boxes[kept], owner[kept], names[agent[kept]], categories[agent[kept]], hit[kept], truth_hit[kept]
    )  # fmt: skip


def _hits_each(rows: PlanRows, paths_m: Floats, boxes: Floats, owner: Ints) -> Bools:
    """Which boxes plan and human meet (2, N): the metric itself, asked about one box at a time where a step hit something."""
    found = np.zeros((2, len(boxes)), bool)
    asked = np.flatnonzero((rows.collision | rows.truth_collision).reshape(-1)[owner])
    if len(asked):
        sample, step = np.divmod(owner[asked], STEPS)
        alone = np.arange(len(asked))
        each = hits(rows.protocol, paths_m[:, sample], rows.valid[sample], boxes[asked], STEPS * alone + step)
        found[:, asked] = each[:, alone, step]
    return found
