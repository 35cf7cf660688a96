"""Collision over imagined modes: how surely the ego's box touches another, now or within a second."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from drive_wm.boxes import Boxes, separation_m
from drive_wm.kinematics import DT_S
from drive_wm.rollouts import Rollouts
from drive_wm.structs import TensorStruct

BEHIND_BLAME = 0.5  # an agent that runs into the ego from behind, or into a standing ego, counts half
STANDING_MPS = 0.1


@dataclass(frozen=True)
class Others(TensorStruct):
    """The agents that come nearest to each plan."""

    position_m: Tensor  # (B, K, M, N, T, 2)
    yaw_rad: Tensor  # (B, K, M, N, T)
    size_m: Tensor  # (B, K, 1, N, 1, 2)
    spread_m: Tensor  # (B, K, M, N, T, 2)
    valid: Tensor  # (B, K, N) bool


def ego_boxes(pose: Tensor, centre_m: Tensor, size_m: Tensor) -> Boxes:
    """Boxes (B, K, T) of the ego at rear-axle poses (B, K, T, 3); its centre is centre_m (B,) ahead of the axle."""
    yaw_rad = pose[..., 2]
    ahead = torch.stack([yaw_rad.cos(), yaw_rad.sin()], dim=-1)
    return Boxes(pose[..., :2] + centre_m[:, None, None, None] * ahead, yaw_rad, size_m[:, None, None])


def nearest_others(ego_m: Tensor, rollouts: Rollouts, count: int) -> Others:
    """The `count` agents that come nearest to ego centres (B, K, T, 2) in any mode, counted from their outline.

    Boxes are compared only for these: which agents touch a plan is unchanged unless more than `count` do.
    """
    offset_x = rollouts.position_m[..., 1:, :, 0] - ego_m[:, :, None, None, :, 0]
    offset_y = rollouts.position_m[..., 1:, :, 1] - ego_m[:, :, None, None, :, 1]
    reach_m = 0.5 * rollouts.size_m[:, 1:].square().sum(-1).sqrt()
    gap_m = (offset_x * offset_x + offset_y * offset_y).amin(dim=(2, 4)).sqrt() - reach_m[:, None]
    gap_m = torch.where(rollouts.valid[:, None, 1:], gap_m, 1e4)
    index = torch.topk(gap_m, min(count, gap_m.shape[2]), dim=2, largest=False).indices + 1
    b, k, n = index.shape
    flat = index.flatten(1)
    sizes = torch.gather(rollouts.size_m, 1, flat[..., None].expand(b, k * n, 2))
    return Others(
        _rows(rollouts.position_m, index),
        _rows(rollouts.yaw_rad, index),
        sizes.reshape(b, k, 1, n, 1, 2),
        _rows(rollouts.spread_m, index),
        torch.gather(rollouts.valid, 1, flat).reshape(b, k, n),
    )


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """Agents (B, K, M, N, ...) of values (B, K, M, A, ...) at index (B, K, N).

    Whole rows are copied by their number: in ONNX Runtime an element-wise gather takes ten times as long.
    """
    b, k, m, a = values.shape[:4]
    first = a * torch.arange(b * k * m, device=index.device).reshape(b, k, m, 1)
    rows = values.reshape(b * k * m * a, -1).index_select(0, (first + index[:, :, None]).flatten())
    return rows.reshape(b, k, m, index.shape[2], *values.shape[4:])


def contact(ego: Boxes, others: Others, margin_m: Tensor | float) -> Tensor:
    """1 where the ego's box (B, K, T) meets another, falling to 0 at margin_m apart: (B, K, M, N, T)."""
    across = Boxes(ego.centre_m[:, :, None, None], ego.yaw_rad[:, :, None, None], ego.size_m[:, :, None, None])
    gap_m = separation_m(across, Boxes(others.position_m, others.yaw_rad, others.size_m))
    margin = torch.as_tensor(margin_m, dtype=gap_m.dtype, device=gap_m.device).clamp(min=1e-3)
    return (1 - gap_m / margin).clamp(0.0, 1.0) * others.valid[:, :, None, :, None].to(gap_m.dtype)


def blame(ego: Boxes, speed_mps: Tensor, others: Others) -> Tensor:
    """Share (B, K, M, N, T) of a contact that the ego answers for, after nuPlan's at-fault rule in its simplest form."""
    offset_m = others.position_m - ego.centre_m[:, :, None, None]
    yaw_rad = ego.yaw_rad[:, :, None, None]
    ahead_m = offset_m[..., 0] * yaw_rad.cos() + offset_m[..., 1] * yaw_rad.sin()
    behind = ahead_m < -0.5 * ego.size_m[..., 0][:, :, None, None]
    standing = speed_mps[:, :, None, None] < STANDING_MPS
    # Imagined agents may drive through the ego: one that came from behind stays excused once it is in front.
    run_into = ((contact(ego, others, 0.0) > 0) & (behind | standing)).to(speed_mps.dtype).cumsum(-1) > 0
    return torch.where(behind | standing | run_into, BEHIND_BLAME, 1.0)


def collision(
    ego: Boxes,
    others: Others,
    blamed: Tensor,
    mode_logits: Tensor,
    margin_m: float = 0.0,
    margin_per_spread: float = 0.0,
    fade: float = 0.0,
) -> Tensor:
    """Probability (B, K) of a contact, each as far as it is blamed (B, K, M, N, T) on the ego.

    Modes weigh by softmax(mode_logits (B, M)). margin_m and the agents' spread widen the boxes softly; with 0 a contact
    is an overlap. The last step counts 1 - fade.
    """
    margin = margin_m + margin_per_spread * others.spread_m.mean(-1)
    touched = contact(ego, others, margin) * blamed
    steps = ego.yaw_rad.shape[2]
    weight = 1 - fade * torch.arange(steps, dtype=margin.dtype, device=margin.device) / max(steps - 1, 1)
    return _expected((touched * weight).amax(dim=(3, 4)), mode_logits)


def time_to_collision(
    ego: Boxes, speed_mps: Tensor, others: Others, blamed: Tensor, mode_logits: Tensor, margin_m: float = 0.0, steps: int = 2
) -> Tensor:
    """Probability (B, K) that somewhere along the plan, holding speed and heading would hit an agent within
    steps x 0.5 s (nuPlan's bound is 0.95 s); the agents move as imagined. Only contacts blamed in full count; margin_m widens
    the boxes softly."""
    ahead = torch.stack([ego.yaw_rad.cos(), ego.yaw_rad.sin()], dim=-1)
    worst = []
    for step in range(1, steps + 1):
        centre_m = ego.centre_m + ahead * (speed_mps * DT_S * step)[..., None]
        moved = Boxes(centre_m[:, :, :-step], ego.yaw_rad[:, :, :-step], ego.size_m)
        later = Others(
            others.position_m[..., step:, :],
            others.yaw_rad[..., step:],
            others.size_m,
            others.spread_m[..., step:, :],
            others.valid,
        )
        in_full = (blamed[..., :-step] == 1.0).to(speed_mps.dtype)
        worst.append((contact(moved, later, margin_m) * in_full).amax(dim=(3, 4)))
    return _expected(torch.stack(worst).amax(0), mode_logits)


def _expected(per_mode: Tensor, mode_logits: Tensor) -> Tensor:
    """Mean over modes of (B, K, M)."""
    return (per_mode * F.softmax(mode_logits, dim=-1)[:, None]).sum(-1)
