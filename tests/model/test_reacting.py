"""Agents near the ego answer to each plan; the others are imagined once: what stays the same, and what is shared."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from drive_wm.config import TINY
from drive_wm.graph import reached
from drive_wm.model.world_model import WorldModel
from drive_wm.rollouts import Plans
from drive_wm.scene import Scene

STATES = ("position_m", "yaw_rad", "velocity_mps", "spread_m")


@pytest.fixture(scope="module")
def model() -> WorldModel:
    torch.manual_seed(1)
    model = WorldModel(TINY.model)
    torch.nn.init.normal_(model.dynamics.act.weight, std=0.5)
    return model.eval()


@pytest.fixture(scope="module")
def plans() -> Plans:
    """Keep on, brake, steer left; poses and speeds are not read."""
    action = torch.tensor([[0.0, 0.0], [-3.0, 0.0], [0.5, 0.03]])[None, :, None].expand(1, 3, 12, 2)
    return Plans(action, torch.zeros(1, 3, 12, 3), torch.zeros(1, 3, 12), torch.ones(1, 3, dtype=torch.bool))


@torch.no_grad()
def test_enough_reacting_agents_change_nothing(model: WorldModel, crossroads_scene: Scene, plans: Plans) -> None:
    present = int(crossroads_scene.tracks.valid[0, :, -1].sum())
    every, few = model.imagine(crossroads_scene, plans), model.imagine(crossroads_scene, plans, reacting=present)
    for name in STATES:
        assert_close(getattr(few, name), getattr(every, name), atol=1e-4, rtol=0)


@torch.no_grad()
def test_whom_no_plan_reaches_is_imagined_once_and_the_same(model: WorldModel, crossroads_scene: Scene, plans: Plans) -> None:
    """The farther half stands a kilometre away: it is shared, and equals what each plan alone imagines of everybody."""
    there = int(crossroads_scene.tracks.valid[0, :, -1].sum())
    away = torch.arange(crossroads_scene.tracks.kind.shape[1]) >= there // 2
    position_m = crossroads_scene.tracks.position_m + 1000.0 * away[:, None, None]
    scene = replace(crossroads_scene, tracks=replace(crossroads_scene.tracks, position_m=position_m))
    told = reached(model.encode(scene).context.neighbours, steps=11)
    assert 1 < int(told.sum()) <= there // 2
    together = model.imagine(scene, plans)
    alone = [model.imagine(scene, plans.map(lambda x, k=k: x[:, k : k + 1])) for k in range(3)]
    for name in STATES:
        each = torch.cat([getattr(one, name) for one in alone], dim=1)
        shared = getattr(together, name)
        assert_close(shared, each, atol=1e-4, rtol=1e-6)
        assert torch.equal(shared[:, 0, :, there // 2 :], shared[:, 1, :, there // 2 :])


@torch.no_grad()
def test_far_agents_are_those_beside_a_free_ego(model: WorldModel, crossroads_scene: Scene, plans: Plans) -> None:
    few, alone = model.imagine(crossroads_scene, plans, reacting=3), model.imagine(crossroads_scene)
    for name in STATES:
        shared = getattr(alone, name)[:, :, :, 3:]
        assert_close(getattr(few, name)[:, :, :, 3:], shared.expand_as(getattr(few, name)[:, :, :, 3:]), atol=0, rtol=0)


@torch.no_grad()
def test_near_agents_still_answer_to_the_plan(model: WorldModel, crossroads_scene: Scene, plans: Plans) -> None:
    """The ego follows each plan, and of the four agents next to it some move otherwise when the ego brakes."""
    every, few = model.imagine(crossroads_scene, plans), model.imagine(crossroads_scene, plans, reacting=5)
    assert_close(few.position_m[:, :, :, 0], every.position_m[:, :, :, 0], atol=1e-5, rtol=0)
    moved_m = (few.position_m[0, 0] - few.position_m[0, 1]).norm(dim=-1).amax((0, 2))
    assert moved_m[1:5].max() > 1e-3
    assert moved_m[5:].max() == 0


@torch.no_grad()
@pytest.mark.parametrize("step", [0, 4, 9])
def test_no_agent_sees_the_plan_ahead(model: WorldModel, crossroads_scene: Scene, plans: Plans, step: int) -> None:
    """Plans that are equal up to step t give equal agents up to step t + 1, bit for bit."""
    action = plans.action.clone()
    action[:, :, step:] = torch.tensor([1.5, -0.05])
    changed = Plans(action, plans.pose, plans.speed_mps, plans.valid)
    before, after = (model.imagine(crossroads_scene, p, reacting=3) for p in (plans, changed))
    assert torch.equal(before.position_m[:, :, :, 1:, : step + 1], after.position_m[:, :, :, 1:, : step + 1])
