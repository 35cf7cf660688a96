"""Courses: what each agent does of all that was imagined, on the path of one mode and at a pace of its own.

One joint mode is drawn and followed. Who would leave the road by it, or run into another, takes the path of another mode, or
slows down on its way, as a driver does who looks ahead.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from drive_wm.boxes import Boxes, separation_m
from drive_wm.geometry import rotate, wrap_angle
from drive_wm.kinematics import DT_S, MAX_BRAKE_MPS2
from drive_wm.log import VEHICLE
from drive_wm.metrics.drivable import sample_raster
from drive_wm.rollouts import Rollouts
from drive_wm.scene import Scene
from drive_wm.structs import TensorStruct

# Shares of the imagined speed, and how hard one brakes down to them.
PACES = ((1.0, 0.0), (0.5, MAX_BRAKE_MPS2 / 2), (0.0, MAX_BRAKE_MPS2 / 2), (0.0, MAX_BRAKE_MPS2))
# So many metres off the road or into another are borne rather than another mode's path, or the next pace.
OTHER_MODE_M, PACE_M = 0.1, 0.2
EDGE_M = 0.3  # of the road beside its border is left free: a raster knows the border no better
DRIVES_MPS = 0.5  # who is slower beside the road is parked there
_LESS_LIKELY_M = 1e-3  # per unit of log-likelihood: it decides between modes that are equal otherwise


@dataclass(frozen=True)
class Courses(TensorStruct):
    """Where boxes are after each step, in the ego frame."""

    position_m: Tensor  # (..., T, 2) box centre
    yaw_rad: Tensor  # (..., T)


def choose_courses(scene: Scene, rollouts: Rollouts, drawn: Tensor) -> Courses:
    """Courses (B, A, T) of all agents, given the joint mode (B,) that was drawn; K = 1.

    One after the other, the ego and then the nearest first, each takes the course on which it gets least far off the road and
    into what is ahead of it, as the others have chosen by then. Who drives beside the road already takes a course that leads
    back. Who stands there, what is beyond the raster or the map, scenes without one, and boxes that overlap already do not
    count.
    """
    modes = rollouts.mode_logits.shape[1]
    likely = rollouts.mode_logits.log_softmax(-1)
    mode_m = OTHER_MODE_M * (1 - F.one_hot(drawn, modes)) - _LESS_LIKELY_M * likely
    pace_m = PACE_M * torch.arange(len(PACES))
    possible = possible_courses(scene, rollouts)
    cost_m = (pace_m[:, None] + mode_m[:, None]).flatten(1)[:, :, None] + _off_road_m(scene, possible)
    choice = cost_m.argmin(1)
    for agent in range(choice.shape[1]):
        own = possible.map(lambda x, a=agent: x[:, :, a])  # type: ignore[misc]
        into_m = _run_into_m(scene, agent, own, _taken(possible, choice))
        choice[:, agent] = (cost_m[:, :, agent] + into_m).argmin(1)
    return _taken(possible, choice)


def possible_courses(scene: Scene, rollouts: Rollouts) -> Courses:
    """Courses (B, C, A, T): the path of every mode as imagined, then of every mode at the second pace, and so on.

    Nobody is faster than imagined at any step.
    """
    tracks, modes = scene.tracks, rollouts.mode_logits.shape[1]
    now = Courses(tracks.position_m[:, None, :, -1:], tracks.yaw_rad[:, None, :, -1:])
    start = now.map(lambda x: x.expand(-1, modes, *x.shape[2:]))
    position_m = torch.cat([start.position_m, rollouts.position_m[:, 0]], dim=3)
    yaw_rad = torch.cat([start.yaw_rad, rollouts.yaw_rad[:, 0]], dim=3)
    step_m = position_m.diff(dim=3).norm(dim=-1)
    speed_mps = tracks.velocity_mps[:, None, :, -1].norm(dim=-1, keepdim=True)
    time_s = DT_S * torch.arange(1, step_m.shape[-1] + 1)
    braked_m = [(share, DT_S * (speed_mps - brake_mps2 * time_s)) for share, brake_mps2 in PACES[1:]]
    slower_m = [torch.minimum(step_m, torch.maximum(share * step_m, x)) for share, x in braked_m]
    slower = [_along(position_m, yaw_rad, x.cumsum(-1)) for x in slower_m]
    return Courses(
        torch.cat([rollouts.position_m[:, 0], *(x.position_m for x in slower)], dim=1),
        torch.cat([rollouts.yaw_rad[:, 0], *(x.yaw_rad for x in slower)], dim=1),
    )


def _along(position_m: Tensor, yaw_rad: Tensor, at_m: Tensor) -> Courses:
    """Where paths, positions (..., 1 + T, 2) and yaw (..., 1 + T), are after so much way (..., T)."""
    moved_m, turned_rad = position_m.diff(dim=-2), wrap_angle(yaw_rad.diff(dim=-1))
    step_m = moved_m.norm(dim=-1)
    way_m = F.pad(step_m.cumsum(-1), (1, 0))
    step = torch.searchsorted(way_m, at_m).clamp(1, step_m.shape[-1]) - 1
    share = ((at_m - way_m.gather(-1, step)) / step_m.gather(-1, step).clamp(min=1e-6)).clamp(0, 1)
    xy = step[..., None].expand(*step.shape, 2)
    return Courses(
        position_m.gather(-2, xy) + share[..., None] * moved_m.gather(-2, xy),
        yaw_rad.gather(-1, step) + share * turned_rad.gather(-1, step),
    )


def _taken(possible: Courses, choice: Tensor) -> Courses:
    """The course (B, A, T) of each agent, by its number (B, A)."""
    batch, agent = torch.arange(len(choice))[:, None], torch.arange(choice.shape[1])
    return possible.map(lambda x: x[batch, choice, agent])


def _off_road_m(scene: Scene, courses: Courses) -> Tensor:
    """How far (B, C, A) vehicles get off the road, or nearer than EDGE_M to its border; of those there already, in the end."""
    tracks = scene.tracks
    edge_m, known = sample_raster(scene.edge_m[:, None], courses.position_m.flatten(1, 3))
    outside_m = torch.where(known, EDGE_M - edge_m[:, 0], 0.0).clamp(min=0).unflatten(1, courses.yaw_rad.shape[1:])
    now_m, seen = sample_raster(scene.edge_m[:, None], tracks.position_m[:, :, -1])
    on_road, drives = now_m[:, 0] > 0, tracks.velocity_mps[:, :, -1].norm(dim=-1) > DRIVES_MPS
    asked = (tracks.kind == VEHICLE) & seen & (on_road | drives) & scene.has_raster[:, None]
    clear = (now_m[:, 0] >= EDGE_M)[:, None]
    return torch.where(clear, outside_m.amax(-1), outside_m[..., -1]) * asked[:, None]


def _run_into_m(scene: Scene, agent: int, own: Courses, others: Courses) -> Tensor:
    """How deep (B, C) an agent gets into others (B, A, T) by its courses (B, C, T); who is behind it looks out itself."""
    tracks = scene.tracks
    now, there = Boxes(tracks.position_m[:, :, -1], tracks.yaw_rad[:, :, -1], tracks.size_m), tracks.valid[:, :, -1]
    asked = (separation_m(now.map(lambda x: x[:, agent, None]), now) > 0) & there & there[:, agent, None]
    mine = Boxes(own.position_m[:, :, None], own.yaw_rad[:, :, None], tracks.size_m[:, None, agent, None, None])
    theirs = Boxes(others.position_m[:, None], others.yaw_rad[:, None], tracks.size_m[:, None, :, None])
    ahead = rotate(theirs.centre_m - mine.centre_m, -mine.yaw_rad)[..., 0] >= 0
    inside_m = torch.where(ahead, -separation_m(mine, theirs), 0.0).clamp(min=0).amax(-1)  # (B, C, A)
    return (inside_m * asked[:, None]).amax(-1)
