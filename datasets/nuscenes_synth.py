"""synth: SUMO traffic as a nuScenes dataroot, whole or not at all."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import shapely
from pydantic import BaseModel, ValidationError

from drive_wm.datasets.nuscenes_write import VERSION, Place, write_dataroot
from drive_wm.datasets.sumo import Drives, read_drives
from drive_wm.datasets.sumo_map import mirror
from drive_wm.datasets.sumo_runs import Run
from drive_wm.errors import InputError
from drive_wm.log import Log, LogMap

SUMMARY = "synth.json"
FORMAT = 1  # of what is written: another one gives other bytes for the same seed
Progress = Callable[[int, int, str], None]  # finished scenes, of how many, what just happened


class Summary(BaseModel):
    """What a synthetic dataroot holds; stored in it as synth.json."""

    format: int = FORMAT
    scenes: int
    seed: int
    version: str = VERSION
    networks: dict[str, int] = {}  # scenes per kind of network
    events: dict[str, int] = {}  # scenes per rare event
    categories: dict[str, int] = {}  # road users per nuScenes category
    rows: dict[str, int] = {}  # per table


def synthesize(out: Path, scenes: int, seed: int, progress: Progress) -> Summary:
    """Write a nuScenes dataroot of that many scenes; the same seed gives the same bytes. A finished one stays as it is.

    Raises InputError where the folder holds anything else.
    """
    wanted = Summary(scenes=scenes, seed=seed)
    done = _finished(out, wanted)
    if done:
        progress(scenes, scenes, f"{out} already holds this")
        return done
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        summary = _write(temporary, wanted, progress)
        temporary.replace(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return summary


def _finished(out: Path, wanted: Summary) -> Summary | None:
    """The summary of a finished dataroot with these settings, None where there is nothing yet."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        found = Summary.model_validate_json((out / SUMMARY).read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{out} exists and is no synthetic dataroot. Pass a new folder with --out.") from error
    for field in ("format", "scenes", "seed"):
        if getattr(found, field) != getattr(wanted, field):
            raise InputError(
                f"{out} holds a dataroot with {field} {getattr(found, field)}, not {getattr(wanted, field)}. "
                "Pass another folder with --out, or delete this one."
            )
    return found


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
    summary = wanted.model_copy(update=counted)
    (folder / SUMMARY).write_text(json.dumps(summary.model_dump(), indent=1) + "\n")
    return summary


def place_of(drives: Drives, logs: tuple[Log, ...]) -> Place:
    """The map of a simulation and some of its drives."""
    return Place(*_roads(drives.run), drives.run.left_hand, logs)


def _roads(run: Run) -> tuple[LogMap, shapely.MultiLineString]:
    """Map and signals of a run, as its Logs see them."""
    if not run.left_hand:
        return run.roads.map, run.roads.signals
    return mirror(run.roads.map), shapely.transform(run.roads.signals, lambda points: points * (1, -1))
