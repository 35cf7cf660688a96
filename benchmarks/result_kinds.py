"""What a result file is about, told by its rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drive_wm.benchmarks.results_file import Results, read_results
from drive_wm.errors import InputError

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of results: a section of the report."""

    name: str  # as anchors.json has it
    title: str
    note: str
    keys: tuple[str, ...] = ()  # a row that holds one of them is of this kind
    word: str = ""  # a command that holds it measures this, whatever its rows hold
    plotted: tuple[str, ...] = ()  # figures drawn by slice; none named: the first few
    by_protocol: bool = False  # a table each, since figures of two do not compare
    sliced: bool = True  # rows with a "slice" are parts of the whole, not more of it


OTHER = Kind("other", "Other results", "Files of no kind that this report knows, shown as they are.")
KINDS = (
    Kind(
        "planning", "Open-loop planning",
        "Distance to what the human drove and collisions with recorded obstacles. Each protocol has its own samples, obstacles "
        "and averages: compare within one alone. Small print is the 95 % interval over scenes; log is the human's own path.",
        ("l2_avg",), by_protocol=True, plotted=("l2_avg", "collision_avg"),
    ),
    Kind(
        "comparison", "Two models compared", "b less a on the samples of both, with the 95 % interval over scenes.",
        ("l2_avg_difference",), plotted=("l2_avg_difference", "collision_avg_difference"),
    ),
    Kind(
        "prediction", "Prediction", "Forecasts over six seconds against what the others did.", ("min_ade_5",),
        plotted=("min_ade_5", "miss_rate_5"),
    ),
    Kind("closed_loop", "Closed loop", "The planner drives. Scores are better when larger.", ("pdms", "epdms"), "closed-loop"),
    Kind("world_model", "World-model fidelity", "What the model imagines against what happened.", word="world-model"),
    Kind("tick", "Latency", "How long one planner tick takes.", ("p99_ms",), sliced=False),
    Kind("speed", "Speed of imagination", "Seconds imagined per second.", ("scene_seconds_per_second",), sliced=False),
    Kind(
        "data", "Reading nuScenes", "Samples a second and memory; ratio is how many times as many drive_wm reads.",
        ("reader", "part"), sliced=False,
    ),
    Kind("metrics", "Speed of the metrics", "Time and memory on synthetic input.", ("metric",), sliced=False),
)  # fmt: skip


@dataclass(frozen=True)
class ResultFile:
    """A result file and what it is about."""

    path: Path
    kind: Kind
    results: Results


def read_kind(path: Path) -> ResultFile:
    """Read a result file; InputError where it holds no rows or rows of several kinds."""
    results = read_results(path)
    if not results.rows:
        raise InputError(f"{path} holds no rows: there is nothing to report. Measure again with --json {path}.")
    words = results.command.split()
    named = next((kind for kind in KINDS if kind.word and kind.word in words), None)
    found = {kind.name: kind for kind in ([named] if named else map(_kind, results.rows))}
    if len(found) > 1:
        raise InputError(f"{path} mixes rows of {', '.join(sorted(found))}; needed: one kind of results in a file.")
    (kind,) = found.values()
    return ResultFile(path, kind, results)


def _kind(row: Row) -> Kind:
    return next((kind for kind in KINDS if any(key in row for key in kind.keys)), OTHER)
