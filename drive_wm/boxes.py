"""Oriented boxes in the plane: corners, signed gap by separating axes, overlap.

The planner's collision term and the `strict` planning protocol both read this gap.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from drive_wm.geometry import rotate
from drive_wm.structs import TensorStruct

# Front left, rear left, rear right, front right: counter-clockwise, in halves of length and width.
_CORNER_SIGNS = ((1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0))


@dataclass(frozen=True)
class Boxes(TensorStruct):
    """Rectangles of any batch shape; the fields broadcast against each other."""

    centre_m: Tensor  # (..., 2)
    yaw_rad: Tensor  # (...) of the length axis, from +x
    size_m: Tensor  # (..., 2) length, width


def corners_m(centre_m: Tensor, yaw_rad: Tensor, size_m: Tensor) -> Tensor:
    """Corners (..., 4, 2), counter-clockwise from the front left."""
    signs = torch.tensor(_CORNER_SIGNS, dtype=size_m.dtype, device=size_m.device)
    return rotate(signs * size_m[..., None, :] / 2, yaw_rad[..., None]) + centre_m[..., None, :]


def separation_m(a: Boxes, b: Boxes) -> Tensor:
    """Signed gap (...) between boxes, by the separating axis theorem.

    Negative where the boxes overlap: how far one must move to come free. Positive where they are apart: the widest gap
    along an edge normal, which is the distance unless two corners face each other, and never more than the distance.
    """
    offset_m = b.centre_m - a.centre_m
    turn_rad = b.yaw_rad - a.yaw_rad
    cos, sin = turn_rad.cos().abs(), turn_rad.sin().abs()
    along_a = _gap_m(rotate(offset_m, -a.yaw_rad), a.size_m, b.size_m, cos, sin)
    along_b = _gap_m(rotate(offset_m, -b.yaw_rad), b.size_m, a.size_m, cos, sin)
    return torch.maximum(along_a, along_b)


def overlap(a: Boxes, b: Boxes) -> Tensor:
    """Whether boxes share a point (...) bool; touching counts."""
    return separation_m(a, b) <= 0


def _gap_m(offset_m: Tensor, own_m: Tensor, other_m: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Widest gap (...) along the two axes of the box in whose frame the offset (..., 2) is given."""
    length, width = other_m[..., 0], other_m[..., 1]
    along_m = offset_m[..., 0].abs() - (own_m[..., 0] + length * cos + width * sin) / 2
    across_m = offset_m[..., 1].abs() - (own_m[..., 1] + length * sin + width * cos) / 2
    return torch.maximum(along_m, across_m)
