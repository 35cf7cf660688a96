"""The network on the ego's past: what it reads, what it cannot read, and what it says without having learnt anything."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from drive_wm.errors import InputError
from drive_wm.planners import constant_velocity
from drive_wm.planners.ego_history import EgoHistory, EgoHistoryConfig
from drive_wm.scene import COMMAND_ORIGINS, SceneConfig
from drive_wm.told import without_ego_status

TOLD = COMMAND_ORIGINS.index("ground_truth_offset")


def network() -> EgoHistory:
    torch.manual_seed(0)
    return EgoHistory(EgoHistoryConfig(width=8, layers=2)).eval()


def test_without_corrections_it_keeps_its_velocity(road):
    still = network()
    torch.nn.init.zeros_(still.network[-1].weight)
    torch.nn.init.zeros_(still.network[-1].bias)
    found, expected = still.plan(road(speed_mps=8.0)), constant_velocity.plan(road(speed_mps=8.0))
    assert_close(found.pose, expected.pose)
    assert_close(found.speed_mps, expected.speed_mps)


def test_others_and_the_map_do_not_matter(road):
    plan = network().plan
    scene = road(speed_mps=8.0)
    other = road(speed_mps=8.0, cars=((20.0, 0.0, 0.0),), left_lane=True)
    assert_close(plan(other).pose, plan(scene).pose, atol=0, rtol=0)


def test_a_command_matters_only_where_it_was_given(road):
    plan, scene = network().plan, road(speed_mps=8.0)
    left, right = (replace(scene, command=torch.tensor([i])) for i in (0, 2))
    assert_close(plan(left).pose, plan(right).pose, atol=0, rtol=0)
    told = [replace(x, command_origin=torch.tensor([TOLD])) for x in (left, right)]
    assert not torch.equal(plan(told[0]).pose, plan(told[1]).pose)


def test_without_ego_status_every_speed_gives_one_plan(road):
    plan, hidden = network().plan, torch.tensor([True])
    slow, fast = (without_ego_status(road(speed_mps=speed), hidden) for speed in (2.0, 12.0))
    assert_close(plan(slow).pose, plan(fast).pose, atol=0, rtol=0)


def test_another_length_of_the_past_is_refused(road):
    with pytest.raises(InputError, match="7 past steps, these weights read 5"):
        network().plan(road(config=SceneConfig(history=7)))
