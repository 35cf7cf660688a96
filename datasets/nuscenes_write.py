"""Logs as a nuScenes dataroot that nuscenes-devkit opens: tables, map expansion, map masks, challenge targets; no sensor data.

The devkit knows four locations by name and wants a map of each. Roads where traffic keeps right are laid side by side in
Boston's map, those where it keeps left in turn in Singapore's three. Scenes bear names of the official splits, all scenes of
one place in the same: `train_val` and `train` of the challenge (both of them in `train`) and `val`; see Splits.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TextIO

import shapely
from nuscenes.utils.splits import create_splits_scenes

from drive_wm.datasets.nuscenes_layers import Location, token
from drive_wm.datasets.nuscenes_map import LOCATIONS
from drive_wm.datasets.nuscenes_mask import write_mask
from drive_wm.datasets.nuscenes_rows import Rows, challenge_targets, fixed_rows, scene_rows
from drive_wm.datasets.nuscenes_tables import OPTIONAL_TABLES, TABLES
from drive_wm.log import Log, LogMap

VERSION = "v1.0-trainval"
START_US, DRIVE_US = 1_600_000_000_000_000, 1_000_000_000  # when the first place was recorded, and the next one after it
IN_TRAIN_VAL = 200  # the first scenes of `train` are the challenge's train_val
SHARES = {"train": 500, "train_val": 200, "val": 150}  # of scenes, as in nuScenes
RIGHT_HAND, *LEFT_HAND = sorted(LOCATIONS)


@dataclass(frozen=True)
class Place:
    """One map and the drives recorded there, all in one frame."""

    map: LogMap
    signals: shapely.MultiLineString  # the stop lines of the map that a signal governs
    left_hand: bool
    logs: tuple[Log, ...]


@dataclass
class Splits:
    """Hands out official scene names so that every split keeps its share."""

    left: dict[str, list[str]] = field(default_factory=lambda: _official())
    used: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in SHARES})
    extra: Iterator[int] = field(default_factory=lambda: count(2001))

    def names(self, number: int) -> list[str]:
        """Names for the scenes of one place; beyond the 850 official ones, scene-2001 and on, which only splits.json knows."""
        split = min(SHARES, key=lambda name: (len(self.used[name]) + number / 2) / SHARES[name])
        taken = [self.left[split].pop(0) if self.left[split] else f"scene-{next(self.extra)}" for _ in range(number)]
        self.used[split] += taken
        return taken

    def content(self) -> dict[str, list[str]]:
        """splits.json: the splits of this dataroot, whole."""
        own = {"synth_train": [*self.used["train"], *self.used["train_val"]], "synth_val": self.used["val"]}
        return {"synth": [name for names in own.values() for name in names]} | own


def _official() -> dict[str, list[str]]:
    official = create_splits_scenes()
    train = official["train"]
    return {"train": train[IN_TRAIN_VAL:], "train_val": train[:IN_TRAIN_VAL], "val": list(official["val"])}


def write_dataroot(places: Iterable[Place], folder: Path, salt: str) -> dict[str, int]:
    """Write all places below `folder`; how many rows each table holds. `salt` goes into every token."""
    locations = {name: Location(name) for name in (RIGHT_HAND, *LEFT_HAND)}
    splits, targets = Splits(), {}
    logs: dict[str, list[str]] = {name: [] for name in locations}
    left_hand = 0
    with _tables(folder / VERSION) as tables:
        tables.add(fixed_rows())
        for i, place in enumerate(places):
            where = LEFT_HAND[left_hand % len(LEFT_HAND)] if place.left_hand else RIGHT_HAND
            left_hand += place.left_hand
            offset_m = locations[where].place(place.map, place.signals)
            recording = token(salt, "log", i)
            logs[where].append(recording)
            tables.add({"log": [{"token": recording, "logfile": f"synth-{i:04d}", "vehicle": "synth",
                                 "date_captured": "2020-09-13", "location": where}]})  # fmt: skip
            for j, (name, log) in enumerate(zip(splits.names(len(place.logs)), place.logs, strict=True)):
                start_us = START_US + DRIVE_US * i + 100_000_000 * j
                tables.add(scene_rows(log, salt, name, recording, offset_m, start_us))
                targets[name] = challenge_targets(log, salt, name)
        tables.add({"map": [{"token": token("map", name), "category": "semantic_prior", "filename": _mask_path(name),
                             "log_tokens": logs[name]} for name in locations]})  # fmt: skip
    _write_json(folder / VERSION / "splits.json", splits.content())
    _write_json(folder / "maps" / "prediction" / "prediction_scenes.json", targets)
    for name, location in locations.items():
        _write_json(folder / "maps" / "expansion" / f"{name}.json", location.content())
        write_mask(folder / _mask_path(name), location.grounds, location.edge_m)
    return tables.rows


def _mask_path(location: str) -> str:
    return f"maps/{token('mask', location)}.png"


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@dataclass
class Tables:
    """Open table files that rows are appended to, so that no table is ever in memory as a whole."""

    files: dict[str, TextIO]
    rows: dict[str, int]

    def add(self, rows: Rows) -> None:
        for name, new in rows.items():
            for row in new:
                self.files[name].write(("[\n" if not self.rows[name] else ",\n") + json.dumps(row))
                self.rows[name] += 1


@contextmanager
def _tables(folder: Path) -> Iterator[Tables]:
    folder.mkdir(parents=True)
    names = (*TABLES, *OPTIONAL_TABLES)
    with ExitStack() as stack:
        tables = Tables({n: stack.enter_context((folder / f"{n}.json").open("w")) for n in names}, dict.fromkeys(names, 0))
        yield tables
        for name, file in tables.files.items():
            file.write("\n]\n" if tables.rows[name] else "[]\n")
