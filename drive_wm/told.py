"""What of a scene is told: a command may be given, and the command, the ego's own motion or the map kept back."""

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


def without_lanes(scene: Scene, hidden: Tensor) -> Scene:
    """Without centrelines and map elements where hidden (B,), as from a source that has pictures of its map alone."""
    kept = ~hidden
    return replace(
        scene,
        lanes=replace(scene.lanes, valid=scene.lanes.valid & kept[:, None]),
        elements=replace(scene.elements, valid=scene.elements.valid & kept[:, None]),
        has_lanes=scene.has_lanes & kept,
    )


def without_raster(scene: Scene, hidden: Tensor) -> Scene:
    """Without the raster and the distance to its border where hidden (B,): zeros stand for them."""
    kept = ~hidden
    if kept.all():
        return scene
    return replace(
        scene,
        has_raster=scene.has_raster & kept,
        raster=scene.raster * kept[:, None, None, None],
        edge_m=scene.edge_m * kept[:, None, None],
    )


def without_agents(scene: Scene, hidden: Tensor) -> Scene:
    """Without the agents that are hidden (B, A), which nobody tracks: their places in the scene stay, and are empty."""
    return replace(
        scene,
        tracks=replace(scene.tracks, valid=scene.tracks.valid & ~hidden[..., None]),
        has_all_traffic=scene.has_all_traffic & ~(hidden & scene.tracks.valid[..., -1]).any(1),
    )
