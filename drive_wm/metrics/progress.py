"""Progress: metres gained along a route, metres beside it, and metres short of a turn command."""

import torch
from torch import Tensor

TURN_M = 2.0  # nuScenes planning work calls a lateral offset of 2 m a turn


def progress_m(end_m: Tensor, routes_m: Tensor, valid: Tensor, spacing_m: float) -> Tensor:
    """Arc length (B, K) of end positions (B, K, 2) along the valid route (B, R, Q, 2) that passes nearest to each."""
    b, r, q, _ = routes_m.shape
    points_m = routes_m.flatten(1, 2)
    distance_sq = _apart_sq(end_m, points_m)
    barred = torch.where(valid, 0.0, 1e6)[..., None].expand(b, r, q).flatten(1)
    nearest = (distance_sq + barred[:, None]).argmin(-1)  # (B, K)
    step = routes_m[:, :, 1:] - routes_m[:, :, :-1]
    step = torch.cat([step, step[:, :, -1:]], dim=2).flatten(1, 2)
    index = nearest[..., None].expand(*nearest.shape, 4)
    point, direction = torch.gather(torch.cat([points_m, step], dim=-1), 1, index).split(2, dim=-1)
    beyond_m = ((end_m - point) * direction).sum(-1) / spacing_m
    return (nearest % q).to(end_m.dtype) * spacing_m + beyond_m


def route_offset_m(position_m: Tensor, route_m: Tensor, most_m: float = 5.0) -> Tensor:
    """Mean distance (B, K) of positions (B, K, T, 2) from one route's points (B, Q, 2)."""
    apart_sq = _apart_sq(position_m.flatten(1, 2), route_m).amin(-1)
    return (apart_sq + 1e-6).sqrt().clamp(max=most_m).reshape(position_m.shape[:3]).mean(-1)


def command_shortfall_m(end_m: Tensor, command: Tensor, most_m: float = 5.0) -> Tensor:
    """Metres (B, K) by which end positions (B, K, 2) miss the side that command (B,), an index into COMMANDS, asks for."""
    left_m = end_m[..., 1]
    short = torch.stack([TURN_M - left_m, left_m.abs() - TURN_M, TURN_M + left_m], dim=-1)
    index = command.long()[:, None, None].expand(*left_m.shape, 1)
    return torch.gather(short.clamp(0.0, most_m), 2, index)[..., 0]


def _apart_sq(a_m: Tensor, b_m: Tensor) -> Tensor:
    """Squared distance (B, N, Q) of every point of (B, N, 2) to every one of (B, Q, 2)."""
    x, y = (a_m[..., axis, None] - b_m[:, None, :, axis] for axis in (0, 1))
    return x * x + y * y
