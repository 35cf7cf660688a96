"""Imagined traffic follows what the world model imagines; replayed traffic drives nobody."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm.benchmarks.closed_loop_log import Human
from drive_wm.benchmarks.closed_loop_traffic import Imagined, Moment, Replayed
from drive_wm.bicycle import CarState
from drive_wm.geometry import compose, transform
from drive_wm.kinematics import roll
from drive_wm.log import STATIC
from drive_wm.model.world_model import ModelConfig, WorldModel
from drive_wm.rollouts import Plans
from drive_wm.scene import SceneConfig, ego_speed_mps
from drive_wm.scene_at import SceneBuilder
from drive_wm.structs import cat

SIZES, STEPS = SceneConfig(agents=6, lanes=12, elements=4), (6, 9)


@pytest.fixture(scope="module")
def builder(crossroads_log):
    return SceneBuilder(crossroads_log, SIZES)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return WorldModel(ModelConfig(scene=SIZES)).eval()


def begin(builder) -> Moment:
    """The crossroads at two keyframes; scenes show the ego and the five others nearest to it, of seven."""
    log = builder.log

    def at(values):
        return torch.from_numpy(np.stack([values[:, step] for step in STEPS]))

    scene = cat([builder.at(step)[0] for step in STEPS])
    return Moment(
        car=replace(Human(log).car(log.time_s[list(STEPS)]), speed_mps=ego_speed_mps(scene).double()),
        ego_size_m=tensor(log.ego_size_m).expand(2, 2),
        ego_centre_m=torch.full((2,), 1.4),
        position_m=at(log.position_m),
        velocity_mps=at(np.gradient(log.position_m, 0.5, axis=1)),
        yaw_rad=at(log.yaw_rad),
        size_m=at(log.size_m),
        valid=at(log.valid),
        scene=lambda: (scene, [torch.from_numpy(builder.shown(step)) for step in STEPS]),
    )


def test_an_ego_that_drives_as_planned_is_answered_as_the_model_imagines_that_plan(builder, model):
    moment = begin(builder)
    scene, shown = moment.scene()
    action = tensor([-1.0, 0.03]).expand(2, 1, 4, 2)
    pose, speed_mps = roll(torch.zeros(2, 1, 3), ego_speed_mps(scene)[:, None], action)
    with torch.inference_mode():
        imagined = model.imagine(scene, Plans(action, pose, speed_mps, torch.ones(2, 1, dtype=torch.bool)))
    traffic, start = Imagined(moment.valid, builder.log, model), moment.car.pose
    for tick in range(4):
        moved = traffic.advance(moment)
        for b, agents in enumerate(shown):
            mode = imagined.mode_logits[b].argmax()
            expected_m = transform(start[b], imagined.position_m[b, 0, mode, 1 : len(agents), tick].double())
            assert_close(moved.position_m[b, agents[1:] - 1, -1], expected_m, atol=2e-3, rtol=0)
        car = CarState(compose(start, pose[:, 0, tick].double()), speed_mps[:, 0, tick].double(), *(torch.zeros(2),) * 2)
        moment = replace(moment, car=car, position_m=moved.position_m[:, :, -1], yaw_rad=moved.yaw_rad[..., -1])


def test_who_is_not_shown_keeps_its_velocity_and_the_way_there_is_straight(builder, model):
    moment = begin(builder)
    shown = moment.scene()[1][0][1:] - 1
    traffic = Imagined(moment.valid, builder.log, model)
    moved = traffic.advance(moment)
    hidden = [i for i in range(7) if i not in shown.tolist() and moment.valid[0, i]]
    assert hidden
    assert_close(moved.position_m[0, hidden, -1], moment.position_m[0, hidden] + 0.5 * moment.velocity_mps[0, hidden])
    fifth_m = (moved.position_m[:, :, -1] - moment.position_m) / 5
    assert_close(moved.position_m[:, :, 0], moment.position_m + fifth_m)
    assert not traffic.driven[:, torch.from_numpy(builder.log.kind == STATIC)].any()


def test_replayed_traffic_drives_nobody(builder):
    moment = begin(builder)
    traffic = Replayed(moment.valid)
    assert not traffic.driven.any()
    assert traffic.advance(moment).position_m.shape == (2, 7, 5, 2)
