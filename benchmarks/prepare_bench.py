"""Where time and memory go when a whole split of nuScenes is prepared, and how fast training then reads it."""

import resource
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np

from drive_wm.benchmarks.data_readers import read_from_cache
from drive_wm.datasets.cache import Progress, open_cache, write_cache
from drive_wm.datasets.engines import run_local
from drive_wm.datasets.manifest import Manifest
from drive_wm.datasets.nuscenes import read_logs
from drive_wm.datasets.nuscenes_map import location_map
from drive_wm.datasets.nuscenes_reader import read_rows
from drive_wm.datasets.nuscenes_tables import scene_names, source_files
from drive_wm.datasets.shards import write_drive
from drive_wm.errors import InputError
from drive_wm.log import Floats, Log
from drive_wm.scene import SceneConfig
from drive_wm.scene_at import SceneBuilder
from drive_wm.viewpoint import TOGETHER

MIB = 2**10 if sys.platform == "linux" else 2**20  # ru_maxrss counts KiB, on macOS bytes
LOOKED_AT = 20  # drives, spread evenly, of which each part is timed
READ = 4000  # scenes


def bench_prepare(
    root: Path | None, version: str, split: str, workers: int, out: Path, progress: Progress
) -> list[dict[str, Any]]:
    """Rows by `part`: "prepare" the whole split into `out`, after the tables are loaded (n, samples_per_second, peak_mib);
    "tables" and "maps", loaded before, and "devkit tables" (seconds, peak_mib); per sample on one core "map", "scenes" and
    "writing" (milliseconds); "training read" (samples_per_second on one core).
    """
    if root is None:
        raise InputError("No nuScenes folder was given. Pass --root, or make one: python -m drive_wm.benchmarks.trainval_size.")
    if out.exists():
        raise InputError(f"{out} exists already, and what is finished takes no time. Pass a new folder with --out.")
    names = scene_names(root, version, split)
    logs, looked_at = read_logs(root, version, split), []

    def passed_on() -> Iterator[Log]:
        yield first
        for i, log in enumerate(logs, start=1):
            if i % max(1, len(names) // LOOKED_AT) == 0:
                looked_at.append(log)
            yield log

    first = next(logs)
    looked_at.append(first)
    began, files = perf_counter(), source_files(root, version)
    manifest = write_cache(
        passed_on(), out, "nuscenes", version, split, SceneConfig(), progress, files, len(names), workers=workers
    )
    seconds = perf_counter() - began
    speed = {"samples_per_second": manifest.samples / seconds, "seconds": seconds, "peak_mib": peak_mib(workers)}
    whole = {"part": "prepare", "n": manifest.samples, "workers": workers, **speed}
    loads = {"tables": own_tables, "maps": maps, "devkit tables": devkit_tables}  # afterwards, so that no peak is theirs
    rows = [{"part": part} | apart(load, root, version, split) for part, load in loads.items()]
    return [whole, *rows, *parts_of(looked_at, manifest), {"part": "training read", **read_from_cache(open_cache(out), READ)}]


def parts_of(logs: list[Log], manifest: Manifest) -> Iterator[dict[str, Any]]:
    """Milliseconds of one core per sample for these drives, part by part."""
    samples = sum(len(log.keyframes) for log in logs)
    with TemporaryDirectory() as folder:
        spent_s = sum(run_local(partial(_spent_s, manifest=manifest, out=Path(folder)), logs), start=np.zeros(3))
    for part, ms in zip(("map", "scenes", "writing"), 1e3 * spent_s / samples, strict=True):
        yield {"part": part, "n": samples, "milliseconds": ms}


def _spent_s(log: Log, manifest: Manifest, out: Path) -> Floats:
    """Processor time for a drive's map, its scenes and their writing."""
    times_s, steps = [process_time()], range(len(log.keyframes))
    builder = SceneBuilder(log, manifest.config, stored=True)
    builder.at(0)
    times_s.append(process_time())
    for start in steps[::TOGETHER]:
        builder.over(steps[start : start + TOGETHER])
    times_s.append(process_time())
    write_drive(log, out, manifest.settings, manifest.config)
    map_s, scenes_s, both_and_writing_s = np.diff([*times_s, process_time()])
    return np.array([map_s, scenes_s, both_and_writing_s - map_s - scenes_s])


def own_tables(root: Path, version: str, split: str) -> None:
    read_rows(root, version, scene_names(root, version, split))


def maps(root: Path, version: str, split: str) -> None:
    """Every location that the dataroot has."""
    for path in sorted((root / "maps" / "expansion").glob("*.json")):
        location_map(root, path.stem)


def devkit_tables(root: Path, version: str, split: str) -> None:
    from nuscenes.nuscenes import NuScenes

    NuScenes(version, str(root), verbose=False)


def apart(load: Callable[..., None], *arguments: Any) -> dict[str, float]:
    """Seconds and peak memory of a function in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_timed, load, *arguments).result()


def _timed(load: Callable[..., None], *arguments: Any) -> dict[str, float]:
    began = perf_counter()
    load(*arguments)
    return {"seconds": perf_counter() - began, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB}


def peak_mib(workers: int) -> float:
    """At most what this process and its workers took together: each worker is counted as the largest child so far."""
    own, child = (resource.getrusage(who).ru_maxrss / MIB for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own + child * (workers if workers > 1 else 0)
