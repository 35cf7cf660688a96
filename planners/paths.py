"""Paths: routes shifted sideways, joined smoothly to where the ego is and heads, with the speed that their bends allow."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from drive_wm.planners.polyline import arc_length_m, sample, take, tangents
from drive_wm.planners.routes import POINTS, SPACING_M, Routes
from drive_wm.structs import TensorStruct

OFFSETS_M = (0.0, 0.8, -0.8, 1.6, -1.6, 2.4, -2.4)
KEEP_M = 1.8  # the ego's own offset from its first route is one of the offsets, up to here
BLEND_S = 3.5
BLEND_RANGE_M = (10.0, 45.0)
CORNER_ACCEL_MPS2 = 2.5
CORNER_BRAKE_MPS2 = 1.5
UNUSED = 1e3


@dataclass(frozen=True)
class Paths(TensorStruct):
    """What the rear axle may trace, in order of preference."""

    position_m: Tensor  # (B, N, Q, 2) SPACING_M apart, from beside the ego
    limit_mps: Tensor  # (B, N, Q) speed at which every bend from here on stays comfortable
    valid: Tensor  # (B, N) bool


def paths(found: Routes, speed_mps: Tensor, count: int) -> Paths:
    """The first `count` of routes x offsets: every route's centre, then the preferred route's offsets."""
    route, offset_m, valid = _preferred(found, count)
    b, _, q, _ = found.position_m.shape
    centre_m = take(found.position_m.flatten(2), route).reshape(b, count, q, 2)
    position_m = _even(_joined(centre_m, offset_m, speed_mps))
    return Paths(position_m, _corner_limit_mps(position_m), valid)


def _preferred(found: Routes, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Route index, offset and validity (B, count), the most useful first."""
    b, r = found.valid.shape
    rank = found.valid.to(found.position_m.dtype).cumsum(1) - 1
    steps = torch.arange(len(OFFSETS_M), dtype=rank.dtype, device=rank.device)
    # Centres of the six best routes come first; the offsets of one route come before those of the next.
    later = 5.5 + 0.01 * steps + 10.0 * rank[..., None]
    cost = torch.where(steps == 0, rank[..., None], later)
    cost = torch.where(found.valid[..., None], cost, UNUSED + later).flatten(1)
    offsets_m = torch.tensor(OFFSETS_M, dtype=rank.dtype, device=rank.device).expand(b, r, -1).flatten(1)
    first = (rank - UNUSED * found.valid.to(rank.dtype)).argmin(1, keepdim=True)
    own_m = _start_offset_m(found.position_m)[0].gather(1, first)
    keeps = (own_m.abs() > 0.3) & (own_m.abs() < KEEP_M)
    cost = torch.cat([cost, torch.where(keeps, 0.5, 2 * UNUSED)], dim=1)
    offsets_m = torch.cat([offsets_m, own_m], dim=1)
    route = torch.arange(r, device=rank.device)[:, None].expand(r, len(OFFSETS_M)).reshape(1, -1).expand(b, -1)
    route = torch.cat([route, first], dim=1)
    lowest, index = torch.topk(cost, count, dim=1, largest=False)
    return route.gather(1, index), offsets_m.gather(1, index), lowest < UNUSED / 2


def _start_offset_m(centre_m: Tensor) -> tuple[Tensor, Tensor]:
    """How far left of the start of (B, N, Q, 2) the ego is, and how much it moves left per metre ahead; each (B, N)."""
    tangent = tangents(centre_m[:, :, :4])[:, :, 0]
    start = centre_m[:, :, 0]
    left_m = tangent[..., 1] * start[..., 0] - tangent[..., 0] * start[..., 1]
    slope = -tangent[..., 1] / tangent[..., 0].clamp(min=0.5)
    return left_m, slope.clamp(-0.7, 0.7)


def _joined(centre_m: Tensor, offset_m: Tensor, speed_mps: Tensor) -> Tensor:
    """Paths (B, N, Q, 2): a quintic in arc length from the ego's offset and heading to offset_m (B, N)."""
    now_m, slope = _start_offset_m(centre_m)
    blend_m = (BLEND_S * speed_mps).clamp(*BLEND_RANGE_M)[:, None, None]
    at_m = torch.arange(centre_m.shape[2], dtype=centre_m.dtype, device=centre_m.device) * SPACING_M
    u = (at_m / blend_m).clamp(max=1.0)
    shift = (now_m - offset_m)[..., None] * (1 - 10 * u**3 + 15 * u**4 - 6 * u**5)
    turn_in = slope[..., None] * blend_m * (u - 6 * u**3 + 8 * u**4 - 3 * u**5)
    tangent = tangents(centre_m)
    normal = torch.stack([-tangent[..., 1], tangent[..., 0]], dim=-1)
    return centre_m + normal * (offset_m[..., None] + shift + turn_in)[..., None]


def _even(points_m: Tensor) -> Tensor:
    at_m = torch.arange(POINTS, dtype=points_m.dtype, device=points_m.device) * SPACING_M
    return sample(points_m, at_m.expand(*points_m.shape[:-1]))


def _corner_limit_mps(points_m: Tensor) -> Tensor:
    """Speed (B, N, Q) that meets every bend ahead with comfortable braking."""
    tangent = (points_m[:, :, 1:] - points_m[:, :, :-1]) / SPACING_M
    # Over 6 m: the points come from a coarser polyline, and its corners are not bends.
    turn_rad = (tangent[:, :, 4:] - tangent[:, :, :-4]).square().sum(-1).sqrt()
    curvature = F.pad(turn_rad / (4 * SPACING_M), (2, 3), mode="replicate")
    corner_sq = CORNER_ACCEL_MPS2 / curvature.clamp(min=1e-3)
    at_m = arc_length_m(points_m)
    ahead_m = at_m[:, :, None, :] - at_m[:, :, :, None]
    reach_sq = corner_sq[:, :, None, :] + 2 * CORNER_BRAKE_MPS2 * torch.relu(ahead_m)
    return torch.where(ahead_m >= 0, reach_sq, 1e6).amin(-1).sqrt()
