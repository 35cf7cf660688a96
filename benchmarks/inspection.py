"""One sample of a rows file as a picture: what stood where at each step, and which box was hit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from drive_wm.benchmarks.planning_input import Bools, Floats, checked_protocol
from drive_wm.benchmarks.rows_file import read_about, read_sample
from drive_wm.drawing import LIGHT, Look
from drive_wm.errors import InputError
from drive_wm.figures import png
from drive_wm.files import write_atomically
from drive_wm.metrics.planning import STEPS, Protocol, footprints
from drive_wm.metrics.planning_grid import GRIDS, box_corners_m

HIT, TRUTH, OTHER_EDGE = "#d7263d", "#22936c", "#8a8f98"
OTHER = to_rgba(OTHER_EDGE, 0.42)  # pale on light paper, dim on dark
_REACH_M = 11.0  # half the side of a panel about plan and human
_HALF_METRE = ("uniad", "stp3_vad")  # protocols whose cells are large enough to see


def inspect(rows: Path, sample: str, protocol: str = "", out: Path | None = None) -> Path:
    """Write the picture of one sample; by default of the first protocol with a collision, as SAMPLE-PROTOCOL.png."""
    found = read_sample(rows, sample)
    hit = [name for name, steps in found.items() if any(row["collision"] and row["counted"] for row in steps)]
    wanted = checked_protocol(protocol) if protocol else [*hit, *found][0]
    if wanted not in found:
        raise InputError(f"{rows} holds {sample!r} under {', '.join(found)}, not {wanted!r}. Pass one of them with --protocol.")
    path = out or Path(f"{sample}-{wanted}.png")
    write_atomically(path, png(inspection_figure(wanted, found[wanted], read_about(rows)["planner"])))
    return path


def inspection_figure(protocol: Protocol, steps: Sequence[dict[str, Any]], planner: str, look: Look = LIGHT) -> Figure:
    """The six steps of one sample under one protocol, as `read_sample` gives them, one panel each."""
    figure = Figure(figsize=(13.5, 9.6), dpi=110, layout="constrained", facecolor=look.paper)
    figure.set_layout_engine("constrained", h_pad=0.12)
    valid = np.array([row["valid"] for row in steps])
    paths = {name: np.array([[row[f"{name}_x_m"], row[f"{name}_y_m"]] for row in steps], float) for name in ("plan", "truth")}
    for axes, row in zip(figure.subplots(2, 3).flat, steps, strict=True):
        _panel(axes, protocol, row, paths, valid, look)
    first = steps[0]
    hits = sum(row["collision"] and row["counted"] for row in steps)
    title = f"{planner} under {protocol}: {hits} of {STEPS} steps with a counted collision"
    origin = "the rear axle" if protocol == "bev_planner" else "LIDAR_TOP"
    where = f"{first['scene']}, sample {first['sample']}; metres right and ahead of {origin} at t0"
    figure.suptitle(f"{title}\n{where}", color=look.ink, fontsize=13, x=0.01, ha="left")
    figure.legend(
        handles=_legend(protocol, look), loc="outside lower left", ncols=6, fontsize=9, frameon=False, labelcolor=look.ink
    )
    return figure


def _panel(axes: Axes, protocol: Protocol, row: dict[str, Any], paths: dict[str, Floats], valid: Bools, look: Look) -> None:
    step = row["step"] - 1
    _frame(axes, np.array([path[step] for path in paths.values() if np.isfinite(path[step]).all()]), look)
    boxes = np.array([[box[name] for name in _BOX] for box in row["boxes"]], float).reshape(-1, 5)
    instances = [box["instance"] for box in row["boxes"]]
    hit = np.isin(instances, row["hit"]) if instances else np.zeros(0, bool)
    met = np.isin(instances, row["truth_hit"]) if instances else np.zeros(0, bool)
    _outline(axes, boxes[~hit], facecolors=OTHER, edgecolors=OTHER_EDGE, linewidths=0.8, zorder=2)
    _outline(axes, boxes[hit], facecolors=HIT, edgecolors=HIT, alpha=0.75, linewidths=1.5, zorder=3)
    _outline(axes, boxes[met], facecolors="none", edgecolors=TRUTH, hatch="///", linewidths=1.2, zorder=3.1)
    for name, colour in (("truth", TRUTH), ("plan", look.ego)):
        path = paths[name]
        axes.plot(*np.vstack([np.zeros(2), path]).T, "-", color=colour, linewidth=1.4, marker=".", markersize=5, zorder=4)
        if name == "plan" or valid[step]:
            _footprint(axes, protocol, path, valid, step, colour)
    if protocol in _HALF_METRE:
        _outline_cells(axes, protocol, boxes[hit], HIT)
    axes.set_title(f"{row['time_s']:.1f} s{_words(row)}", color=look.ink, fontsize=9.5, loc="left")


_BOX = ("x_m", "y_m", "length_m", "width_m", "yaw_rad")


def _words(row: dict[str, Any]) -> str:
    """What happened, in two lines that fit a panel."""
    if not row["valid"]:
        return ": past the end of the scene\n"
    kind = {box["instance"]: box["category"].rpartition(".")[2] for box in row["boxes"]}
    found = [f"plan hits {kind[name]} {name[:8]}" for name in row["hit"][:1]]
    found += [f"and {len(row['hit']) - 1} more"] * (len(row["hit"]) > 1)
    found += ["human hits too" if row["collision"] else "human hits"] * row["truth_collision"]
    found += ["not counted"] * (not row["counted"])
    return f", L2 {row['l2_m']:.2f} m\n{', '.join(found) or 'no hit'}"


def _frame(axes: Axes, shown: Floats, look: Look) -> None:
    middle = (shown.min(0) + shown.max(0)) / 2
    reach = _REACH_M + np.ptp(shown, axis=0).max() / 2
    axes.set_facecolor(look.ground)
    axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach), aspect="equal")
    axes.tick_params(colors=look.ink, labelsize=8, length=2)
    axes.spines[:].set_visible(False)
    axes.autoscale(False)


def _footprint(axes: Axes, protocol: Protocol, path: Floats, valid: Bools, step: int, colour: str) -> None:
    box = footprints(protocol, np.nan_to_num(path), valid)[step : step + 1]
    _outline(axes, box, facecolors="none", edgecolors=colour, linewidths=2.2, zorder=5)
    if protocol in _HALF_METRE:
        row, column = np.divmod(GRIDS[protocol].cells(np.nan_to_num(path)[None])[0, step], GRIDS[protocol].size)
        corners = [(column.min() - 0.5, row.min() - 0.5), (column.max() + 0.5, row.max() + 0.5)]
        (x0, y0), (x1, y1) = _cells_m(protocol, np.array(corners))
        _dotted(axes, np.array([[(x0, y0), (x1, y0), (x1, y1), (x0, y1)]]), colour)


def _outline_cells(axes: Axes, protocol: Protocol, boxes: Floats, colour: str) -> None:
    """The corners of obstacles as rounded to cells."""
    if len(boxes):
        _dotted(axes, _cells_m(protocol, GRIDS[protocol].polygons(boxes).astype(float)), colour)


def _cells_m(protocol: Protocol, column_row: Floats) -> Floats:
    """Where cell numbers (..., 2) lie, by the rule that draws obstacles."""
    x, y = np.moveaxis(column_row * 0.5 - 50, -1, 0)
    return np.stack([x, -y if protocol == "stp3_vad" else y], -1)


def _outline(axes: Axes, boxes: Floats, **style: Any) -> None:
    axes.add_collection(PolyCollection(list(box_corners_m(boxes)), **style))


def _dotted(axes: Axes, corners: Floats, colour: str) -> None:
    axes.add_collection(
        PolyCollection(list(corners), facecolors="none", edgecolors=colour, linewidths=1, linestyles=":", zorder=6)
    )


def _legend(protocol: Protocol, look: Look) -> list[Patch | Line2D]:
    drawn: list[Patch | Line2D] = [
        Line2D([], [], color=look.ego, linewidth=2.2, label="plan and its footprint"),
        Line2D([], [], color=TRUTH, linewidth=2.2, label="human and footprint"),
        Patch(facecolor=HIT, alpha=0.75, label="box that the plan hits"),
        Patch(facecolor="none", edgecolor=TRUTH, hatch="///", label="box that the human hits"),
        Patch(facecolor=OTHER, edgecolor=OTHER_EDGE, label="other obstacles within 15 m"),
    ]
    dots = Line2D([], [], color=look.ink, linestyle=":", label="as rounded to 0.5 m cells")
    return [*drawn, dots] if protocol in _HALF_METRE else drawn
