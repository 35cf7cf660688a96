"""What a picture of traffic is made of: speeds, accelerations, gaps to the nearest other, at each step."""

import torch
from torch import Tensor

from drive_wm.boxes import Boxes, separation_m

FAR_M = 1e4  # of an agent that is alone


def speed_mps(position_m: Tensor, valid: Tensor, time_s: Tensor) -> tuple[Tensor, Tensor]:
    """Speeds (A, T) by backward difference of positions (A, T, 2), and where they are known (A, T)."""
    known = torch.zeros_like(valid)
    known[:, 1:] = valid[:, 1:] & valid[:, :-1]
    speed = torch.zeros_like(position_m[..., 0])
    speed[:, 1:] = position_m.diff(dim=1).square().sum(-1).sqrt() / time_s.diff()
    return torch.where(known, speed, 0.0), known


def accel_mps2(speed_mps: Tensor, known: Tensor, time_s: Tensor) -> tuple[Tensor, Tensor]:
    """Changes of speed (A, T) by backward difference, and where they are known (A, T)."""
    both = torch.zeros_like(known)
    both[:, 1:] = known[:, 1:] & known[:, :-1]
    accel = torch.zeros_like(speed_mps)
    accel[:, 1:] = speed_mps.diff(dim=1) / time_s.diff()
    return torch.where(both, accel, 0.0), both


def nearest_gap_m(boxes: Boxes, valid: Tensor) -> Tensor:
    """Signed gap (..., A) from each box to the nearest other valid one, negative where they overlap.

    Boxes have fields (..., A, ·); where a box is not valid or alone the gap is 1e4 m.
    """
    receivers = Boxes(boxes.centre_m[..., :, None, :], boxes.yaw_rad[..., :, None], boxes.size_m[..., :, None, :])
    senders = Boxes(boxes.centre_m[..., None, :, :], boxes.yaw_rad[..., None, :], boxes.size_m[..., None, :, :])
    pair = valid[..., :, None] & valid[..., None, :] & ~torch.eye(valid.shape[-1], dtype=torch.bool)
    return torch.where(pair, separation_m(receivers, senders), FAR_M).amin(-1)
