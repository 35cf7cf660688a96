"""What a planner proposes, what the model imagines of it, and what the planner returns."""

from dataclasses import dataclass

from torch import Tensor

from drive_wm.structs import TensorStruct


@dataclass(frozen=True)
class Plans(TensorStruct):
    """Candidate ego motions in the ego frame; poses are of the rear axle, as in Scene's origin."""

    action: Tensor  # (B, K, T, 2) accel_mps2, curvature_per_m, held from t to t + dt
    pose: Tensor  # (B, K, T, 3) x m, y m, yaw rad, reached after each action
    speed_mps: Tensor  # (B, K, T) along the heading, after each action
    valid: Tensor  # (B, K) bool; False: a slot that the scene gave no use for, never chosen


@dataclass(frozen=True)
class Trajectory(TensorStruct):
    """One motion of the ego, chosen or expected, in the ego frame: rear-axle poses at dt, 2 dt, ..."""

    pose: Tensor  # (B, T, 3) x m, y m, yaw rad
    speed_mps: Tensor  # (B, T)


@dataclass(frozen=True)
class Rollouts(TensorStruct):
    """Imagined box centres of every agent (0 is the ego, following its plan) per plan and joint mode."""

    position_m: Tensor  # (B, K, M, A, T, 2) ego frame
    yaw_rad: Tensor  # (B, K, M, A, T)
    velocity_mps: Tensor  # (B, K, M, A, T, 2)
    spread_m: Tensor  # (B, K, M, A, T, 2) one standard deviation along and across the agent's heading
    mode_logits: Tensor  # (B, M) the same for every plan: what others intend does not depend on the plan
    size_m: Tensor  # (B, A, 2) length, width
    valid: Tensor  # (B, A) bool
    expected: Trajectory  # of agent 0 left to itself: the one path least far, on average, from all that it may take
