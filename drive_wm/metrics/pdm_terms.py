"""The terms of NAVSIM's scores that follow the road: driving direction, lane keeping, ego progress.

Source: navsim `pdm_scorer.py` (autonomousvision/navsim, v1.1 and v2), which follows nuPlan's `driving_direction_compliance`
and, for lane keeping, Hydra-MDP++ (Li et al., 2025).
"""

import math

import torch
from torch import Tensor

from drive_wm.metrics.simulated import STEP_S

DIRECTION_STEPS = 10  # 1 s
WRONG_WAY_M = 2.0  # within a second: up to here it is nothing, from here on half
VERY_WRONG_WAY_M = 6.0
LANE_OFFSET_M = 0.5
LANE_STEPS = math.ceil(2.0 / STEP_S)  # this long outside fails
ENOUGH_M = 5.0  # where nobody safely gets farther than this, progress is 1


def driving_direction(centre_m: Tensor, against: Tensor) -> Tensor:
    """1, 0.5 or 0 (B,) by the metres driven against the traffic within any second.

    centre_m (B, T, 2) of the ego's box; `against` (B, T) leaves out junctions, as NAVSIM v2 does.
    """
    driven_m = (centre_m[:, 1:] - centre_m[:, :-1]).norm(dim=-1) * against[:, 1:].to(centre_m.dtype)
    summed_m = torch.nn.functional.pad(driven_m.cumsum(-1), (DIRECTION_STEPS + 2, 0))
    # NAVSIM adds up the second's eleven steps, both ends included.
    worst_m = (summed_m[:, DIRECTION_STEPS + 1 :] - summed_m[:, : -DIRECTION_STEPS - 1]).amax(-1)
    return torch.where(worst_m < WRONG_WAY_M, 1.0, torch.where(worst_m < VERY_WRONG_WAY_M, 0.5, 0.0)).to(centre_m.dtype)


def lane_keeping(offset_m: Tensor, in_junction: Tensor) -> Tensor:
    """0 where the box centre stays more than 0.5 m off its lane's centre for 2 s on end, else 1; (B,).

    Steps in a junction count neither way, as in NAVSIM: what comes before and after joins.
    """
    run = torch.zeros_like(offset_m[:, 0])
    longest = run
    for offset, inside in zip(offset_m.unbind(1), in_junction.unbind(1), strict=True):
        run = torch.where(inside, run, torch.where(offset > LANE_OFFSET_M, run + 1, torch.zeros_like(run)))
        longest = torch.maximum(longest, run)
    return (longest < LANE_STEPS).to(offset_m.dtype)


def ego_progress(gained_m: Tensor, reference_m: Tensor, kept: Tensor, reference_kept: Tensor) -> Tensor:
    """Share (B,) of the safe upper bound of progress that was reached, at most 1: NAVSIM v2.

    gained_m (B,) along the route; kept (B,) is the product of the multiplied terms, which cuts what counts as safely gained.
    The bound is the larger of the ego's and the reference's safe gain.
    """
    gained_m, bound_m = gained_m.clamp(min=0.0), _bound_m(gained_m, reference_m, kept, reference_kept)
    return torch.where(bound_m > ENOUGH_M, (gained_m / bound_m.clamp(min=ENOUGH_M)).clamp(max=1.0), 1.0)


def ego_progress_v1(gained_m: Tensor, reference_m: Tensor, kept: Tensor, reference_kept: Tensor) -> Tensor:
    """As `ego_progress`, in NAVSIM v1: only what is safely gained counts, and nothing where a multiplied term is 0."""
    safely_m, bound_m = gained_m.clamp(min=0.0) * kept, _bound_m(gained_m, reference_m, kept, reference_kept)
    return torch.where(bound_m > ENOUGH_M, safely_m / bound_m.clamp(min=ENOUGH_M), (kept > 0).to(safely_m.dtype))


def _bound_m(gained_m: Tensor, reference_m: Tensor, kept: Tensor, reference_kept: Tensor) -> Tensor:
    return torch.maximum(gained_m.clamp(min=0.0) * kept, reference_m.clamp(min=0.0) * reference_kept)
