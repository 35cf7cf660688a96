"""Pictures of synthetic traffic, one per network and rare event: `python -m drive_wm.benchmarks.synth_gallery OUT`."""

import sys
from itertools import count
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from drive_wm.datasets.sumo import read_drives
from drive_wm.datasets.sumo_events import EVENTS
from drive_wm.datasets.sumo_networks import NETWORKS
from drive_wm.datasets.sumo_runs import KEYFRAME_STEPS
from drive_wm.datasets.sumo_simulation import STEP_S
from drive_wm.drawing import draw_scene
from drive_wm.log import Log
from drive_wm.scene_at import scene_at

VIEW = (-30.0, 60.0, -35.0, 35.0)
MIDDLE_STEP = 20  # what a picture of a network shows
LATER_STEPS = {"stopped_vehicle": 12, "cut_in": 6}  # how long after an event it is shown: 2 s where none is given


def gallery(out: Path, seed: int) -> list[Path]:
    """Write OUT/NAME.png for every network and every event; simulates until each has happened."""
    found: dict[str, tuple[Log, int]] = {}
    drives = read_drives(seed)
    for _ in count():
        one = next(drives)
        for window, log in zip(one.windows, one.logs, strict=True):
            found.setdefault(log.location.removeprefix("sumo-"), (log, MIDDLE_STEP))
            if window.event:
                step = round((window.event.time_s / STEP_S - window.first_step) / KEYFRAME_STEPS) + LATER_STEPS.get(
                    window.event.kind, 4
                )
                found.setdefault(window.event.kind, (log, step))
        if len(found) == len(NETWORKS) + len(EVENTS):
            return [_draw(log, step, out / f"{name}.png") for name, (log, step) in sorted(found.items())]
    raise AssertionError("drives never end")


def _draw(log: Log, step: int, path: Path) -> Path:
    figure = Figure(figsize=(9, 7.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw_scene(axes, scene_at(log, step)[0], view=VIEW)
    axes.set_title(f"{log.description} ({log.name}, {log.time_s[step] - log.time_s[0]:.1f} s)", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


if __name__ == "__main__":
    for picture in gallery(Path(sys.argv[1]), seed=0):
        print(picture)
