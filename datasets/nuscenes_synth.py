"""SUMO traffic as a nuScenes dataroot."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import shapely

from drive_wm.datasets.nuscenes_write import Place, write_dataroot
from drive_wm.datasets.sumo import Drives, read_drives
from drive_wm.datasets.sumo_map import mirror
from drive_wm.datasets.sumo_runs import Run
from drive_wm.datasets.synth_folder import Progress, Summary, write_folder
from drive_wm.log import Log, LogMap


def synthesize(out: Path, scenes: int, seed: int, progress: Progress) -> Summary:
    """Write a nuScenes dataroot of that many scenes; the same seed gives the same bytes."""
    wanted = Summary(kind="nuscenes", scenes=scenes, seed=seed)
    return write_folder(out, wanted, lambda folder: _write(folder, wanted, progress), progress)


def _write(folder: Path, wanted: Summary, progress: Progress) -> Summary:
    networks: Counter[str] = Counter()
    events: Counter[str] = Counter()
    categories: Counter[str] = Counter()

    def places() -> Iterator[Place]:
        left = wanted.scenes
        for drives in read_drives(wanted.seed):
            logs = drives.logs[:left]
            left -= len(logs)
            networks[drives.run.net.kind] += len(logs)
            events.update(window.event.kind for window in drives.windows[: len(logs)] if window.event)
            categories.update(category for log in logs for category in log.categories)
            if logs:
                yield place_of(drives, logs)
                progress(wanted.scenes - left, wanted.scenes, f"{drives.run.net.kind}: {len(logs)} scenes")
            if not left:
                return

    rows = write_dataroot(places(), folder, f"synth-{wanted.seed}")
    counted = {"networks": dict(networks), "events": dict(events), "categories": dict(categories), "rows": rows}
    return wanted.model_copy(update=counted)


def place_of(drives: Drives, logs: tuple[Log, ...]) -> Place:
    """The map of a simulation and some of its drives."""
    return Place(*_roads(drives.run), drives.run.left_hand, logs)


def _roads(run: Run) -> tuple[LogMap, shapely.MultiLineString]:
    """Map and signals of a run, as its Logs see them."""
    if not run.left_hand:
        return run.roads.map, run.roads.signals
    return mirror(run.roads.map), shapely.transform(run.roads.signals, lambda points: points * (1, -1))
