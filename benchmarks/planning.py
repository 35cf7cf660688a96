"""Open-loop planning on nuScenes under five protocols side by side: a planner over drives, or anyone's plans from a file.

Both become rear-axle poses per keyframe, and everything after that is one path.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from drive_wm.benchmarks.planning_drive import DriveScores, score_drive
from drive_wm.benchmarks.planning_input import checked_protocol
from drive_wm.benchmarks.planning_scores import score_plans
from drive_wm.benchmarks.planning_slices import slices_of
from drive_wm.benchmarks.planning_table import HUMAN, Evaluation
from drive_wm.benchmarks.plans_file import PlansFile
from drive_wm.errors import InputError
from drive_wm.geometry import compose, inverse
from drive_wm.log import Log
from drive_wm.metrics.planning import PROTOCOLS, STEPS, Protocol
from drive_wm.rollouts import Trajectory
from drive_wm.scene import COMMAND_ORIGINS, Scene

__all__ = ["plan_drive", "score_file", "score_human", "score_planned", "score_planner", "score_plans"]

Progress = Callable[[int, str], None]  # finished drives, name of the last


def score_planner(
    drives: Iterable[tuple[Log, Scene]],
    plan: Callable[[Scene], Trajectory],
    planner: str,
    protocols: Sequence[str] = PROTOCOLS,
    ego_status: bool = True,
    batch: int = 8,
    legacy_index: bool = False,
    progress: Progress = lambda count, note: None,
    every: int = 1,
) -> Evaluation:
    """Plan at every n-th keyframe, from the first on, and score it.

    `drives` pairs each Log with its Scenes, one per keyframe planned at. `ego_status`: whether the planner reads
    the ego's speed or history. Raises InputError where a drive has no ego or no sample enters a protocol.
    """
    planned = (plan_drive(log, scene, plan, batch, every) for log, scene in drives)
    return score_planned(planned, planner, protocols, ego_status, legacy_index, progress, every)


@dataclass(frozen=True)
class Planned:
    """What a planner wants at every n-th keyframe of a drive, and from what it knew."""

    log: Log
    pose: Tensor  # (N, T, 3) rear axle in the ego frame there, float64
    command_origins: frozenset[str]
    frames: int  # of history


def plan_drive(log: Log, scene: Scene, plan: Callable[[Scene], Trajectory], batch: int = 8, every: int = 1) -> Planned:
    """Let a planner drive through the scenes of a log, one per keyframe planned at."""
    _check_drive(log, scene, every)
    # The last keyframe is compared with nothing, and no future tells its command.
    compared = len(range(0, len(log.keyframes) - 1, every))
    origins = frozenset(COMMAND_ORIGINS[i] for i in set(scene.command_origin[:compared].tolist()))
    return Planned(log, _planned_poses(plan, scene, batch), origins, scene.tracks.valid.shape[-1])


def score_planned(
    drives: Iterable[Planned],
    planner: str,
    protocols: Sequence[str] = PROTOCOLS,
    ego_status: bool = True,
    legacy_index: bool = False,
    progress: Progress = lambda count, note: None,
    every: int = 1,
) -> Evaluation:
    """Score what was planned; see `score_planner`."""
    origins: set[str] = set()
    frames: set[int] = set()

    def poses() -> Iterator[tuple[Log, Tensor]]:
        for one in drives:
            origins.update(one.command_origins)
            frames.add(one.frames)
            yield one.log, one.pose

    scores = _score(poses(), protocols, legacy_index, progress, every)
    about = {"ego_status": ego_status, "command_origin": "+".join(sorted(origins)), "frames": max(frames)}
    return Evaluation(planner, about | _switches(legacy_index), scores)


def score_human(
    logs: Iterable[Log],
    protocols: Sequence[str] = PROTOCOLS,
    legacy_index: bool = False,
    progress: Progress = lambda count, note: None,
) -> Evaluation:
    """Score what the human drove, the control of every other planner."""
    scores = _score(((log, _driven_poses(log)) for log in logs), protocols, legacy_index, progress)
    return Evaluation(HUMAN, {"ego_status": False, "command_origin": "none", "frames": 0} | _switches(legacy_index), scores)


def _driven_poses(log: Log) -> Tensor:
    """Rear-axle poses (S, 6, 3) that follow each keyframe, in the ego frame there; the last stays where the log ends."""
    pose = torch.from_numpy(log.ego_pose)
    after = torch.arange(len(pose))[:, None] + torch.arange(1, STEPS + 1)
    return compose(inverse(pose)[:, None], pose[after.clamp(max=len(pose) - 1)])


def score_file(
    plans: PlansFile,
    logs: Iterable[Log],
    protocols: Sequence[str] = PROTOCOLS,
    legacy_index: bool = False,
    progress: Progress = lambda count, note: None,
) -> Evaluation:
    """Score a file's plans over these drives; `plans.check_samples` first, so that none is missing."""
    scores = _score(((log, plans.poses(log)) for log in logs), protocols, legacy_index, progress)
    about = {"ego_status": plans.ego_status, "command_origin": plans.command_origin, "frames": None}
    return Evaluation(plans.model, about | _switches(legacy_index), scores)


def _score(
    planned: Iterable[tuple[Log, Tensor]], protocols: Sequence[str], legacy_index: bool, progress: Progress, every: int = 1
) -> dict[Protocol, list[DriveScores]]:
    """Scores of drives with the rear-axle poses (N, T, 3) planned at every n-th keyframe."""
    known = [checked_protocol(name) for name in protocols]
    scores: dict[Protocol, list[DriveScores]] = {protocol: [] for protocol in known}
    for done, (log, pose) in enumerate(planned):
        slices = slices_of(log)
        for protocol in known:
            scores[protocol].append(score_drive(protocol, log, pose, slices, legacy_index, every))
        progress(done + 1, log.name)
    if not all(scores.values()):
        raise InputError("No drive to evaluate. Pass --cache with the folder that `drive-wm prepare` wrote.")
    return scores


def _switches(legacy_index: bool) -> dict[str, bool]:
    return {"legacy_index": True} if legacy_index else {}


def _check_drive(log: Log, scene: Scene, every: int) -> None:
    count, needed = len(scene.has_ego), len(range(0, len(log.keyframes), every))
    if not log.has_ego:
        raise InputError(f"Drive {log.name!r} has no ego, so there is no path to plan. Leave it out.")
    if count != needed:
        raise InputError(f"Drive {log.name!r} comes with {count} scenes; needed: {needed}, one per keyframe planned at.")


def _planned_poses(plan: Callable[[Scene], Trajectory], scene: Scene, batch: int) -> Tensor:
    """Rear-axle poses (S, T, 3) planned at each keyframe, float64."""
    with torch.inference_mode():
        poses = [plan(scene[i : i + batch]).pose for i in range(0, len(scene.has_ego), batch)]
    return torch.cat(poses).cpu().double()
