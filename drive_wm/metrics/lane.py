"""Lanes: driving against them, and how far beside them; from centreline pieces or, without these, from the raster."""

from dataclasses import dataclass

import torch
from torch import Tensor

from drive_wm.kinematics import DT_S
from drive_wm.metrics.drivable import sample_raster
from drive_wm.scene import RASTER_LAYERS, Lanes
from drive_wm.structs import TensorStruct

NEAR_ALONG_M = 3.5  # of the nearest point; every second point is used, at most 4.5 m apart
NEAR_ACROSS_M = 2.5
FAR_ACROSS_M = 3.5
PARALLEL = 0.5  # cos 60 degrees


@dataclass(frozen=True)
class LaneFit(TensorStruct):
    """How each step of a plan lies on the lanes."""

    against: Tensor  # (B, K, T) bool; there are lanes here and all of them run the other way
    offset_m: Tensor  # (B, K, T) to the nearest centreline in driving direction, at most FAR_ACROSS_M


def fit_to_lanes(pose: Tensor, lanes: Lanes) -> LaneFit:
    """Compare poses (B, K, T, 3) with every lane; in junctions lanes overlap, so the best one counts, not the nearest."""
    shape = pose.shape[:3]
    x, y, yaw_rad = pose.flatten(1, 2).unbind(-1)
    cos, sin = yaw_rad.cos(), yaw_rad.sin()
    ones = torch.ones_like(x)
    points_m = lanes.position_m[:, :, ::2].flatten(1, 2)
    lane_yaw = lanes.yaw_rad[:, :, ::2].flatten(1, 2)
    lane_cos, lane_sin = lane_yaw.cos(), lane_yaw.sin()
    px, py = points_m.unbind(-1)
    # Each comparison of all poses with all points is one matrix product.
    poses = torch.stack([x, y, ones], dim=-1)
    across_m = poses @ torch.stack([-lane_sin, lane_cos, lane_sin * px - lane_cos * py], dim=1)
    along_m = poses @ torch.stack([lane_cos, lane_sin, -lane_cos * px - lane_sin * py], dim=1)
    agreement = torch.stack([cos, sin], dim=-1) @ torch.stack([lane_cos, lane_sin], dim=1)
    padding = torch.where(lanes.valid, 0.0, 1e3)[..., None].expand(lanes.position_m.shape[:3])[:, :, ::2].flatten(1)
    across_m = across_m.abs() + padding[:, None] + torch.where(along_m.abs() < NEAR_ALONG_M, 0.0, 1e3)
    best = torch.where(across_m < NEAR_ACROSS_M, agreement, -2.0).amax(-1)
    offset_m = torch.where(agreement > PARALLEL, across_m, FAR_ACROSS_M).amin(-1).clamp(max=FAR_ACROSS_M)
    return LaneFit(((best > -1.5) & (best < -PARALLEL)).reshape(shape), offset_m.reshape(shape))


def against_raster(pose: Tensor, raster: Tensor) -> Tensor:
    """Whether each pose (B, K, T, 3) heads against the lane direction drawn under it, (B, K, T) bool."""
    first, last = RASTER_LAYERS.index("lane_cos"), RASTER_LAYERS.index("lane_sin")
    flow, known = sample_raster(raster[:, first : last + 1], pose[..., :2].flatten(1, 2))
    yaw_rad = pose[..., 2].flatten(1)
    agreement = flow[:, 0] * yaw_rad.cos() + flow[:, -1] * yaw_rad.sin()
    return (known & (agreement < -PARALLEL)).reshape(pose.shape[:3])


def wrong_way_m(against: Tensor, speed_mps: Tensor) -> Tensor:
    """Metres (B, K) driven against the lanes, as in nuPlan's driving direction compliance."""
    return (speed_mps * DT_S * against.to(speed_mps.dtype)).sum(-1)
