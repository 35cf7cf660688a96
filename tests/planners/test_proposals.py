"""Proposals drive where the ego was imagined to drive, likeliest first."""

from dataclasses import replace

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
    with torch.no_grad():
        return model.imagine(scene)


def test_proposals_follow_the_imagined_ego(crossroads_batch: Scene) -> None:
    rollouts = imagined(crossroads_batch)
    plans = proposals(crossroads_batch, rollouts)
    heading = torch.stack([plans.pose[..., 2].cos(), plans.pose[..., 2].sin()], dim=-1)
    centre_m = plans.pose[..., :2] + crossroads_batch.ego_centre_m[:, None, None, None] * heading
    for scene in range(3):
        order = rollouts.mode_logits[scene].argsort(descending=True)
        assert_close(centre_m[scene], rollouts.position_m[scene, 0, order, 0], atol=1e-4, rtol=0)


def test_actions_drive_the_poses(crossroads_batch: Scene) -> None:
    plans = proposals(crossroads_batch, imagined(crossroads_batch))
    count = plans.valid.shape
    pose, speed_mps = roll(torch.zeros(*count, 3), ego_speed_mps(crossroads_batch)[:, None].expand(count), plans.action)
    assert_close(pose, plans.pose, atol=1e-3, rtol=0)
    assert_close(speed_mps, plans.speed_mps, atol=1e-4, rtol=0)


def test_the_likeliest_comes_first(crossroads_scene: Scene) -> None:
    rollouts = imagined(crossroads_scene)
    first, second = (
        proposals(crossroads_scene, replace(rollouts, mode_logits=torch.tensor([logits]))).pose
        for logits in ([2.0, 1.0], [1.0, 2.0])
    )
    assert_close(first, second.flip(1))
    assert not torch.equal(first[:, 0], first[:, 1])
