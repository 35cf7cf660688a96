"""The world seen in a mirror, left for right: where traffic keeps left that too is a drive to learn from."""

from dataclasses import replace

import torch
from torch import Tensor

from drive_wm.ego_past import EgoPast
from drive_wm.geometry import wrap_angle
from drive_wm.scene import COMMANDS, RASTER_LAYERS, Future, Lanes, Scene, Tracks

LANE_SIN = RASTER_LAYERS.index("lane_sin")


def mirrored(scene: Scene) -> Scene:
    """The scene reflected in the ego's x axis; twice gives the scene back."""
    sign = scene.raster.new_tensor([-1.0 if layer == LANE_SIN else 1.0 for layer in range(len(RASTER_LAYERS))])
    return replace(
        scene,
        tracks=_tracks(scene.tracks),
        lanes=_lanes(scene.lanes),
        elements=replace(scene.elements, position_m=_point(scene.elements.position_m)),
        raster=scene.raster.flip(2) * sign[:, None, None],
        edge_m=scene.edge_m.flip(1),
        route_m=_point(scene.route_m),
        command=len(COMMANDS) - 1 - scene.command,
    )


def mirrored_past(past: EgoPast) -> EgoPast:
    """The ego's past, in the mirror."""
    return replace(past, tracks=_tracks(past.tracks), command=len(COMMANDS) - 1 - past.command)


def mirrored_future(future: Future) -> Future:
    """What happened, for the mirrored scene."""
    pose = future.ego_pose * future.ego_pose.new_tensor([1.0, -1.0, -1.0])
    return replace(future, tracks=_tracks(future.tracks), ego_pose=pose)


def _tracks(tracks: Tracks) -> Tracks:
    return replace(
        tracks,
        position_m=_point(tracks.position_m),
        yaw_rad=wrap_angle(-tracks.yaw_rad),
        velocity_mps=_point(tracks.velocity_mps),
    )


def _lanes(lanes: Lanes) -> Lanes:
    # From left to right still: the order turns round, and those that are not there stay last.
    successor = lanes.successor.flip(-1)
    successor = successor.gather(-1, (successor < 0).long().argsort(dim=-1, stable=True))
    return replace(
        lanes,
        position_m=_point(lanes.position_m),
        yaw_rad=wrap_angle(-lanes.yaw_rad),
        successor=successor,
        left=lanes.right,
        right=lanes.left,
    )


def _point(vector: Tensor) -> Tensor:
    """Vectors (..., 2) with y negated."""
    return vector * torch.tensor([1.0, -1.0], dtype=vector.dtype, device=vector.device)
