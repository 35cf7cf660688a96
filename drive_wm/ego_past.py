"""EgoPast: what a Scene says of agent 0 alone, the same straight from a Log, and what networks read of it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drive_wm.errors import InputError
from drive_wm.log import Log
from drive_wm.log_boxes import boxes_of
from drive_wm.map_crop import single
from drive_wm.scene import COMMAND_ORIGINS, COMMANDS, Future, Scene, Tracks
from drive_wm.scene_at import command_at, ego_future
from drive_wm.structs import TensorStruct

FAR_M, FAST_MPS, TURN_RAD = 10.0, 10.0, 0.2  # what a network reads as 1
# Position, heading as cosine, sine and angle, velocity, its change since the step before, and whether it is known.
STEP_FEATURES = 2 + 3 + 2 + 2 + 1


@dataclass(frozen=True)
class EgoPast(TensorStruct):
    """The ego's past and what it was told, in the ego frame; a Scene's fields of the same names."""

    tracks: Tracks  # A = 1
    ego_centre_m: Tensor  # (B,)
    command: Tensor  # (B,)
    command_origin: Tensor  # (B,)


def ego_past(scene: Scene) -> EgoPast:
    """The part of a scene that is the ego's own."""
    return EgoPast(scene.tracks.map(lambda x: x[:, :1]), scene.ego_centre_m, scene.command, scene.command_origin)


def ego_pasts_of(log: Log, history: int, future: int, command: str = "none") -> tuple[EgoPast, Future]:
    """Every keyframe of a drive that another follows, stacked on B; the Future holds nobody but the ego.

    Equal to what `scene_at` gives, but takes a hundredth of the time. Raises InputError where the log has no ego.
    """
    if not log.has_ego:
        raise InputError(f"Log {log.name!r} has no ego; needed: a drive recorded from a vehicle. Leave this log out.")
    steps = np.arange(len(log.keyframes) - 1)
    poses, ahead = log.ego_pose[steps], np.arange(1, future + 1)
    boxes = boxes_of(log)
    ego = boxes.nearest(steps, 1)
    past = boxes.tracks(*ego, steps, np.arange(1 - history, 1), poses)
    ego_pose, ego_valid = ego_future(log, steps[:, None] + ahead, poses)
    told = [command_at(command, log, step) for step in steps.tolist()]
    return (
        EgoPast(
            tracks=past,
            ego_centre_m=torch.full((len(steps),), float(log.ego_centre_m)),
            command=torch.tensor([COMMANDS.index(choice) for _, choice in told]),
            command_origin=torch.tensor([COMMAND_ORIGINS.index(origin) for origin, _ in told]),
        ),
        Future(boxes.tracks(*ego, steps, ahead, poses), single(ego_pose), torch.from_numpy(ego_valid)),
    )


def count_features(history: int) -> int:
    """How many numbers `features` gives for a past of so many steps."""
    return history * STEP_FEATURES + len(COMMANDS)


def features(past: EgoPast) -> Tensor:
    """What networks read of the past (B, D); zeros stand for what is not known."""
    tracks = past.tracks
    known = tracks.valid[:, 0, :, None].to(tracks.yaw_rad.dtype)
    yaw_rad, velocity_mps = tracks.yaw_rad[:, 0, :, None], tracks.velocity_mps[:, 0]
    heading = torch.cat([yaw_rad.cos(), yaw_rad.sin()], dim=-1)
    axle_m = tracks.position_m[:, 0] - past.ego_centre_m[:, None, None] * heading
    parts = [axle_m / FAR_M, heading, yaw_rad / TURN_RAD, velocity_mps / FAST_MPS, _change(velocity_mps)]
    steps = torch.cat([*parts, torch.ones_like(known)], dim=-1) * known
    command = torch.stack([past.command == c for c in range(len(COMMANDS))], dim=-1)
    told = command & (past.command_origin != COMMAND_ORIGINS.index("none"))[:, None]
    return torch.cat([steps.flatten(1), told.to(steps.dtype)], dim=-1)


def _change(velocity_mps: Tensor) -> Tensor:
    """How much each velocity (B, T, 2) differs from the one before; 0 where that is not known, which a Scene writes as 0."""
    before_mps = torch.cat([torch.zeros_like(velocity_mps[:, :1]), velocity_mps[:, :-1]], dim=1)
    return torch.where((before_mps != 0).any(-1, keepdim=True), velocity_mps - before_mps, 0.0)
