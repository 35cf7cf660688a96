"""A drive from above as a moving picture: everyone as recorded, the plan chosen and the futures imagined."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import pairwise

import numpy as np
import shapely
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from PIL import Image
from torch import Tensor

from drive_wm.boxes import corners_m
from drive_wm.drawing import LIGHT, MOVES_M, Look
from drive_wm.geometry import compose, inverse, transform
from drive_wm.log import Floats, Log
from drive_wm.rollouts import Plans, Rollouts
from drive_wm.scene import Scene

BEHIND_M, AHEAD_M, BESIDE_M = 15.0, 45.0, 16.0
ASPECT = 2.2  # width over height
COLOURS = 64


@dataclass(frozen=True)
class Tick:
    """What was chosen and imagined at one keyframe, in the ego frame of that keyframe."""

    step: int
    plan_m: Tensor  # (T, 2)
    imagined_m: Tensor  # (M, A, T, 2) of the others that move, under the chosen plan
    kind: Tensor  # (A,)
    probability: Tensor  # (M,)


def tick(step: int, scene: Scene, plans: Plans, rollouts: Rollouts, chosen: int) -> Tick:
    """Keep of a decision (B = 1) what a moving picture shows."""
    imagined_m = torch.cat([scene.tracks.position_m[0, None, :, -1:].expand(rollouts.mode_logits.shape[1], -1, -1, -1),
                            rollouts.position_m[0, chosen]], dim=2)  # fmt: skip
    moving = rollouts.valid[0] & ((imagined_m - imagined_m[:, :, :1]).norm(dim=-1).amax((0, 2)) > MOVES_M)
    moving[0] = False
    kind = scene.tracks.kind[0, moving]
    plan_m = torch.cat([torch.zeros(1, 2), plans.pose[0, chosen, :, :2]])
    return Tick(step, plan_m, imagined_m[:, moving], kind, rollouts.mode_logits[0].softmax(-1))


def recorded(log: Log, first: int = 0) -> list[Tick]:
    """Ticks of a drive from a keyframe on, with nothing planned and nothing imagined."""
    nothing = Tick(0, torch.zeros(0, 2), torch.zeros(1, 0, 1, 2), torch.zeros(0, dtype=torch.long), torch.ones(1))
    return [replace(nothing, step=step) for step in range(first, len(log.keyframes))]


def animate(log: Log, ticks: Sequence[Tick], look: Look = LIGHT, width_px: int = 880, frames_per_step: int = 3) -> bytes:
    """A GIF of the drive between the first and the last tick, in one fixed frame along which the ego drives to the right."""
    fixed_from_global = inverse(turned_along(log, ticks))
    canvas, axes = _stage(log, ticks, fixed_from_global, look, width_px)
    background = canvas.copy_from_bbox(canvas.figure.bbox)
    actors = _Actors(axes, look)
    frames = []
    for now, at_step in moments(ticks, frames_per_step):
        actors.place(log, now, at_step, fixed_from_global)
        canvas.restore_region(background)
        actors.draw(axes)
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    return _gif(frames, look, 500 / frames_per_step)


def moments(ticks: Sequence[Tick], frames_per_step: int) -> Iterator[tuple[Tick, float]]:
    """Each frame's tick and its moment in steps: the tick holds until the next."""
    for now, after in pairwise(ticks):
        for part in range(frames_per_step):
            yield now, now.step + (after.step - now.step) * part / frames_per_step
    yield ticks[-1], float(ticks[-1].step)


def turned_along(log: Log, ticks: Sequence[Tick]) -> Tensor:
    """Pose (3,) in the global frame: the ego at the first tick, with the yaw of the first or last that makes the drive flat."""
    first, last = log.ego_pose[ticks[0].step], log.ego_pose[ticks[-1].step]
    way_m = last[:2] - first[:2]
    yaw_rad = min((first[2], last[2]), key=lambda yaw: abs(way_m[1] * np.cos(yaw) - way_m[0] * np.sin(yaw)))
    return torch.tensor([first[0], first[1], yaw_rad])


def _stage(
    log: Log, ticks: Sequence[Tick], fixed_from_global: Tensor, look: Look, width_px: int
) -> tuple[FigureCanvasAgg, Axes]:
    """Axes that show the whole drive, with the map drawn on them."""
    path_m = transform(fixed_from_global, torch.from_numpy(log.ego_pose[ticks[0].step : ticks[-1].step + 1, :2])).numpy()
    low_m = path_m.min(0) - np.array([BEHIND_M, BESIDE_M])
    high_m = path_m.max(0) + np.array([AHEAD_M, BESIDE_M])
    wide_m, tall_m = high_m - low_m
    more_m = np.array([max(0.0, tall_m * ASPECT - wide_m), max(0.0, wide_m / ASPECT - tall_m)]) / 2
    low_m, high_m = low_m - more_m, high_m + more_m
    height_px = round(width_px / ASPECT)
    figure = Figure(figsize=(width_px / 100, height_px / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(low_m[0], high_m[0]), ylim=(low_m[1], high_m[1]))
    axes.set_axis_off()
    figure.set_facecolor(look.ground)
    _draw_map(axes, log, fixed_from_global, look)
    canvas.draw()
    return canvas, axes


def _draw_map(axes: Axes, log: Log, fixed_from_global: Tensor, look: Look) -> None:
    def moved(geometry: shapely.Geometry) -> shapely.Geometry:
        return shapely.transform(geometry, lambda xy: transform(fixed_from_global, torch.from_numpy(xy)).numpy())

    for area, colour in (("walkways", look.walkway), ("drivable", look.road), ("crosswalks", look.crosswalk)):
        rings = [ring for polygon in moved(getattr(log.map, area)).geoms for ring in (polygon.exterior, *polygon.interiors)]
        if rings:
            outline = Outline.make_compound_path(*(Outline(shapely.get_coordinates(ring), closed=True) for ring in rings))
            axes.add_patch(PathPatch(outline, facecolor=colour, edgecolor="none"))
    for lines, width in (("lane_dividers", 0.7), ("road_dividers", 1.2), ("stop_lines", 2.0)):
        drawn = [shapely.get_coordinates(line) for line in moved(getattr(log.map, lines)).geoms]
        axes.add_collection(LineCollection(drawn, colors=look.marking, linewidths=width))


class _Actors:
    """The artists that move."""

    def __init__(self, axes: Axes, look: Look) -> None:
        self.look = look
        self.trail = axes.plot([], [], color=look.ego, alpha=0.4, linewidth=2)[0]
        self.imagined = LineCollection([], linewidths=1.4)
        axes.add_collection(self.imagined)
        self.casing = axes.plot([], [], color=look.paper, linewidth=6, solid_capstyle="round")[0]
        self.plan = axes.plot([], [], color=look.ego, linewidth=3.5, solid_capstyle="round")[0]
        self.boxes = PolyCollection([], edgecolors=look.paper, linewidths=0.6)
        axes.add_collection(self.boxes)
        self.clock = axes.text(0.012, 0.03, "", color=look.ink, fontsize=11, transform=axes.transAxes)

    def place(self, log: Log, now: Tick, at_step: float, fixed_from_global: Tensor) -> None:
        """Put everyone where they are at a moment between keyframes, the plans where they were made."""
        fixed_from_ego = compose(fixed_from_global, torch.from_numpy(log.ego_pose[now.step]))
        plan_m = transform(fixed_from_ego, now.plan_m.double()).T
        self.casing.set_data(*plan_m)
        self.plan.set_data(*plan_m)
        paths_m = transform(fixed_from_ego, now.imagined_m.double().flatten(0, 1))
        self.imagined.set_segments(list(paths_m.numpy()))
        strength = (now.probability / now.probability.max()).repeat_interleave(len(now.kind))
        kinds = now.kind.repeat(len(now.probability)).tolist()
        self.imagined.set_color([(self.look.kinds[k], s) for k, s in zip(kinds, strength.tolist(), strict=True)])
        boxes, colours = present(log, at_step, self.look)
        self.boxes.set_verts(list(transform(fixed_from_global, boxes).numpy()))
        self.boxes.set_facecolor(colours)
        driven_m = np.concatenate([log.ego_pose[: int(at_step) + 1, :2], _between(log.ego_pose, at_step)[None, :2]])
        self.trail.set_data(*transform(fixed_from_global, torch.from_numpy(driven_m)).T)
        self.clock.set_text(f"{np.interp(at_step, np.arange(len(log.time_s)), log.time_s - log.time_s[0]):.1f} s")

    def draw(self, axes: Axes) -> None:
        for artist in (self.trail, self.imagined, self.casing, self.plan, self.boxes, self.clock):
            axes.draw_artist(artist)


def present(log: Log, at_step: float, look: Look) -> tuple[Tensor, list[str]]:
    """Corners (N, 4, 2) in the global frame of everyone present, and their colours; the ego last."""
    before, after = int(np.floor(at_step)), int(np.ceil(at_step))
    here = log.valid[:, before] & log.valid[:, after]
    poses = np.concatenate([log.position_m, log.yaw_rad[..., None]], axis=-1)[here].swapaxes(0, 1)
    pose = torch.from_numpy(_between(poses, at_step))
    ego = compose(torch.from_numpy(_between(log.ego_pose, at_step)), torch.tensor([log.ego_centre_m, 0.0, 0.0]))
    pose = torch.cat([pose, ego[None]])
    size_m = torch.from_numpy(np.concatenate([log.size_m[here, before], log.ego_size_m[None]]))
    colours = [look.kinds[kind] for kind in log.kind[here]] + [look.ego]
    return corners_m(pose[:, :2], pose[:, 2], size_m), colours


def _between(poses: Floats, at_step: float) -> Floats:
    """Poses (..., 3) from poses (S, ..., 3) at a fraction of a step."""
    before, after = poses[int(np.floor(at_step))], poses[int(np.ceil(at_step))]
    change = after - before
    change[..., 2] = (change[..., 2] + np.pi) % (2 * np.pi) - np.pi
    return before + (at_step % 1) * change


def _gif(frames: list[Image.Image], look: Look, frame_ms: float) -> bytes:
    """One palette for all frames and no dithering: what stands still then costs nothing."""
    few = frames[:: max(1, len(frames) // 4)]
    strip = Image.new("RGB", (few[0].width, few[0].height * len(few)))
    for row, frame in enumerate(few):
        strip.paste(frame, (0, row * frame.height))
    common = strip.quantize(COLOURS, method=Image.Quantize.MEDIANCUT).getpalette() or []
    # Few pixels have these, and the median cut would blend them; yet they tell who is who.
    own = [round(255 * channel) for colour in (look.ink, look.paper, look.ego, *look.kinds) for channel in to_rgb(colour)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(common[: 3 * COLOURS] + own)
    first, *rest = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    duration_ms = [round(frame_ms / 10) * 10] * len(rest) + [1500]
    buffer = BytesIO()
    first.save(buffer, format="GIF", save_all=True, append_images=rest, duration=duration_ms, loop=0, optimize=False)
    return buffer.getvalue()
