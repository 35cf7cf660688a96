"""Losses against values worked by hand."""

from dataclasses import replace
from math import exp, log, sqrt

import pytest
import torch

from drive_wm.losses import EXPECTED_WEIGHT, laplace_nll, rollout_losses
from drive_wm.rollouts import Rollouts, Trajectory
from drive_wm.scene import Future, Tracks


def rollouts(position_m: torch.Tensor, yaw_rad: float = 0.0, spread_m: float = sqrt(2)) -> Rollouts:
    """One scene, one plan; position_m is (M, A, T, 2)."""
    p = position_m[None, None]
    spread = torch.full_like(p, spread_m)
    yaw = torch.full(p.shape[:-1], yaw_rad)
    size = torch.ones(1, p.shape[3], 2)
    still = Trajectory(torch.zeros(1, p.shape[4], 3), torch.zeros(1, p.shape[4]))
    valid = torch.ones(1, p.shape[3]).bool()
    return Rollouts(p, yaw, torch.zeros_like(p), spread, torch.zeros(1, p.shape[2]), size, valid, still)


def future(position_m: torch.Tensor) -> Future:
    """position_m is (A, T, 2)."""
    p = position_m[None]
    a, t = p.shape[1:3]
    tracks = Tracks(
        p, torch.zeros(1, a, t), torch.zeros_like(p), torch.ones(1, a, 2), torch.zeros(1, a).long(), torch.ones(1, a, t).bool()
    )
    return Future(tracks, torch.zeros(1, t, 3), torch.ones(1, t).bool())


def test_likelihood_by_hand() -> None:
    """Spread sqrt(2) is scale 1: 2 log 2 + |dx| + |dy|."""
    nll = laplace_nll(rollouts(torch.zeros(1, 1, 1, 2)), future(torch.tensor([[[3.0, -1.0]]])))
    assert nll.item() == pytest.approx(2 * log(2) + 4)


def test_likelihood_is_measured_along_the_imagined_heading() -> None:
    wide = rollouts(torch.zeros(1, 1, 1, 2), yaw_rad=torch.pi / 2)
    wide = replace(wide, spread_m=torch.tensor([sqrt(2) * 4, sqrt(2)]).expand(1, 1, 1, 1, 1, 2))
    nll = laplace_nll(wide, future(torch.tensor([[[0.0, 4.0]]])))  # 4 m ahead, where the scale is 4
    assert nll.item() == pytest.approx(log(8) + log(2) + 1, abs=1e-5)


def test_the_best_joint_mode_is_taken_for_the_scene_and_per_agent() -> None:
    """Mode 0 errs by 0 and 2 m, mode 1 by 1.5 and 0 m: jointly mode 1 is better, alone each agent has a perfect one."""
    modes = torch.tensor([[[[0.0, 0.0]], [[2.0, 0.0]]], [[[1.5, 0.0]], [[0.0, 0.0]]]])
    losses = rollout_losses(rollouts(modes), future(torch.zeros(2, 1, 2)), torch.ones(1, 2).bool())
    assert losses.joint.item() == pytest.approx(2 * log(2) + 0.75)
    assert losses.alone.item() == pytest.approx(2 * log(2))
    assert losses.name.item() == pytest.approx(log(2))
    assert losses.displacement_m.item() == pytest.approx(0.75, abs=1e-2)


def test_places_are_learnt_from_the_best_mode_and_spreads_from_all_together() -> None:
    """Two modes of scale 1, equally likely, 1 and 3 m from the truth: the density is (exp(-1) + exp(-3)) / 8."""
    modes = rollouts(torch.tensor([[[[1.0, 0.0]]], [[[3.0, 0.0]]]]))
    modes = replace(modes, position_m=modes.position_m.requires_grad_(), spread_m=modes.spread_m.requires_grad_())
    losses = rollout_losses(modes, future(torch.zeros(1, 1, 2)), torch.ones(1, 1))
    assert losses.mixture.item() == pytest.approx(-log((exp(-1) + exp(-3)) / 8))
    for loss, learns in ((losses.joint + losses.alone, modes.position_m), (losses.mixture, modes.spread_m)):
        slopes = torch.autograd.grad(loss.sum(), (modes.position_m, modes.spread_m), retain_graph=True, allow_unused=True)
        assert [slope is not None and bool(slope.any()) for slope in slopes] == [
            learns is x for x in (modes.position_m, modes.spread_m)
        ]


def test_agents_that_do_not_count_and_steps_that_were_not_seen_change_nothing() -> None:
    truth = future(torch.tensor([[[0.0, 0.0], [9.0, 9.0]], [[5.0, 5.0], [5.0, 5.0]]]))
    truth = replace(truth, tracks=replace(truth.tracks, valid=torch.tensor([[[True, False], [True, True]]])))
    losses = rollout_losses(rollouts(torch.zeros(1, 2, 2, 2)), truth, torch.tensor([[True, False]]))
    assert losses.joint.item() == pytest.approx(2 * log(2))


def test_a_scene_without_anybody_counts_nothing() -> None:
    losses = rollout_losses(rollouts(torch.zeros(2, 1, 1, 2)), future(torch.ones(1, 1, 2)), torch.zeros(1, 1).bool())
    assert losses.joint.item() == 0
    assert losses.alone.item() == 0


def test_the_expected_path_by_hand() -> None:
    """A rear axle that stays, heading along x, while the truth is 3 m aside, then 4 m aside and turned by a quarter.

    First both points are 3 m off; then the axle 4 m, and the point 2 m ahead of it, at (0, 6) instead of (2, 0), sqrt(40) m.
    """
    truth = future(torch.zeros(1, 3, 2))
    pose = torch.tensor([[[0.0, 3.0, 0.0], [0.0, 4.0, torch.pi / 2], [9.0, 9.0, 0.0]]])
    valid = torch.tensor([[[True, True, False]]])
    truth = replace(truth, tracks=replace(truth.tracks, valid=valid), ego_pose=pose)
    losses = rollout_losses(rollouts(torch.zeros(1, 1, 3, 2)), truth, torch.zeros(1, 1))
    assert losses.expected_m.item() == pytest.approx((3 + (4 + sqrt(40)) / 2) / 2, abs=1e-4)
    alike = replace(losses, expected_m=torch.zeros(1))
    assert (losses.total - alike.total).item() == pytest.approx(EXPECTED_WEIGHT * losses.expected_m.item())


def test_only_a_future_that_is_known_teaches_what_to_expect() -> None:
    """Of an ego that was told what to do the path is there, but agent 0's track is masked."""
    truth = future(torch.zeros(2, 3, 2))
    known = torch.tensor([[[False, False, False], [True, True, True]]])
    truth = replace(truth, tracks=replace(truth.tracks, valid=known), ego_pose=torch.ones(1, 3, 3))
    imagined = rollouts(torch.zeros(1, 2, 3, 2))
    pose = imagined.expected.pose.clone().requires_grad_()
    losses = rollout_losses(replace(imagined, expected=replace(imagined.expected, pose=pose)), truth, torch.ones(1, 2))
    losses.total.sum().backward()
    assert losses.expected_m.item() == 0
    assert not pose.grad.any()


def test_those_who_share_the_mode_choose_it() -> None:
    """Mode 0 suits agent 0, mode 1 agent 1: agent 0 alone decides, and agent 1 still takes its own."""
    modes = torch.tensor([[[[0.0, 0.0]], [[4.0, 0.0]]], [[[1.0, 0.0]], [[0.0, 0.0]]]])
    losses = rollout_losses(rollouts(modes), future(torch.zeros(2, 1, 2)), torch.ones(1, 2), torch.tensor([[1.0, 0.0]]))
    assert losses.joint.item() == pytest.approx(2 * log(2))
    assert losses.displacement_m.item() == pytest.approx(0.0, abs=2e-3)
    assert losses.alone.item() == pytest.approx(2 * log(2))
