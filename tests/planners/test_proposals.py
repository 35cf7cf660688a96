"""Proposals drive where the ego is expected to drive, and where it was imagined to drive in each mode."""

import torch
from torch.testing import assert_close

from drive_wm.config import TINY
from drive_wm.kinematics import roll
from drive_wm.model.world_model import WorldModel
from drive_wm.planners.proposals import proposals
from drive_wm.scene import Scene, ego_speed_mps


def imagined(scene: Scene):
    torch.manual_seed(0)
    model = WorldModel(TINY.model)
    torch.nn.init.normal_(model.dynamics.act.weight, std=0.3)
    torch.nn.init.normal_(model.expect.from_past[-1].weight, std=0.3)
    with torch.no_grad():
        return model.imagine(scene)


def test_proposals_follow_the_imagined_ego(crossroads_batch: Scene) -> None:
    rollouts = imagined(crossroads_batch)
    plans = proposals(crossroads_batch, rollouts)
    heading = torch.stack([plans.pose[..., 2].cos(), plans.pose[..., 2].sin()], dim=-1)
    centre_m = plans.pose[..., :2] + crossroads_batch.ego_centre_m[:, None, None, None] * heading
    assert_close(centre_m[:, 1:], rollouts.position_m[:, 0, :, 0], atol=1e-4, rtol=0)


def test_the_expected_path_comes_first(crossroads_batch: Scene) -> None:
    rollouts = imagined(crossroads_batch)
    plans = proposals(crossroads_batch, rollouts)
    assert plans.valid.shape == (3, 1 + TINY.model.dynamics.modes)
    assert_close(plans.pose[:, 0], rollouts.expected.pose, atol=0, rtol=0)
    assert_close(plans.speed_mps[:, 0], rollouts.expected.speed_mps, atol=0, rtol=0)


def test_actions_drive_the_poses(crossroads_batch: Scene) -> None:
    plans = proposals(crossroads_batch, imagined(crossroads_batch))
    count = plans.valid.shape
    pose, speed_mps = roll(torch.zeros(*count, 3), ego_speed_mps(crossroads_batch)[:, None].expand(count), plans.action)
    assert_close(pose, plans.pose, atol=1e-3, rtol=0)
    assert_close(speed_mps, plans.speed_mps, atol=1e-4, rtol=0)
