"""A plans file over the drives of a nuScenes dataroot or of caches; or a planner over caches."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from drive_wm.benchmarks.planner_named import Planner, planner_named
from drive_wm.benchmarks.planning import Planned, plan_drive, score_file, score_human, score_planned
from drive_wm.benchmarks.planning_input import checked_protocol
from drive_wm.benchmarks.planning_table import HUMAN, Evaluation
from drive_wm.benchmarks.plans_file import read_plans
from drive_wm.datasets.cache import Cache, open_caches
from drive_wm.datasets.engines import here_or
from drive_wm.errors import InputError
from drive_wm.log import Log
from drive_wm.metrics.planning import PROTOCOLS
from drive_wm.scene import COMMAND_ORIGINS
from drive_wm.told import with_command, without_ego_status

Progress = Callable[[int, int, str], None]  # finished drives, of how many, name of the last


@dataclass(frozen=True)
class Drives:
    """Where plans are scored."""

    name: str
    samples: Mapping[str, Sequence[str]]  # scene: its keyframes in time
    logs: Callable[[], Iterator[Log]]


@dataclass(frozen=True)
class Told:
    """What a planner is told beside map and traffic."""

    ego_status: bool = True  # the ego's past poses and its velocity
    command: str = "none"  # where its command comes from, of COMMAND_ORIGINS

    def check(self) -> None:
        """Raise InputError for a command of unknown origin."""
        if self.command not in COMMAND_ORIGINS:
            raise InputError(f"No command origin {self.command!r}; pass --command with one of {', '.join(COMMAND_ORIGINS)}.")


NO_COMMAND = Told()


def protocols_named(name: str) -> tuple[str, ...]:
    """All protocols for "all", else the one."""
    return PROTOCOLS if name == "all" else (checked_protocol(name),)


def drives_named(root: Path | None, version: str, split: str, caches: Sequence[Path]) -> Drives:
    """The split of a dataroot, or else what caches hold."""
    if root is None and not caches:
        raise InputError(
            "Plans need the drives that they are of. Pass --root with your nuScenes folder, --version and --split."
        )
    return dataroot_drives(root, version, split) if root else cache_drives(caches)


def dataroot_drives(root: Path, version: str, split: str) -> Drives:
    """The scenes of a split; boxes are read when the logs are, so that a wrong plans file is found at once."""
    # Imported here: a cache is evaluated where the devkit is not installed.
    from drive_wm.datasets.nuscenes import read_logs
    from drive_wm.datasets.nuscenes_tables import split_samples

    samples = split_samples(root, version, split)
    return Drives(f"{split} of {root / version}", samples, lambda: read_logs(root, version, split))


def cache_drives(caches: Sequence[Path]) -> Drives:
    """The drives of caches."""
    drives = _drives(caches)
    samples = {log.name: log.keyframes for log in (cache.log(i) for cache, i in drives)}
    return Drives(" and ".join(map(str, caches)), samples, lambda: (cache.log(i) for cache, i in drives))


def run_file(plans: Path, drives: Drives, protocols: Sequence[str], legacy_index: bool, progress: Progress) -> Evaluation:
    """Score a plans file; raises InputError for what is wrong with it before anything is scored."""
    found = read_plans(plans)
    found.check_samples(drives.samples, protocols, drives.name)
    count = len(drives.samples)
    return score_file(found, drives.logs(), protocols, legacy_index, lambda done, note: progress(done, count, note))


def run_planner(
    caches: Sequence[Path],
    planner: str,
    weights: str,
    protocols: Sequence[str],
    legacy_index: bool,
    progress: Progress,
    only: Sequence[str] = (),
    engine: str = "local",
    told: Told = NO_COMMAND,
) -> Evaluation:
    """Let a planner drive through prepared caches, or some of their drives, and score it; "log" is the human.

    The engine says where it plans: here on all cores, or drive by drive wherever Ray has one. What it is not told is not
    in the scenes that it gets, whichever planner it is.
    """
    told.check()
    drives = _drives(caches, only)
    count = len(drives)

    def report(done: int, note: str) -> None:
        progress(done, count, note)

    if planner == HUMAN:
        return score_human((cache.log(i) for cache, i in drives), protocols, legacy_index, report)
    plan = planner_named(planner, weights)
    planned = here_or(engine)(partial(_plan_drive, plan=plan, told=told), (cache.alone(i) for cache, i in drives))
    return score_planned(planned, planner, protocols, told.ego_status, legacy_index, report)


def _plan_drive(drive: Cache, plan: Planner, told: Told) -> Planned:
    """Plan the only drive of a cache."""
    log, scene = drive.log(0), drive.scenes(0, "ego")[0]
    if log.has_ego:
        scene = with_command(scene, log, told.command)
    hidden = torch.full_like(scene.has_ego, not told.ego_status)
    return plan_drive(log, without_ego_status(scene, hidden), plan)


def _drives(caches: Sequence[Path], only: Sequence[str] = ()) -> list[tuple[Cache, int]]:
    if not caches:
        raise InputError(
            "Nothing to evaluate was given. Pass --plans with a model's plans and --root with your nuScenes folder, "
            "or --cache with a folder that `drive-wm prepare` wrote."
        )
    return [(cache, i) for cache in open_caches(caches, only) for i in range(len(cache))]
