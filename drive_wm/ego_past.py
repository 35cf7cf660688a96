"""EgoPast: what a Scene says of the ego alone, and the same straight from a Log, without its map and traffic."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drive_wm.errors import InputError
from drive_wm.log import Log
from drive_wm.scene import COMMAND_ORIGINS, COMMANDS, Future, Scene, Tracks
from drive_wm.scene_at import boxes_of, command_at, ego_future
from drive_wm.structs import TensorStruct, cat

EGO = np.zeros(1, np.int64)  # where the ego stands among a log's boxes


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
    boxes, parts = boxes_of(log), []
    for step in range(len(log.keyframes) - 1):
        pose = torch.from_numpy(log.ego_pose[step])
        coming = step + np.arange(1, future + 1)
        ego_pose, ego_valid = ego_future(log, coming, pose)
        origin, choice = command_at(command, log, pose, step)
        past = EgoPast(
            tracks=boxes.tracks(EGO, step + np.arange(1 - history, 1), step, pose, 1),
            ego_centre_m=torch.tensor([log.ego_centre_m], dtype=torch.float32),
            command=torch.tensor([COMMANDS.index(choice)]),
            command_origin=torch.tensor([COMMAND_ORIGINS.index(origin)]),
        )
        parts.append((past, Future(boxes.tracks(EGO, coming, step, pose, 1), ego_pose[None].float(), ego_valid[None])))
    pasts, futures = zip(*parts, strict=True)
    return cat(pasts), cat(futures)
