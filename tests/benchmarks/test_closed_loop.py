"""The loop on the crossroads: the human is followed, planners see no future, traffic is causal, a turned world is the same."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from drive_wm.benchmarks.closed_loop import Starts, simulate
from drive_wm.benchmarks.closed_loop_log import Human
from drive_wm.benchmarks.closed_loop_run import Setting, drive, traffic_named
from drive_wm.errors import InputError
from drive_wm.log import STATIC
from drive_wm.metrics.pdm_score import epdms, pdms
from drive_wm.model.world_model import ModelConfig, WorldModel
from drive_wm.planners import constant_velocity, idm
from drive_wm.rollouts import Trajectory
from drive_wm.scene import SceneConfig
from drive_wm.scene_at import SceneBuilder
from drive_wm.structs import tensors

SMALL = SceneConfig(agents=8, lanes=48, elements=8)


def starts_of(log, steps=(4, 8), ticks=4, config=SMALL):
    return Starts(SceneBuilder(log, config), Human(log), steps, ticks)


def run(log, plan, traffic="replay", model=None, **more):
    return simulate(starts_of(log, **more), plan, partial(traffic_named, traffic, log, model))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return WorldModel(ModelConfig(scene=SMALL)).eval()


def test_human_is_followed(crossroads_log):
    starts = starts_of(crossroads_log, ticks=8)
    found = simulate(starts, None, partial(traffic_named, "replay", crossroads_log, None))
    truth = torch.from_numpy(starts.human.pose(starts.time_s[:, None] + 0.1 * np.arange(41)))
    assert found.driven.pose.shape == (2, 41, 3)
    assert found.crowd.position_m.shape == (2, 7, 51, 2)
    assert (found.driven.pose - truth)[..., :2].norm(dim=-1).max() < 0.6


def test_planner_sees_the_recorded_scene_first_and_its_own_doing_after(crossroads_log):
    seen = []

    def plan(scene):
        seen.append(scene)
        return constant_velocity.plan(scene)

    run(crossroads_log, plan, steps=(4,), ticks=3)
    expected = SceneBuilder(crossroads_log, SMALL).at(4)[0]
    assert len(seen) == 3
    for name, value in tensors(seen[0]).items():
        assert_close(value, tensors(expected)[name], msg=name)
    # Constant velocity leaves the bend: after a second it has driven about 8 m straight on.
    speed_mps = expected.tracks.velocity_mps[0, 0, -1, 0].item()
    assert seen[2].tracks.position_m[0, 0, -3, 0].item() == pytest.approx(1.4 - speed_mps, abs=0.3)


@pytest.mark.parametrize("traffic", ["replay", "idm", "imagined"])
def test_what_is_recorded_later_reaches_no_planner_and_no_driven_agent(crossroads_log, model, traffic):
    """After the start at step 8 everybody's record is changed: the ego's first half second must stay the same."""
    later = np.arange(len(crossroads_log.keyframes)) > 8
    shift = np.where(later, 3.0, 0.0)[:, None] * np.array([1.0, 0.5])
    log = crossroads_log
    shifted = log.valid[..., None] & (log.kind != STATIC)[:, None, None]
    changed = replace(log, position_m=np.where(shifted, log.position_m + shift, log.position_m))
    same = [run(x, constant_velocity.plan, traffic, model, steps=(8,)) for x in (log, changed)]
    assert_close(same[0].driven.pose[:, :6], same[1].driven.pose[:, :6])
    if traffic == "imagined":  # everybody who can move is driven
        moving = same[0].crowd.can_move[0] & same[0].crowd.valid[0, :, 0]
        assert_close(same[0].crowd.position_m[:, moving], same[1].crowd.position_m[:, moving])


@pytest.mark.parametrize("traffic", ["idm", "imagined"])
def test_traffic_is_causal(crossroads_log, model, traffic):
    """Two planners that part at tick 2 leave others equal until a tick after, bit for bit."""

    def until(tick):
        calls = []

        def plan(scene):
            calls.append(1)
            speed_mps = 0.0 if len(calls) > tick else 6.0
            pose = torch.zeros(1, 12, 3)
            pose[..., 0] = speed_mps * 0.5 * torch.arange(1, 13)
            return Trajectory(pose, torch.full((1, 12), speed_mps))

        return plan

    one, other = (run(crossroads_log, until(tick), traffic, model, steps=(8,), ticks=6) for tick in (2, 9))
    assert one.driven.pose[:, :11].equal(other.driven.pose[:, :11])
    assert not torch.allclose(one.driven.pose[:, 11:], other.driven.pose[:, 11:])
    assert one.crowd.position_m[:, :, :16].equal(other.crowd.position_m[:, :, :16])


def scores(log, planner, traffic="replay", model=None):
    found = drive(SceneBuilder(log, SMALL), planner, Setting(traffic=traffic, every=10, horizon_s=2.0), model)
    return found.terms, pdms(found.terms), epdms(found.terms, found.human)


def test_human_is_faultless_on_the_crossroads(crossroads_log):
    terms, v1, v2 = scores(crossroads_log, None)
    assert terms.no_at_fault_collision.eq(1).all()  # the recorded ego touches nobody
    assert terms.drivable_area.eq(1).all()
    assert terms.ego_progress.eq(1).all()
    assert v1.min() > 0.5
    assert v2.min() > 0.5


def test_constant_velocity_does_worse_than_the_human(crossroads_log):
    setting = Setting(every=8)
    cv, human = (drive(SceneBuilder(crossroads_log, SMALL), plan, setting).terms for plan in (constant_velocity.plan, None))
    assert pdms(cv).mean() < pdms(human).mean() - 0.02


@pytest.mark.parametrize("traffic", ["replay", "idm"])
def test_a_turned_world_scores_the_same(crossroads_log, move_log, traffic):
    turned = move_log(crossroads_log, np.array([-900.0, 400.0, 2.0]))
    (terms, v1, v2), (moved, moved_v1, moved_v2) = (scores(log, idm.plan, traffic) for log in (crossroads_log, turned))
    assert_close(moved_v1, v1, atol=1e-3, rtol=0)
    assert_close(moved_v2, v2, atol=1e-3, rtol=0)
    assert_close(moved.no_at_fault_collision, terms.no_at_fault_collision)


MISTAKES = {  # name: (poses, message)
    "too short": (torch.zeros(2, 3, 3), "needed: (2, 6 or more, 3)"),
    "no yaw": (torch.zeros(2, 12, 2), "shape (2, 12, 2)"),
    "nan": (torch.full((2, 12, 3), torch.nan), "not finite"),
}


@pytest.mark.parametrize(("pose", "message"), MISTAKES.values(), ids=MISTAKES)
def test_planners_are_told_what_is_needed(crossroads_log, pose, message):
    with pytest.raises(InputError) as error:
        run(crossroads_log, lambda scene: Trajectory(pose, torch.zeros(2, 12)))
    assert message in str(error.value)
