"""Scores of plans in arrays under one planning protocol, with its own masks, denominators and averaging.

Coordinates are LIDAR_TOP's at t0, x right and y forward, in every protocol. `bev_planner` works about the rear axle:
its axes are turned here, its origin is not moved, so give it positions of the rear axle and boxes about it, as
`planning_samples` does.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from drive_wm.benchmarks.planning_input import (
    Floats,
    SampleBoxes,
    checked_path,
    checked_protocol,
    checked_valid,
    flat_boxes,
)
from drive_wm.benchmarks.planning_rows import PlanRows
from drive_wm.metrics.planning import DENOMINATOR, EXCLUDES_TRUTH, hits, weights


def score_plans(
    protocol: str, plans_m: ArrayLike, truths_m: ArrayLike, valid: ArrayLike, boxes: Sequence[SampleBoxes]
) -> PlanRows:
    """Score plans (S, 6, 2) against the human's (S, 6, 2), valid (S, 6), at 0.5 s, 1 s, ... 3 s.

    `boxes` holds, per sample and step, an (n, 5) array [x, y, length, width, yaw of the length axis from +x], already
    chosen by the protocol's rule. Raises InputError for anything of another form.
    """
    known = checked_protocol(protocol)
    exists = checked_valid(valid)
    plans, truths = (checked_path(name, path, exists) for name, path in (("plans_m", plans_m), ("truths_m", truths_m)))
    scored = exists & weights(known, exists)
    flat, owner = flat_boxes(boxes, scored)
    plan_hit, truth_hit = hits(known, np.stack([plans, truths]), exists, flat, owner)
    if DENOMINATOR[known] == "all":  # a missing step is filled with obstacles
        plan_hit, truth_hit = plan_hit | ~exists, truth_hit | ~exists
    counted = scored & ~truth_hit if known in EXCLUDES_TRUTH else scored
    return PlanRows(known, _distance_m(plans, truths), plan_hit, truth_hit, counted, exists)


def _distance_m(plans_m: Floats, truths_m: Floats) -> Floats:
    return np.asarray(np.hypot(*np.moveaxis(plans_m - truths_m, -1, 0)))
