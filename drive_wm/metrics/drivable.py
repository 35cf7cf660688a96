"""Drivable area: how far the ego's corners leave it, from the signed-distance raster."""

import torch
from torch import Tensor
from torch.nn import functional as F

from drive_wm.boxes import Boxes, corners_m
from drive_wm.scene import X_RANGE_M, Y_RANGE_M


def sample_raster(layers: Tensor, points_m: Tensor) -> tuple[Tensor, Tensor]:
    """Values (B, C, N) of layers (B, C, Y, X) at ego-frame points (B, N, 2), bilinear between cell centres, and
    whether each point (B, N) lies on the raster; outside it the nearest cell answers."""
    low = points_m.new_tensor([X_RANGE_M[0], Y_RANGE_M[0]])
    high = points_m.new_tensor([X_RANGE_M[1], Y_RANGE_M[1]])
    grid = 2 * (points_m - low) / (high - low) - 1
    values = F.grid_sample(layers, grid[:, None], mode="bilinear", padding_mode="border", align_corners=False)
    return values[:, :, 0], (grid.abs() <= 1).all(-1)


def excursion_m(edge_m: Tensor, ego: Boxes) -> Tensor:
    """Metres (B, K, T) that the worst corner of the ego is outside the drivable area; 0 inside, beyond raster or map."""
    corners = corners_m(ego.centre_m, ego.yaw_rad, ego.size_m)
    distance_m, known = sample_raster(edge_m[:, None], corners.flatten(1, 3))
    outside_m = torch.where(known, torch.relu(-distance_m[:, 0]), 0.0)
    return outside_m.reshape(corners.shape[:-1]).amax(-1)


def offroad_m(edge_m: Tensor, ego: Boxes, tolerance_m: float = 0.0, most_m: float = 3.0) -> Tensor:
    """Mean excursion (B, K) over the steps, less a tolerance for the map's own error."""
    return (excursion_m(edge_m, ego) - tolerance_m).clamp(0.0, most_m).mean(-1)
