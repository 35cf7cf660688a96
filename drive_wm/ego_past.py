"""EgoPast: what a Scene says of the ego alone, and the same straight from a Log, without its map and traffic."""

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
