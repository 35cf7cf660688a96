"""What a simulation leaves to be scored: the ego and everybody else at 10 Hz, in one fixed frame."""

from dataclasses import dataclass

import torch
from torch import Tensor

from drive_wm.boxes import Boxes
from drive_wm.structs import TensorStruct

STEP_S = 0.1


@dataclass(frozen=True)
class Driven(TensorStruct):
    """B drives of the ego; poses are of the rear axle, step 0 is the start."""

    pose: Tensor  # (B, T, 3) x m, y m, yaw rad
    speed_mps: Tensor  # (B, T) along the heading
    accel_mps2: Tensor  # (B, T) along the heading
    size_m: Tensor  # (B, 2) length, width
    centre_m: Tensor  # (B,) the box centre lies this far ahead of the rear axle

    def boxes(self) -> Boxes:
        """The ego's boxes (B, T)."""
        yaw_rad = self.pose[..., 2]
        ahead = torch.stack([yaw_rad.cos(), yaw_rad.sin()], dim=-1)
        return Boxes(self.pose[..., :2] + self.centre_m[:, None, None] * ahead, yaw_rad, self.size_m[:, None])


@dataclass(frozen=True)
class Crowd(TensorStruct):
    """The N others of each drive at the same steps, and maybe at more after them; where not valid, the rest is 0."""

    position_m: Tensor  # (B, N, J, 2) box centres
    yaw_rad: Tensor  # (B, N, J)
    speed_mps: Tensor  # (B, N, J)
    size_m: Tensor  # (B, N, J, 2) length, width
    can_move: Tensor  # (B, N) bool; False: cones, barriers and the like
    valid: Tensor  # (B, N, J) bool
