"""One drive under each protocol: boxes explain every collision, and only those."""

import numpy as np
import pytest
import torch

from drive_wm.benchmarks.planning_drive import NEAR_M, score_drive
from drive_wm.benchmarks.planning_slices import slices_of
from drive_wm.metrics.planning import PROTOCOLS


def swerving(keyframes: int) -> torch.Tensor:
    """Poses (S, 6, 3) 3 m to the left at 6.6 m/s: towards the car that stands 20 m ahead of keyframe 0, agent 0."""
    ahead = 3.3 * torch.arange(1, 7, dtype=torch.float64)
    return torch.stack([ahead, torch.full_like(ahead, 3.0), torch.zeros_like(ahead)], -1).expand(keyframes, 6, 3)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_step_collides_exactly_where_a_box_is_hit(protocol, drive):
    scored = score_drive(protocol, drive, swerving(10), slices_of(drive))
    near, rows = scored.obstacles, scored.rows
    for hit, collision in ((near.hit, rows.collision), (near.truth_hit, rows.truth_collision)):
        explained = np.zeros(collision.size, bool)
        explained[near.owner[hit]] = True
        np.testing.assert_array_equal(explained.reshape(collision.shape), collision & rows.valid)
    assert near.hit.any()


def test_a_hit_names_its_agent(drive):
    """3 s after keyframe 0 the rear axle is 19.8 m ahead and 3 m left, where the car stands."""
    scored = score_drive("strict", drive, swerving(10), slices_of(drive))
    near = scored.obstacles
    last = near.hit & (near.owner == 5)
    assert near.instance[last].tolist() == ["agent 0"]
    assert near.category[last].tolist() == ["vehicle.car"]
    np.testing.assert_allclose(near.boxes[last], [(-3.0, 19.0, 1.0, 0.5, np.pi / 2)], atol=1e-9)


def test_only_near_boxes_are_kept_in_order(drive):
    scored = score_drive("strict", drive, swerving(10), slices_of(drive))
    near = scored.obstacles
    assert (np.diff(near.owner) >= 0).all()
    plan = scored.plans_m.reshape(-1, 2)[near.owner]
    truth = scored.truths_m.reshape(-1, 2)[near.owner]
    away = np.minimum(*(np.linalg.norm(path - near.boxes[:, :2], axis=1) for path in (plan, truth)))
    assert (away <= NEAR_M + 2).all()
    assert "agent 8" not in near.instance[near.owner == 0]  # 40 m ahead at keyframe 0


def test_samples_are_those_of_the_protocol(drive):
    scored = score_drive("stp3_vad", drive, swerving(10), slices_of(drive))
    assert scored.samples == ("0", "1", "2", "3")
    assert len(scored.slices) == len(scored.rows.l2_m) == 4
