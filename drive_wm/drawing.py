"""Pictures of a scene from above: what is there, which plans were weighed, and what was imagined of the others.

Every function draws the first scene of its batch on matplotlib axes, in the ego frame: x to the right, y up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, LineCollection, PolyCollection
from matplotlib.colors import PowerNorm, to_rgb
from numpy.typing import NDArray
from torch import Tensor

from drive_wm.boxes import corners_m
from drive_wm.geometry import rotate
from drive_wm.kinematics import DT_S
from drive_wm.log import STATIC
from drive_wm.rollouts import Plans, Rollouts
from drive_wm.scene import ELEMENTS, RASTER_LAYERS, X_RANGE_M, Y_RANGE_M, Scene

View = tuple[float, float, float, float]  # x from, x to, y from, y to, in metres

VIEW: View = (-20.0, 60.0, -25.0, 25.0)
LONG_M = 1.5  # an agent at least this long shows its heading
NEAR_BEST = 2.5  # exponent of the score's scale: plans near the best are told apart, and the rest share the other end
MOVES_M = 1.0  # an agent that moves less than this within the rollout is drawn as its box alone
SPREAD_STEPS = (3, 7, 11)  # 2, 4 and 6 s


@dataclass(frozen=True)
class Look:
    """Colours of one theme, which colour-blind readers can tell apart: Okabe and Ito's for agents, viridis for scores."""

    paper: str
    ink: str
    ground: str
    road: str
    walkway: str
    crosswalk: str
    marking: str
    scores: str  # matplotlib colour map; the best score stands out from the paper
    ego: str = "#d6247f"
    kinds: tuple[str, ...] = ("#2f7fc1", "#e69f00", "#d55e00", "#8a8f98")


LIGHT = Look("#ffffff", "#22262e", "#f2f1ec", "#d9dbdf", "#e9e2d3", "#bfc6d2", "#fbfbfb", "viridis_r")
DARK = Look("#14171c", "#e4e7ec", "#1b1f26", "#343a45", "#2b2a28", "#4b5566", "#7c8696", "viridis", ego="#ff4fa3")


def draw_scene(axes: Axes, scene: Scene, look: Look = LIGHT, view: View = VIEW) -> int:
    """Draw map, agents with their last two seconds, and the ego; returns how many agents were drawn, the ego included."""
    _frame(axes, look, view)
    extent = (*X_RANGE_M, *Y_RANGE_M)
    axes.imshow(_background(scene, look), extent=extent, origin="lower", interpolation="bilinear", zorder=0)
    lanes = scene.lanes.position_m[0, scene.lanes.valid[0]].numpy()
    axes.add_collection(LineCollection(list(lanes), colors=look.ink, linewidths=0.6, alpha=0.22, linestyles=(0, (6, 4))))
    _elements(axes, scene, look)
    if bool(scene.has_route[0]):
        axes.plot(*scene.route_m[0].numpy().T, color=look.ego, linewidth=5, alpha=0.14, solid_capstyle="round", zorder=1.5)
    return _agents(axes, scene, look)


def draw_candidates(axes: Axes, plans: Plans, total_score: Tensor, chosen: int, look: Look = LIGHT) -> LineCollection:
    """Draw the valid plans coloured by score (K,), higher is better, the chosen one thick on top; returns the lines."""
    valid = plans.valid[0].nonzero()[:, 0]
    best_last = valid[total_score[valid].argsort()]
    score = total_score[best_last].numpy()
    # One plan that ends in a crash would take the whole scale: the worst tenth shares the darkest colour.
    low, high = (float(np.quantile(score, q)) for q in (0.1, 1.0)) if len(score) else (0.0, 1.0)
    start = plans.pose.new_zeros(len(best_last), 1, 2)
    paths = torch.cat([start, plans.pose[0, best_last, :, :2]], dim=1).numpy()
    lines = LineCollection(list(paths), cmap=look.scores, norm=PowerNorm(NEAR_BEST, low, max(high, low + 1e-6)))
    rank = np.linspace(0, 1, len(score))
    lines.set(array=score, linewidths=0.7 + 1.3 * rank, alpha=0.9, zorder=4, capstyle="round")
    axes.add_collection(lines)
    path = torch.cat([start.new_zeros(1, 2), plans.pose[0, chosen, :, :2]]).numpy()
    axes.plot(*path.T, color=look.paper, linewidth=6.5, zorder=5, solid_capstyle="round")
    axes.plot(*path.T, color=look.ego, linewidth=4, zorder=5.1, solid_capstyle="round")
    seconds = path[round(1 / DT_S) :: round(1 / DT_S)]
    axes.scatter(seconds[:, 0], seconds[:, 1], s=9, color=look.paper, zorder=5.2, linewidths=0)
    return lines


def draw_rollouts(
    axes: Axes, scene: Scene, rollouts: Rollouts, plan_index: int, modes: Sequence[int] | None = None, look: Look = LIGHT
) -> int:
    """Draw how the others are imagined to move under one plan, the more probable the mode the stronger.

    Outlines and ellipses of two standard deviations after 2, 4 and 6 s. Returns how many paths were drawn.
    """
    probability = rollouts.mode_logits[0].softmax(-1)
    modes = range(len(probability)) if modes is None else modes
    position_m, yaw_rad = rollouts.position_m[0, plan_index], rollouts.yaw_rad[0, plan_index]
    now_m = scene.tracks.position_m[0, :, -1]
    moving = rollouts.valid[0] & ((position_m - now_m[:, None]).norm(dim=-1).amax((0, 2)) > MOVES_M)
    moving[0] = False  # the ego's own plan is drawn with the candidates
    colours = [look.kinds[kind] for kind in scene.tracks.kind[0, moving].tolist()]
    steps = [step for step in SPREAD_STEPS if step < position_m.shape[2]]
    stepwise = [colour for colour in colours for _ in steps]
    for mode in modes:
        strength = 0.25 + 0.75 * float(probability[mode] / probability[list(modes)].max())
        path = torch.cat([now_m[moving, None], position_m[mode, moving]], dim=1)
        axes.add_collection(LineCollection(list(path.numpy()), colors=colours, linewidths=1.6, alpha=strength, zorder=4))
        centre_m, turn_rad = position_m[mode, moving][:, steps], yaw_rad[mode, moving][:, steps]
        boxes = corners_m(centre_m, turn_rad, rollouts.size_m[0, moving, None]).flatten(0, 1)
        axes.add_collection(_polygons(boxes, facecolors="none", edgecolors=stepwise, alpha=strength, zorder=4))
        spread_m = rollouts.spread_m[0, plan_index, mode, moving][:, steps].flatten(0, 1)
        widths, heights = 4 * spread_m.numpy().T
        ellipses = EllipseCollection(
            widths, heights, turn_rad.rad2deg().flatten().numpy(), units="xy",
            offsets=centre_m.flatten(0, 1).numpy(), offset_transform=axes.transData,
            facecolors=stepwise, alpha=0.22 * strength, zorder=3,
        )  # fmt: skip
        axes.add_collection(ellipses)
    return len(modes) * int(moving.sum())


def _frame(axes: Axes, look: Look, view: View) -> None:
    axes.set_facecolor(look.ground)
    axes.set(xlim=view[:2], ylim=view[2:], aspect="equal")
    axes.set_xlabel("forward, m", color=look.ink, fontsize=8)
    axes.set_ylabel("left, m", color=look.ink, fontsize=8)
    axes.tick_params(colors=look.ink, labelsize=8, length=2)
    axes.spines[:].set_visible(False)
    axes.autoscale(False)


def _background(scene: Scene, look: Look) -> NDArray[np.float64]:
    """The raster as a picture (Y, X, 3): each layer covers those below by its share of the cell."""
    picture = np.broadcast_to(to_rgb(look.ground), (*scene.raster.shape[-2:], 3)).copy()
    layers: Mapping[str, tuple[str, float]] = {
        "walkway": (look.walkway, 1.0), "drivable": (look.road, 1.0), "crosswalk": (look.crosswalk, 0.7),
        "lane_divider": (look.marking, 0.6), "road_divider": (look.marking, 0.9),
    }  # fmt: skip
    for name, (colour, opacity) in layers.items():
        share = opacity * scene.raster[0, RASTER_LAYERS.index(name)].clamp(0, 1).numpy()[..., None]
        picture = share * np.array(to_rgb(colour)) + (1 - share) * picture
    return picture


def _elements(axes: Axes, scene: Scene, look: Look) -> None:
    styles = {"crosswalk": (0.8, 0.5), "stop_line": (2.0, 1.0), "lane_divider": (0.7, 0.8), "road_divider": (1.1, 0.9)}
    for kind, (width, alpha) in styles.items():
        here = scene.elements.valid[0] & (scene.elements.kind[0] == ELEMENTS.index(kind))
        lines = list(scene.elements.position_m[0, here].numpy())
        axes.add_collection(LineCollection(lines, colors=look.marking, linewidths=width, alpha=alpha, zorder=1))


def _agents(axes: Axes, scene: Scene, look: Look) -> int:
    tracks = scene.tracks
    now = tracks.valid[0, :, -1].nonzero()[:, 0]
    position_m, yaw_rad, size_m = tracks.position_m[0, now, -1], tracks.yaw_rad[0, now, -1], tracks.size_m[0, now]
    has_ego = bool(scene.has_ego[0])
    colours = [
        look.ego if a == 0 and has_ego else look.kinds[k]
        for a, k in zip(now.tolist(), tracks.kind[0, now].tolist(), strict=True)
    ]
    boxes = corners_m(position_m, yaw_rad, size_m)
    axes.add_collection(_polygons(boxes, facecolors=colours, edgecolors=look.paper, linewidths=0.4, zorder=6))
    # The heading: a wedge at the front, on what is large enough to show it and can move.
    shown = (size_m[:, 0] > LONG_M) & (tracks.kind[0, now] != STATIC)
    ahead_m = rotate(torch.stack([size_m[:, 0] / 2, torch.zeros(len(now))], -1), yaw_rad)
    wedges = torch.stack([boxes[:, 0] - 0.6 * ahead_m, position_m + ahead_m, boxes[:, 3] - 0.6 * ahead_m], dim=1)
    axes.add_collection(LineCollection(list(wedges[shown].numpy()), colors=look.paper, linewidths=0.9, zorder=6.1))
    trails = [tracks.position_m[0, a, tracks.valid[0, a]].numpy() for a in now.tolist()]
    axes.add_collection(LineCollection(trails, colors=colours, linewidths=1.6, alpha=0.45, zorder=2))
    return len(now)


def _polygons(corners: Tensor, **style: object) -> PolyCollection:
    return PolyCollection(list(corners.numpy()), **style)  # type: ignore[arg-type]
