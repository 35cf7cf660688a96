"""Polylines by arc length: measure, resample evenly, project a point; static shapes, so that all of it exports."""

import torch
from torch import Tensor


def arc_length_m(points_m: Tensor) -> Tensor:
    """Arc length (..., N) from the first point to each point of (..., N, 2)."""
    steps_m = (points_m[..., 1:, :] - points_m[..., :-1, :]).square().sum(-1).sqrt()
    return torch.cat([torch.zeros_like(steps_m[..., :1]), steps_m.cumsum(-1)], dim=-1)


def take(values: Tensor, index: Tensor) -> Tensor:
    """Entries (..., Q, D) of values (..., N, D) at index (..., Q); the leading axes are equal."""
    return torch.gather(values, -2, index[..., None].expand(*index.shape, values.shape[-1]))


def sample(points_m: Tensor, at_m: Tensor) -> Tensor:
    """Points (..., Q, 2) at arc lengths at_m (..., Q) of polylines (..., N, 2), straight on beyond either end."""
    along_m = arc_length_m(points_m)
    length_m = along_m[..., -1:]
    inside_m = torch.minimum(at_m, length_m).clamp(min=0.0)
    last = points_m.shape[-2] - 2
    index = ((along_m[..., None, :] <= inside_m[..., None]).sum(-1) - 1).clamp(0, last)
    # One gather serves both ends of a segment and its arc length.
    segments = torch.cat([points_m[..., :-1, :], points_m[..., 1:, :], along_m[..., :-1, None], along_m[..., 1:, None]], dim=-1)
    found = take(segments, index)
    start, end, start_m, end_m = found[..., :2], found[..., 2:4], found[..., 4], found[..., 5]
    share = ((inside_m - start_m) / (end_m - start_m).clamp(min=1e-3)).clamp(0.0, 1.0)
    first_tangent, last_tangent = end_tangents(points_m, along_m)
    beyond = torch.relu(at_m - length_m)[..., None] * last_tangent - torch.relu(-at_m)[..., None] * first_tangent
    return start + (end - start) * share[..., None] + beyond


def end_tangents(points_m: Tensor, along_m: Tensor) -> tuple[Tensor, Tensor]:
    """Unit directions (..., 1, 2) at the start and at the end; points repeated at the end do not matter."""
    length_m = along_m[..., -1:]
    before_end = ((along_m < length_m - 0.5).sum(-1, keepdim=True) - 1).clamp(min=0)
    past_start = (along_m < 0.5).sum(-1, keepdim=True).clamp(max=points_m.shape[-2] - 1)
    first = take(points_m, past_start) - points_m[..., :1, :]
    last = points_m[..., -1:, :] - take(points_m, before_end)
    return _unit(first), _unit(last)


def project_origin(points_m: Tensor) -> Tensor:
    """Arc length (...) of the polyline's point nearest to the origin; negative where the origin lies before the start."""
    along_m = arc_length_m(points_m)
    start = points_m[..., :-1, :]
    step = points_m[..., 1:, :] - start
    share = -(start * step).sum(-1) / step.square().sum(-1).clamp(min=1e-6)
    inside = share.clamp(0.0, 1.0)
    distance_sq = (start + step * inside[..., None]).square().sum(-1)
    nearest = distance_sq.argmin(-1, keepdim=True)
    reached_m = along_m[..., :-1] + inside * (along_m[..., 1:] - along_m[..., :-1])
    before_m = torch.minimum(share[..., :1], torch.zeros_like(share[..., :1])) * along_m[..., 1:2]
    at_m = torch.gather(reached_m, -1, nearest)
    return torch.where(nearest == 0, at_m + before_m, at_m)[..., 0]


def tangents(points_m: Tensor) -> Tensor:
    """Unit directions (..., N, 2) by differences that are exact on a parabola."""
    step = points_m[..., 1:, :] - points_m[..., :-1, :]
    inner = step[..., 1:, :] + step[..., :-1, :]
    first = 3 * step[..., :1, :] - step[..., 1:2, :]
    last = 3 * step[..., -1:, :] - step[..., -2:-1, :]
    return _unit(torch.cat([first, inner, last], dim=-2))


def _unit(vectors: Tensor) -> Tensor:
    return vectors / (vectors.square().sum(-1, keepdim=True) + 1e-9).sqrt()


def sample_even(points_m: Tensor, at_m: Tensor, spacing_m: float) -> Tensor:
    """Points (..., Q, 2) at arc lengths at_m (..., Q) of polylines (..., N, 2) whose points are spacing_m apart."""
    position = at_m / spacing_m
    index = position.clamp(0, points_m.shape[-2] - 2).long()
    start, end = take(torch.cat([points_m[..., :-1, :], points_m[..., 1:, :]], dim=-1), index).split(2, dim=-1)
    return start + (end - start) * (position - index)[..., None]
