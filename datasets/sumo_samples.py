"""The six sample Logs that ship with the package: what must happen in each, and how they were recorded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import resources
from itertools import count
from pathlib import Path

import numpy as np
import shapely

from drive_wm.datasets.sumo_cut import cut
from drive_wm.datasets.sumo_map import crop
from drive_wm.datasets.sumo_moments import brakes_hard, circles, crosses_ahead, cuts_in, merges, turns_left
from drive_wm.datasets.sumo_networks import curve, merge, roundabout, signal_junction
from drive_wm.datasets.sumo_plain import Network
from drive_wm.datasets.sumo_runs import choose_windows, run_sumo
from drive_wm.log import Log, read_log, write_log

NEAR_M, MAP_M = 45.0, 70.0  # samples keep less than other Logs
MOST_AGENTS = 24
MAX_BYTES = 100_000


@dataclass(frozen=True)
class Sample:
    """Where to look for a sample, and what makes a Log one."""

    network: Callable[[np.random.Generator], Network]
    seed: int  # the search begins here: at the first simulation in which it happens
    happens: Callable[[Log], bool]
    description: str


SAMPLES = {
    "junction": Sample(signal_junction, 47, turns_left, "The ego turns left at traffic lights, across oncoming traffic"),
    "roundabout": Sample(roundabout, 25, circles, "The ego enters a roundabout, drives around and leaves it"),
    "merge": Sample(merge, 21, merges, "The ego comes from a ramp and merges close before another vehicle"),
    "crossing_pedestrians": Sample(curve, 58, crosses_ahead, "The ego stops for pedestrians on a crossing, then drives on"),
    "cut_in": Sample(merge, 2, cuts_in, "A car changes into the ego's lane shortly ahead of it"),
    "hard_brake": Sample(curve, 29, brakes_hard, "The car ahead of the ego brakes hard, and so does the ego"),
}


def record_samples(out: Path) -> None:
    """Simulate until each sample has happened and write it as `out`/NAME.log.safetensors."""
    for name, sample in SAMPLES.items():
        path = out / f"{name}.log.safetensors"
        for log in filter(sample.happens, candidates(sample)):
            keyframes = tuple(f"{name}-{i:02d}" for i in range(len(log.keyframes)))
            write_log(replace(log, name=name, keyframes=keyframes, description=sample.description), path)
            if path.stat().st_size < MAX_BYTES:
                break


def sample_logs() -> list[Log]:
    """The Logs that ship with the package; SUMO is not needed."""
    with resources.as_file(resources.files("drive_wm.datasets") / "samples") as folder:
        return [read_log(folder / f"{name}.log.safetensors") for name in SAMPLES]


def candidates(sample: Sample) -> Iterator[Log]:
    """Slim Logs of one simulation after the other."""
    for seed in count(sample.seed):
        rng = np.random.default_rng(seed)
        run = run_sumo(sample.network(rng), rng)
        yield from (slim(cut(run, window, f"{seed}")) for window in choose_windows(run, rng))


def slim(log: Log) -> Log:
    """Only the agents that come nearest, less map, rounded positions."""
    apart_m = np.linalg.norm(log.position_m - log.ego_pose[:, :2], axis=-1)
    nearest_m = np.where(log.valid, apart_m, np.inf).min(axis=1)
    kept = np.sort(np.argsort(nearest_m, kind="stable")[: min(MOST_AGENTS, int((nearest_m < NEAR_M).sum()))])
    return replace(
        log,
        agents=tuple(log.agents[i] for i in kept), categories=tuple(log.categories[i] for i in kept),
        ego_pose=log.ego_pose.round(4), position_m=log.position_m[kept].round(3), yaw_rad=log.yaw_rad[kept].round(4),
        size_m=log.size_m[kept], kind=log.kind[kept], points=log.points[kept], visibility=log.visibility[kept],
        valid=log.valid[kept], map=crop(log.map, shapely.LineString(log.ego_pose[:, :2]).buffer(MAP_M)),
    )  # fmt: skip
