"""What else a batch may go through before it is learnt from: a turn, a zoom, late steps that count more."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from drive_wm.config import Config
from drive_wm.geometry import rotate, wrap_angle
from drive_wm.losses import Losses
from drive_wm.model.world_model import WorldModel
from drive_wm.raster_bytes import COS, SIN
from drive_wm.samples import Batch
from drive_wm.scene import EDGE_CLIP_M, RASTER_SIZE, X_RANGE_M, Y_RANGE_M, Future, Scene, Tracks
from drive_wm.structs import Struct, from_tensors, tensors
from drive_wm.train import Training

TURN_RAD = math.radians(20.0)
ZOOM = 1.25
LENGTHS = ("_m", "_mps")  # how the names of what is measured in metres end

Variation = Callable[[Scene, Future, torch.Generator], Batch]


class VariedTraining(Training):
    """Training in which a variation comes last; the expected path, told from an ego that looks ahead, may be left out."""

    def __init__(self, config: Config, model: WorldModel, variation: Variation, expects: bool = True) -> None:
        super().__init__(config, model)
        self.variation, self.expects = variation, expects

    def varied(self, scene: Scene, future: Future, random: torch.Generator) -> tuple[Scene, Future, bool]:
        scene, future, free_ego = super().varied(scene, future, random)
        return *self.variation(scene, future, random), free_ego

    def losses(self, scene: Scene, future: Future, free_ego: bool) -> Losses:
        losses = super().losses(scene, future, free_ego)
        return losses if self.expects else replace(losses, expected_m=torch.zeros_like(losses.expected_m))


def zoomed_at_random(scene: Scene, future: Future, random: torch.Generator) -> Batch:
    """Views of targets, each in another scale."""
    if bool(scene.has_ego.any()):
        return scene, future
    factor = ZOOM ** (2 * torch.rand(len(scene.has_ego), generator=random) - 1)
    return zoomed(scene, factor), zoomed_future(future, factor)


def turned_at_random(scene: Scene, future: Future, random: torch.Generator) -> Batch:
    """Views of targets, each turned by another angle."""
    if bool(scene.has_ego.any()):
        return scene, future
    yaw_rad = TURN_RAD * (2 * torch.rand(len(scene.has_ego), generator=random) - 1)
    return turned(scene, yaw_rad), turned_future(future, yaw_rad)


def late_steps_more_often(scene: Scene, future: Future, random: torch.Generator) -> Batch:
    """Each step of each future counts as often as it is late: the last always, the first of twelve one time in twelve."""
    shape = len(scene.has_ego), 1, future.ego_valid.shape[1]
    kept = torch.rand(shape, generator=random) < torch.arange(1, shape[-1] + 1) / shape[-1]
    return scene, replace(future, tracks=replace(future.tracks, valid=future.tracks.valid & kept))


def zoomed(scene: Scene, factor: Tensor) -> Scene:
    """Every length and speed of a scene times its factor (B,), about the origin of its ego frame."""
    raster, edge_m = _seen(scene, factor, torch.zeros_like(factor))
    edge_m = (edge_m * factor[:, None, None]).clamp(-EDGE_CLIP_M, EDGE_CLIP_M)
    return replace(_times(scene, factor), raster=raster, edge_m=edge_m)


def zoomed_future(future: Future, factor: Tensor) -> Future:
    """What happened, for the zoomed scene."""
    metres = torch.stack([factor, factor, torch.ones_like(factor)], dim=-1)[:, None]
    return replace(_times(future, factor), ego_pose=future.ego_pose * metres)


def turned(scene: Scene, yaw_rad: Tensor) -> Scene:
    """The scene turned by an angle each (B,) about the origin of its ego frame: the ego then no longer looks along x."""
    raster, edge_m = _seen(scene, torch.ones_like(yaw_rad), yaw_rad)
    directions = torch.stack([raster[:, COS], raster[:, SIN]], dim=-1)
    raster[:, COS], raster[:, SIN] = rotate(directions, yaw_rad[:, None, None]).unbind(-1)
    flat = yaw_rad[:, None, None]
    lanes, elements = scene.lanes, scene.elements
    return replace(
        scene,
        tracks=_turned_tracks(scene.tracks, yaw_rad),
        lanes=replace(
            lanes,
            position_m=rotate(lanes.position_m, flat),
            yaw_rad=torch.where(lanes.valid[..., None], wrap_angle(lanes.yaw_rad + flat), 0.0),
        ),
        elements=replace(elements, position_m=rotate(elements.position_m, flat)),
        route_m=rotate(scene.route_m, yaw_rad[:, None]),
        raster=raster,
        edge_m=edge_m,
    )


def turned_future(future: Future, yaw_rad: Tensor) -> Future:
    """What happened, for the turned scene."""
    axle_m = rotate(future.ego_pose[..., :2], yaw_rad[:, None])
    heading_rad = wrap_angle(future.ego_pose[..., 2] + yaw_rad[:, None])
    ego_pose = torch.cat([axle_m, heading_rad[..., None]], dim=-1)
    return replace(future, tracks=_turned_tracks(future.tracks, yaw_rad), ego_pose=ego_pose)


def _turned_tracks(tracks: Tracks, yaw_rad: Tensor) -> Tracks:
    flat = yaw_rad[:, None, None]
    return replace(
        tracks,
        position_m=rotate(tracks.position_m, flat),
        velocity_mps=rotate(tracks.velocity_mps, flat),
        yaw_rad=torch.where(tracks.valid, wrap_angle(tracks.yaw_rad + flat), 0.0),
    )


def _seen(scene: Scene, factor: Tensor, yaw_rad: Tensor) -> tuple[Tensor, Tensor]:
    """Raster and edge_m of the zoomed and turned world; nothing lies beyond what they covered."""
    (x0, x1), (y0, y1) = X_RANGE_M, Y_RANGE_M
    # The grid counts from the raster's centre, in halves of its side, which is the same along both axes.
    centre = 2 * torch.tensor([(x0 + x1) / 2, (y0 + y1) / 2]).expand(len(factor), 2) / (x1 - x0)
    cos, sin = yaw_rad.cos() / factor, yaw_rad.sin() / factor
    back = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], dim=1)
    offset = (back @ centre[..., None])[..., 0] - centre
    grid = functional.affine_grid(
        torch.cat([back, offset[..., None]], -1), [len(factor), 1, RASTER_SIZE, RASTER_SIZE], align_corners=False
    )
    seen = functional.grid_sample(torch.cat([scene.raster, scene.edge_m[:, None]], dim=1), grid, align_corners=False)
    return seen[:, :-1], seen[:, -1]


def _times(struct: Struct, factor: Tensor) -> Struct:
    """The same with every length and speed, known by its name, times the factor (B,)."""
    flat = tensors(struct)
    for name in (name for name in flat if name.endswith(LENGTHS)):
        flat[name] = flat[name] * factor.reshape(-1, *[1] * (flat[name].ndim - 1))
    return from_tensors(type(struct), flat)
