"""Proposals drive where the ego was imagined to drive, the most central first."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from drive_wm.config import TINY
from drive_wm.kinematics import roll
from drive_wm.model.world_model import WorldModel
from drive_wm.planners.proposals import proposals
from drive_wm.scene import Scene, ego_speed_mps

STATES = ("yaw_rad", "velocity_mps", "spread_m")


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


MODES = {  # how far each of three straight paths gets, m; their probabilities; the order in which they are proposed
    "between the two likelier": ([0.0, 10.0, 20.0], [0.4, 0.25, 0.35], [1, 0, 2]),  # expected distances 9.5, 7.5, 10.5 m
    "beside the likeliest": ([0.0, 1.0, 20.0], [0.6, 0.1, 0.3], [0, 1, 2]),  # 6.1, 6.3, 13.9 m
    "alone far away": ([0.0, 2.0, 20.0], [0.3, 0.3, 0.4], [1, 0, 2]),  # 8.6, 7.8, 11.4 m
}


@pytest.mark.parametrize(("reach_m", "likely", "order"), MODES.values(), ids=MODES)
def test_the_most_central_comes_first(crossroads_scene: Scene, reach_m, likely, order) -> None:
    rollouts = imagined(crossroads_scene)
    twelve = torch.arange(1, 13)
    path_m = torch.tensor(reach_m)[:, None] * (twelve / twelve.float().mean())  # their mean over the steps is the reach
    position_m = rollouts.position_m[:, :, :1].expand(-1, -1, 3, -1, -1, -1).clone()
    position_m[0, 0, :, 0] = torch.stack([path_m, torch.zeros_like(path_m)], dim=-1)
    three = {
        name: getattr(rollouts, name)[:, :, :1].expand(-1, -1, 3, *(-1,) * (getattr(rollouts, name).ndim - 3))
        for name in STATES
    }
    changed = replace(rollouts, **three | {"position_m": position_m}, mode_logits=torch.tensor([likely]).log())
    reached_m = proposals(crossroads_scene, changed).pose[0, :, -1, 0] + crossroads_scene.ego_centre_m
    assert reached_m.argsort().argsort().tolist() == torch.tensor(reach_m)[order].argsort().argsort().tolist()


def test_of_two_the_likelier_comes_first(crossroads_scene: Scene) -> None:
    rollouts = imagined(crossroads_scene)
    first, second = (
        proposals(crossroads_scene, replace(rollouts, mode_logits=torch.tensor([logits]))).pose
        for logits in ([2.0, 1.0], [1.0, 2.0])
    )
    assert_close(first, second.flip(1))
    assert not torch.equal(first[:, 0], first[:, 1])
