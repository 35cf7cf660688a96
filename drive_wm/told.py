"""What a planner is told of the ego: a command may be given, and the command or the ego's own motion kept from it."""

from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from drive_wm.ego_past import EgoPast
from drive_wm.log import Log
from drive_wm.scene import COMMAND_ORIGINS, COMMANDS, Scene
from drive_wm.scene_at import command_at

NO_COMMAND, STRAIGHT = COMMAND_ORIGINS.index("none"), COMMANDS.index("straight")
Known = TypeVar("Known", Scene, EgoPast)


def with_command(scene: Scene, log: Log, origin: str) -> Scene:
    """The scenes of every keyframe of a log (B = S), told the command of this origin; "none" where the log cannot tell."""
    told = [command_at(origin, log, step) for step in range(len(log.keyframes))]
    return replace(
        scene,
        command=torch.tensor([COMMANDS.index(command) for _, command in told]),
        command_origin=torch.tensor([COMMAND_ORIGINS.index(found) for found, _ in told]),
    )


def without_command(known: Known, hidden: Tensor) -> Known:
    """Without the command where hidden (B,): its origin is "none"."""
    return replace(
        known,
        command=torch.where(hidden, STRAIGHT, known.command),
        command_origin=torch.where(hidden, NO_COMMAND, known.command_origin),
    )


def without_ego_status(known: Known, hidden: Tensor) -> Known:
    """Without the ego's motion where hidden (B,): no past pose and no velocity, as at the first keyframe of any drive.

    Where the ego is now, its size and all that concerns others stay.
    """
    tracks = known.tracks
    first = torch.arange(tracks.valid.shape[1], device=hidden.device) == 0
    gone = hidden[:, None] & first  # (B, A)
    now = torch.arange(tracks.valid.shape[2], device=hidden.device) == tracks.valid.shape[2] - 1
    past = gone[..., None] & ~now  # (B, A, T)
    return replace(
        known,
        tracks=replace(
            tracks,
            position_m=torch.where(past[..., None], 0.0, tracks.position_m),
            yaw_rad=torch.where(past, 0.0, tracks.yaw_rad),
            velocity_mps=torch.where(gone[..., None, None], 0.0, tracks.velocity_mps),
            valid=tracks.valid & ~past,
        ),
    )
