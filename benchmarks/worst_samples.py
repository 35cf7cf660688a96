"""Where a planner did worst, from its rows file: scenes in order, and samples that show why, with pictures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drive_wm.benchmarks.inspection import inspection_figure
from drive_wm.benchmarks.report import Picture
from drive_wm.benchmarks.rows_file import SavedRows, read_about, read_rows, read_sample
from drive_wm.drawing import DARK, LIGHT
from drive_wm.errors import InputError
from drive_wm.figures import png
from drive_wm.metrics.planning import Protocol

WORST = 20
PREFERRED: Protocol = "strict"  # it sees the most, and leaves no step out for what the human did
Progress = Callable[[int, int, str], None]  # drawn, of how many, which


@dataclass(frozen=True)
class Bad:
    """One sample: steps in a counted collision, and the mean distance to the human."""

    sample: str
    scene: str
    hits: int
    l2_m: float


@dataclass(frozen=True)
class Worst:
    """What a rows file shows of one planner under one protocol."""

    path: Path
    planner: str
    protocol: Protocol
    scenes: Sequence[dict[str, object]]  # a row each, worst first
    pictures: Sequence[Picture]


def worst_of(path: Path, count: int = WORST, progress: Progress = lambda *_: None) -> Worst:
    """The worst scenes and samples of a rows file, and a picture of each sample; InputError where it holds none."""
    planner, saved = read_about(path)["planner"], read_rows(path)
    if not saved:
        raise InputError(f"{path} holds no sample of any protocol. Write it anew with `drive-wm evaluate planning --rows`.")
    protocol = PREFERRED if PREFERRED in saved else next(iter(saved))
    ranked = ranking(saved[protocol])
    pictures = []
    for bad in ranked[:count]:
        pictures.append(_picture(path, protocol, planner, bad))
        progress(len(pictures), min(count, len(ranked)), f"worst samples of {planner}")
    return Worst(path, planner, protocol, list(_scenes(ranked))[:count], pictures)


def ranking(saved: SavedRows) -> list[Bad]:
    """Samples, more hits first and then the farther from the human, but each scene's worst before any scene's second."""
    rows = saved.rows
    steps = np.maximum(rows.valid.sum(1), 1)
    l2_m = np.where(rows.valid, rows.l2_m, 0).sum(1) / steps
    hits = (rows.collision & rows.counted).sum(1)
    found = [
        Bad(sample, scene, int(hit), float(away))
        for sample, scene, hit, away in zip(saved.samples, saved.scene, hits, l2_m, strict=True)
    ]
    found.sort(key=lambda bad: (-bad.hits, -bad.l2_m))
    earlier: dict[str, int] = {}
    turn = []
    for bad in found:
        turn.append(earlier.get(bad.scene, 0))
        earlier[bad.scene] = turn[-1] + 1
    return [found[i] for i in sorted(range(len(found)), key=turn.__getitem__)]


def _scenes(ranked: Sequence[Bad]) -> Iterator[dict[str, object]]:
    """A row for each scene, in the order of their worst samples."""
    for scene in dict.fromkeys(bad.scene for bad in ranked):
        mine = [bad for bad in ranked if bad.scene == scene]
        yield {
            "scene": scene,
            "samples": len(mine),
            "samples_with_a_collision": sum(bad.hits > 0 for bad in mine),
            "l2_mean": float(np.mean([bad.l2_m for bad in mine])),
            "worst_sample": mine[0].sample,
        }


def _picture(path: Path, protocol: Protocol, planner: str, bad: Bad) -> Picture:
    steps = read_sample(path, bad.sample)[protocol]
    light, dark = (png(inspection_figure(protocol, steps, planner, look)) for look in (LIGHT, DARK))
    what = f"{bad.hits} of {len(steps)} steps in a collision, {bad.l2_m:.2f} m from the human in the mean"
    alt = f"{planner} from above at each step, with the human's path and the obstacles near: {what}."
    return Picture(light, alt, f"{bad.scene}, sample {bad.sample}: {what}.", dark)
