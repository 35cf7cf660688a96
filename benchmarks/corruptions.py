"""Corruptions of what happened after a Scene: what faulty tracking, faulty sensors and strange drivers look like.

Each is a pure function: the Scene stays clean, one agent's tracks in the Future change, and the agent is told. A random
number decides which agent, among those seen now and half a second later. `changed` (B,) is -1 where none qualifies.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from drive_wm.geometry import wrap_angle
from drive_wm.kinematics import DT_S
from drive_wm.scene import Future, Scene, Tracks
from drive_wm.structs import TensorStruct

TELEPORT_M = 5.0
SWAP_M = 30.0  # a tracker confuses what is near
MOVING_MPS = 1.0
TIMES_FASTER = 3.0


@dataclass(frozen=True)
class Corrupted(TensorStruct):
    future: Future
    changed: Tensor  # (B,) index of the agent, -1 for none


Corruption = Callable[[Scene, Future, torch.Generator], Corrupted]


def swapped_tracks(scene: Scene, future: Future, random: torch.Generator) -> Corrupted:
    """From now on an agent and the nearest other of its kind, at most 30 m away, are taken for each other."""
    now_m = scene.tracks.position_m[:, :, -1]
    present, kind = _present(scene, future), scene.tracks.kind
    both = present[:, :, None] & present[:, None] & (kind[:, :, None] == kind[:, None])
    apart_m = torch.where(both & ~torch.eye(kind.shape[1], dtype=torch.bool), torch.cdist(now_m, now_m), torch.inf)
    nearest_m, partner = apart_m.min(-1)
    changed = _any_of(nearest_m <= SWAP_M, random)
    row, one = torch.arange(len(changed)), changed.clamp(min=0)
    other = partner[row, one]
    order = torch.arange(kind.shape[1]).repeat(len(changed), 1)
    order[row, one], order[row, other] = other, one
    order = torch.where(changed[:, None] >= 0, order, torch.arange(kind.shape[1]))
    tracks, taken = future.tracks, (row[:, None], order)
    swapped = order != torch.arange(kind.shape[1])
    tracks = replace(tracks, position_m=tracks.position_m[taken], yaw_rad=tracks.yaw_rad[taken], valid=tracks.valid[taken])
    return Corrupted(replace(future, tracks=_with_velocity(scene, tracks, swapped)), changed)


def teleports(scene: Scene, future: Future, random: torch.Generator) -> Corrupted:
    """From now on an agent is 5 m away from where it is, in a random direction."""
    changed = _any_of(_present(scene, future), random)
    angle_rad = 2 * torch.pi * torch.rand(len(changed), generator=random)
    jump_m = TELEPORT_M * torch.stack([angle_rad.cos(), angle_rad.sin()], dim=-1)
    return _of_one(scene, future, changed, future.tracks.position_m + jump_m[:, None, None], future.tracks.yaw_rad)


def wrong_way(scene: Scene, future: Future, random: torch.Generator) -> Corrupted:
    """From now on a moving agent goes, turned round, as far back as it went on."""
    changed = _any_of(_moving(scene, future), random)
    now_m = scene.tracks.position_m[:, :, -1:]
    turned_rad = wrap_angle(future.tracks.yaw_rad + torch.pi)
    return _of_one(scene, future, changed, now_m - (future.tracks.position_m - now_m), turned_rad)


def three_times_faster(scene: Scene, future: Future, random: torch.Generator) -> Corrupted:
    """From now on a moving agent goes three times as far along the course that it took."""
    changed = _any_of(_moving(scene, future), random)
    now_m = scene.tracks.position_m[:, :, -1:]
    return _of_one(scene, future, changed, now_m + TIMES_FASTER * (future.tracks.position_m - now_m), future.tracks.yaw_rad)


CORRUPTIONS: dict[str, Corruption] = {
    "swapped tracks": swapped_tracks,
    "teleports": teleports,
    "wrong way": wrong_way,
    "3x speed": three_times_faster,
}


def _present(scene: Scene, future: Future) -> Tensor:
    """Seen now and half a second later (B, A); the ego's own track is no tracker's."""
    present = scene.tracks.valid[..., -1] & future.tracks.valid[..., 0]
    own = torch.arange(present.shape[1]) == 0
    return present & ~(own & scene.has_ego[:, None])


def _moving(scene: Scene, future: Future) -> Tensor:
    """Present (B, A), and faster than 1 m/s both now and over the next half second."""
    now_mps = scene.tracks.velocity_mps[:, :, -1].norm(dim=-1)
    then_mps = future.tracks.velocity_mps[:, :, 0].norm(dim=-1)
    return _present(scene, future) & (now_mps > MOVING_MPS) & (then_mps > MOVING_MPS)


def _any_of(candidates: Tensor, random: torch.Generator) -> Tensor:
    """One of the candidates (B, A) of each scene by chance (B,), -1 where there is none."""
    drawn = torch.where(candidates, torch.rand(candidates.shape, generator=random), -1.0).argmax(-1)
    return torch.where(candidates.any(-1), drawn, -1)


def _of_one(scene: Scene, future: Future, changed: Tensor, position_m: Tensor, yaw_rad: Tensor) -> Corrupted:
    """The changed agent at these positions and headings, everybody else as before."""
    tracks = future.tracks
    agent = torch.arange(tracks.kind.shape[1]) == changed[:, None]
    where = agent[..., None] & tracks.valid
    tracks = replace(
        tracks,
        position_m=torch.where(where[..., None], position_m, tracks.position_m),
        yaw_rad=torch.where(where, yaw_rad, tracks.yaw_rad),
    )
    return Corrupted(replace(future, tracks=_with_velocity(scene, tracks, agent)), changed)


def _with_velocity(scene: Scene, tracks: Tracks, agents: Tensor) -> Tracks:
    """Tracks whose agents (B, A) move by the backward difference of their positions, 0 where the step before is missing."""
    now_m, now = scene.tracks.position_m[:, :, -1:], scene.tracks.valid[:, :, -1:]
    step_mps = torch.cat([now_m, tracks.position_m], dim=2).diff(dim=2) / DT_S
    known = tracks.valid & torch.cat([now, tracks.valid[..., :-1]], dim=2)
    velocity_mps = torch.where(known[..., None], step_mps, 0.0)
    return replace(tracks, velocity_mps=torch.where(agents[..., None, None], velocity_mps, tracks.velocity_mps))
