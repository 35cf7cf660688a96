"""Figures for a report: what the planner saw and chose, and what it imagined."""

from io import BytesIO
from textwrap import shorten
from typing import cast

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image
from torch import Tensor

from drive_wm.drawing import LIGHT, VIEW, Look, View, draw_candidates, draw_rollouts, draw_scene
from drive_wm.log import KINDS
from drive_wm.rollouts import Plans, Rollouts
from drive_wm.scene import Future, Scene

SIZE_IN = (7.4, 4.8)
MODES_SHOWN = 4
DESCRIPTION_LETTERS = 110
COLOURS = 256  # of a PNG's palette: a third of the bytes, and no difference to see


def seen_figure(scene: Scene, plans: Plans, total_score: Tensor, chosen: int, look: Look = LIGHT, view: View = VIEW) -> Figure:
    """What the planner saw and what it chose by total_score (K,)."""
    figure = Figure(figsize=SIZE_IN, dpi=150, facecolor=look.paper)
    _seen(figure, scene, plans, total_score, chosen, look, view)
    return figure


def imagined_figure(
    scene: Scene, plans: Plans, rollouts: Rollouts, chosen: int, look: Look = LIGHT, view: View = VIEW
) -> Figure:
    """What it imagined of the others under the chosen plan: the likeliest modes, one panel each."""
    figure = Figure(figsize=SIZE_IN, dpi=150, facecolor=look.paper)
    _imagined(figure, scene, plans, rollouts, chosen, look, view)
    return figure


def scene_figure(
    scene: Scene, plans: Plans, rollouts: Rollouts, total_score: Tensor, chosen: int,
    title: str = "", look: Look = LIGHT, view: View = VIEW,
) -> Figure:  # fmt: skip
    """Both, side by side."""
    figure = Figure(figsize=(2 * SIZE_IN[0], SIZE_IN[1] + 0.4), dpi=125, facecolor=look.paper)
    figure.text(0.01, 0.995, title, color=look.ink, fontsize=15, va="top")
    left, right = figure.subfigures(2, 2, squeeze=False, height_ratios=(0.4, SIZE_IN[1]))[1]
    _seen(left, scene, plans, total_score, chosen, look, view)
    _imagined(right, scene, plans, rollouts, chosen, look, view)
    return figure


def log_figure(scene: Scene, future: Future, title: str, description: str, look: Look = LIGHT, view: View = VIEW) -> Figure:
    """What was recorded (B = 1): the scene, and as thin lines where everyone then went."""
    figure = Figure(figsize=SIZE_IN, dpi=150, facecolor=look.paper)
    axes = figure.subplots(gridspec_kw={"left": 0.075, "right": 0.98, "top": 0.88, "bottom": 0.17})
    draw_scene(axes, scene, look, view)
    there = scene.tracks.valid[0, :, -1].nonzero()[:, 0].tolist()
    paths = [torch.cat([scene.tracks.position_m[0, a, -1:], _reached(future, a)]).numpy() for a in there]
    colours = [look.ego if a == 0 and bool(scene.has_ego[0]) else look.kinds[int(scene.tracks.kind[0, a])] for a in there]
    axes.add_collection(LineCollection(paths, colors=colours, linewidths=0.9, zorder=5))
    axes.set_title(title, color=look.ink, fontsize=11, loc="left", pad=20)
    axes.text(
        0,
        1.02,
        shorten(description, DESCRIPTION_LETTERS, placeholder=" …"),
        color=look.ink,
        fontsize=8,
        transform=axes.transAxes,
    )
    handles = _legend_of_kinds(scene, look)
    handles += [
        Line2D([], [], color=look.ink, linewidth=3, alpha=0.45, label="the last 2 s"),
        Line2D([], [], color=look.ink, linewidth=0.9, label="the next 6 s"),
    ]
    _legend(figure, handles + _legend_of_route(scene, look), look)
    return figure


def _reached(future: Future, agent: int) -> Tensor:
    """Where an agent is, up to the first step that does not know it."""
    known = future.tracks.valid[0, agent].long().cumprod(0).bool()
    return future.tracks.position_m[0, agent, known]


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    buffer = BytesIO()
    few = picture.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def _seen(
    figure: Figure | SubFigure, scene: Scene, plans: Plans, total_score: Tensor, chosen: int, look: Look, view: View
) -> None:
    # Margins by hand: an automatic layout would take as long as all the drawing.
    axes = figure.subplots(gridspec_kw={"left": 0.075, "right": 0.88, "top": 0.95, "bottom": 0.17})
    draw_scene(axes, scene, look, view)
    lines = draw_candidates(axes, plans, total_score, chosen, look)
    axes.set_title(f"Seen and chosen: {int(plans.valid[0].sum())} plans weighed", color=look.ink, fontsize=11, loc="left")
    # Evenly along the bar: round scores crowd where its scale is dense.
    ticks = cast(Normalize, lines.norm).inverse(np.linspace(0, 1, 6))
    place = axes.inset_axes((1.02, 0.08, 0.022, 0.84))
    bar = figure.colorbar(lines, cax=place, extend="min", ticks=ticks, format="%.3g")
    bar.set_label("total score of a plan (higher is better)", color=look.ink, fontsize=9)
    bar.ax.tick_params(colors=look.ink, labelsize=8)
    bar.outline.set_visible(False)
    handles = _legend_of_kinds(scene, look)
    handles.append(Line2D([], [], color=look.ego, linewidth=4, label="chosen plan, a dot per second"))
    _legend(figure, handles + _legend_of_route(scene, look), look)


def _legend_of_kinds(scene: Scene, look: Look) -> list[Artist]:
    """One patch per kind that is there, and the ego's where there is one."""
    first = 1 if bool(scene.has_ego[0]) else 0
    seen = {int(kind) for kind in scene.tracks.kind[0, first:][scene.tracks.valid[0, first:, -1]]}
    ego: list[Artist] = [Patch(color=look.ego, label="ego")] if first else []
    return ego + [Patch(color=look.kinds[k], label=KINDS[k]) for k in sorted(seen)]


def _legend_of_route(scene: Scene, look: Look) -> list[Artist]:
    route = Line2D([], [], color=look.ego, linewidth=5, alpha=0.25, label="route")
    return [route] if bool(scene.has_route[0]) else []


def _legend(figure: Figure | SubFigure, handles: list[Artist], look: Look) -> None:
    figure.legend(
        handles=handles, loc="lower left", ncols=7, fontsize=7.5, labelcolor=look.ink, frameon=False,
        columnspacing=1.0, handlelength=1.4, handletextpad=0.5,
    )  # fmt: skip


def _imagined(
    figure: Figure | SubFigure, scene: Scene, plans: Plans, rollouts: Rollouts, chosen: int, look: Look, view: View
) -> None:
    probability = rollouts.mode_logits[0].softmax(-1)
    modes = probability.argsort(descending=True)[:MODES_SHOWN].tolist()
    rows = 1 if len(modes) < 3 else 2
    margins = {"left": 0.075, "right": 0.99, "top": 0.95, "bottom": 0.17, "wspace": 0.04, "hspace": 0.13}
    grid = figure.subplots(rows, -(-len(modes) // rows), squeeze=False, sharex=True, sharey=True, gridspec_kw=margins)
    for axes in grid.flat[len(modes) :]:
        axes.set_visible(False)
    for axes, mode in zip(grid.flat, modes, strict=False):
        draw_scene(axes, scene, look, view)
        draw_rollouts(axes, scene, rollouts, chosen, [mode], look)
        axes.plot(*plans.pose[0, chosen, :, :2].numpy().T, color=look.ego, linewidth=3, zorder=5, solid_capstyle="round")
        axes.set_title(f"Mode {mode + 1}: {float(probability[mode]):.0%}", color=look.ink, fontsize=10, loc="left")
        axes.label_outer()
    share = f"{len(modes)} of {len(probability)} modes, {float(probability[modes].sum()):.0%} of the probability"
    note = f"Imagined under the chosen plan: outlines after 2, 4 and 6 s, shading two standard deviations.\n{share}"
    figure.text(0.02, 0.015, note, color=look.ink, fontsize=9)
