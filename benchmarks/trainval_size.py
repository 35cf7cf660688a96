"""A dataroot of the size of nuScenes trainval, to measure on: `python -m drive_wm.benchmarks.trainval_size --out R`.

SUMO drives through some places; then each of the busier ones is driven again and again, as nuScenes' cities are, until there
are as many scenes, samples and boxes as in v1.0-trainval. Every repetition gets tokens of its own, so no reader can tell; for
training use `drive-wm synth`, where no two scenes are alike.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_wm.datasets.nuscenes_synth import place_of
from drive_wm.datasets.nuscenes_write import VERSION, Place, write_dataroot
from drive_wm.datasets.sumo import read_drives
from drive_wm.errors import InputError
from drive_wm.log import Log


@dataclass(frozen=True)
class Size:
    """How much a dataroot holds. The default is v1.0-trainval."""

    scenes: int = 850
    samples: int = 34_149
    boxes: int = 1_166_187
    places: int = 17  # of 50 scenes each, so that the official splits come out even


def repeated(places: Sequence[Place], size: Size) -> Iterator[Place]:
    """The same places with their drives repeated, to that many scenes and samples, and boxes to the nearest sample's."""
    steps = np.diff(np.linspace(0, size.samples, size.scenes + 1).round()).astype(int)
    boxes = 0
    shares = [len(part) for part in np.array_split(np.arange(size.scenes), len(places))]
    ends = np.cumsum([0, *shares])
    for place, start, stop in zip(places, ends, ends[1:], strict=False):
        logs = []
        for i, log in zip(range(start, stop), cycle(busier(place.logs)), strict=False):
            due = round(size.boxes * int(steps[: i + 1].sum()) / size.samples) - boxes
            logs.append(thinned(shortened(log, int(steps[i])), due))
            boxes += int(logs[-1].valid.sum())
        yield replace(place, logs=tuple(logs))


def busier(logs: Sequence[Log]) -> list[Log]:
    """The half with more traffic: nuScenes has 34 boxes a sample."""
    return sorted(logs, key=boxes_per_sample, reverse=True)[: -(-len(logs) // 2)]


def boxes_per_sample(log: Log) -> float:
    return float(log.valid.sum(axis=0).mean())


def busy_places(seed: int, places: int) -> list[Place]:
    """The half of twice as many simulated places whose busier drives have more traffic, in the order of simulation."""
    simulated = list(islice(read_drives(seed), 2 * places))
    traffic = [np.mean([boxes_per_sample(log) for log in busier(drives.logs)]) for drives in simulated]
    kept = np.sort(np.argsort(traffic)[places:])
    return [place_of(simulated[i], simulated[i].logs) for i in kept]


def shortened(log: Log, steps: int) -> Log:
    """The first keyframes of a drive."""
    if len(log.keyframes) < steps:
        raise InputError(
            f"Log {log.name!r} has {len(log.keyframes)} keyframes; needed: {steps}. Ask for fewer samples a scene."
        )
    per_step = ("time_s", "ego_pose")
    per_agent = ("position_m", "yaw_rad", "size_m", "points", "visibility", "valid")
    cut = {name: getattr(log, name)[:steps] for name in per_step} | {name: getattr(log, name)[:, :steps] for name in per_agent}
    return only(replace(log, keyframes=log.keyframes[:steps], **cut), log.valid[:, :steps].any(axis=1))


def thinned(log: Log, boxes: int) -> Log:
    """Without the agents that stay farthest from the ego, as long as more boxes than these are there."""
    apart_m = np.linalg.norm(log.position_m - log.ego_pose[:, :2], axis=-1)
    order = np.argsort(np.where(log.valid, apart_m, np.inf).min(axis=1), kind="stable")
    kept = np.zeros(len(order), bool)
    kept[order] = np.cumsum(log.valid.sum(axis=1)[order]) <= boxes
    return only(log, kept)


def only(log: Log, kept: NDArray[np.bool_]) -> Log:
    """The drive with these agents alone."""
    fields: dict[str, Any] = {
        name: tuple(x for x, keep in zip(getattr(log, name), kept, strict=True) if keep) for name in ("agents", "categories")
    }
    for name in ("position_m", "yaw_rad", "size_m", "kind", "points", "visibility", "valid"):
        fields[name] = getattr(log, name)[kept]
    return replace(log, **fields)


def write_trainval_size(out: Path, size: Size, seed: int) -> dict[str, int]:
    """Write the dataroot; how many rows each table holds."""
    if out.exists():
        raise InputError(f"{out} exists already. Pass a new folder with --out.")
    return write_dataroot(repeated(busy_places(seed, size.places), size), out, f"trainval-size-{seed}")


def main(arguments: Iterable[str] | None = None) -> None:
    """Write and say what was written."""
    parser = argparse.ArgumentParser(description="Write a nuScenes dataroot of the size of v1.0-trainval.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=Size.scenes, help="fewer for a smaller one of the same density")
    options = parser.parse_args(None if arguments is None else list(arguments))
    share = options.scenes / Size.scenes
    size = Size(options.scenes, round(Size.samples * share), round(Size.boxes * share), min(Size.places, options.scenes))
    rows = write_trainval_size(options.out, size, options.seed)
    print(f"{options.out / VERSION}: {', '.join(f'{n:,} {table}' for table, n in rows.items())}")


if __name__ == "__main__":
    main()
