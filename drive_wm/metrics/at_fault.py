"""At-fault collisions and time to collision as NAVSIM counts them.

Source: navsim `pdm_scorer.py` and `pdm_scorer_utils.get_collision_type` (autonomousvision/navsim, v1.1 and v2), which follow
nuPlan's `no_ego_at_fault_collisions` and `time_to_collision_within_bound` (Motional, nuplan-devkit). Of each other agent the
first contact decides: one that is not the ego's fault excuses every later contact with that agent. Whether the other
stands is read at the contact; NAVSIM reads it where its track begins.
"""

import math

import torch
from torch import Tensor

from drive_wm.boxes import Boxes, overlap
from drive_wm.geometry import rotate
from drive_wm.metrics.simulated import STEP_S, Crowd, Driven

EGO_STANDS_MPS = 5e-2
OTHER_STANDS_MPS = 5e-3
AHEAD_RAD = math.radians(20.0)  # seen from the rear axle
BEHIND_RAD = math.radians(150.0)
STATIC_SCORE = 0.5  # what is left after hitting a thing that cannot move
TTC_STOPPED_MPS = 5e-3  # slower than this, the ego's projection does not move and is not looked at
TTC_STEPS = (0, 3, 6, 9)  # 0 to 0.9 s ahead


def no_at_fault_collision(driven: Driven, crowd: Crowd, encroaching: Tensor) -> Tensor:
    """1 without a collision that is the ego's fault, 0.5 if only with things that cannot move, else 0; (B,).

    The ego answers for hitting what stands, for hitting with its front bumper, and for a hit from the side while it is
    `encroaching` (B, T): in more than one lane or off the drivable area. Standing itself or hit from behind, it does not.
    """
    steps = driven.pose.shape[1]
    boxes = driven.boxes()
    others = _boxes(crowd, slice(0, steps))
    touched = overlap(_across(boxes), others) & crowd.valid[:, :, :steps]
    at, hit = _first(touched)
    fault = torch.gather(_at_fault(driven, boxes, others, crowd, encroaching), 2, at[..., None])[..., 0]
    left = torch.where(crowd.can_move, 0.0, STATIC_SCORE).to(driven.speed_mps.dtype)
    return _least(torch.where(hit & fault, left, 1.0))


def _at_fault(driven: Driven, boxes: Boxes, others: Boxes, crowd: Crowd, encroaching: Tensor) -> Tensor:
    """Whether a contact at each step would be the ego's fault, (B, N, T)."""
    ego_stands = (driven.speed_mps.abs() <= EGO_STANDS_MPS)[:, None]
    speed_mps = crowd.speed_mps[:, :, : boxes.yaw_rad.shape[1]]
    other_stands = ~crowd.can_move[..., None] | (speed_mps <= OTHER_STANDS_MPS)
    behind = _bearing_rad(driven.pose, others.centre_m) > BEHIND_RAD
    front = overlap(_across(_bumper(boxes)), others)
    return ~ego_stands & (other_stands | (~behind & (front | encroaching[:, None])))


def time_to_collision(driven: Driven, crowd: Crowd, encroaching: Tensor, in_junction: Tensor, last: int) -> Tensor:
    """1 unless the ego, keeping speed and heading, would within 0.9 s meet somebody it must heed; (B,).

    Looked at from step 0 to `last`; others move as they did. Heeded are those within 20 degrees of straight ahead and,
    while `encroaching` (B, T) or with the rear axle `in_junction` (B, T), everybody but those behind. NAVSIM v1 looks from
    every step and needs others 0.9 s longer than the ego, v2 stops 0.9 s before the end.
    """
    boxes = driven.boxes()
    now = slice(0, min(last + 1, boxes.yaw_rad.shape[1]))
    ahead = torch.stack([boxes.yaw_rad.cos(), boxes.yaw_rad.sin()], dim=-1) * driven.speed_mps[..., None]
    met, heeded = [], []
    for steps in TTC_STEPS:
        moved = Boxes((boxes.centre_m + ahead * (steps * STEP_S))[:, now], boxes.yaw_rad[:, now], boxes.size_m)
        then = _later(crowd, steps, now.stop)
        others = _boxes(then, slice(None))
        moving = (driven.speed_mps[:, now] >= TTC_STOPPED_MPS)[:, None]
        met.append(overlap(_across(moved), others) & then.valid & moving)
        bearing_rad = _bearing_rad(driven.pose[:, now], others.centre_m)
        wide = (encroaching | in_junction)[:, None, now]
        heeded.append((bearing_rad < AHEAD_RAD) | (wide & (bearing_rad <= BEHIND_RAD)))
    at, hit = _first(torch.stack(met, dim=-1).flatten(2))
    heed = torch.gather(torch.stack(heeded, dim=-1).flatten(2), 2, at[..., None])[..., 0]
    return _least(torch.where(hit & heed, 0.0, 1.0).to(driven.speed_mps.dtype))


def _later(crowd: Crowd, steps: int, count: int) -> Crowd:
    """`count` steps of the others from `steps` on; what lies beyond their record is not valid."""
    known = crowd.valid.shape[2]
    at = torch.arange(steps, steps + count, device=crowd.valid.device)
    index, inside = at.clamp(max=known - 1), at < known
    return Crowd(
        crowd.position_m[:, :, index], crowd.yaw_rad[:, :, index], crowd.speed_mps[:, :, index], crowd.size_m[:, :, index],
        crowd.can_move, crowd.valid[:, :, index] & inside,
    )  # fmt: skip


def _bearing_rad(pose: Tensor, centre_m: Tensor) -> Tensor:
    """Angle (B, N, T) between the ego's heading and the way from its rear axle (B, T, 3) to centres (B, N, T, 2)."""
    seen = rotate(centre_m - pose[:, None, :, :2], -pose[:, None, :, 2])
    return torch.atan2(seen[..., 1], seen[..., 0]).abs()


def _bumper(boxes: Boxes) -> Boxes:
    """The front edge of boxes, as boxes without length."""
    ahead = torch.stack([boxes.yaw_rad.cos(), boxes.yaw_rad.sin()], dim=-1)
    size_m = boxes.size_m * boxes.size_m.new_tensor([0.0, 1.0])
    return Boxes(boxes.centre_m + ahead * boxes.size_m[..., :1] / 2, boxes.yaw_rad, size_m)


def _boxes(crowd: Crowd, steps: slice) -> Boxes:
    return Boxes(crowd.position_m[:, :, steps], crowd.yaw_rad[:, :, steps], crowd.size_m[:, :, steps])


def _across(boxes: Boxes) -> Boxes:
    """Boxes (B, T) beside those of N others."""
    return boxes.map(lambda x: x[:, None])


def _first(happened: Tensor) -> tuple[Tensor, Tensor]:
    """Index (B, N) of the first True of (B, N, T), and whether there is one."""
    return happened.to(torch.uint8).argmax(-1), happened.any(-1)


def _least(scores: Tensor) -> Tensor:
    """The least of (B, N), 1 where there is nobody."""
    return torch.cat(
        [scores, torch.ones_like(scores[:, :1])] if scores.shape[1] else [scores.new_ones(len(scores), 1)], 1
    ).amin(1)
