"""The whole planner, with constant velocity as its imagination."""

from copy import deepcopy
from dataclasses import replace
from functools import partial

import torch
from torch.testing import assert_close

from drive_wm.config import TINY
from drive_wm.model.world_model import WorldModel
from drive_wm.planners.constant_velocity import constant_velocity_rollouts
from drive_wm.planners.lattice import candidates
from drive_wm.planners.world_model import decide, planner
from drive_wm.rollouts import Trajectory


def keep_velocity(scene):
    return None, partial(constant_velocity_rollouts, scene)


def drive(scene):
    return planner(keep_velocity)(scene)


def test_a_free_road_is_driven(road):
    end = drive(road(speed_mps=8.0)).pose[0, -1]
    assert end[0] > 40
    assert_close(end[1:], torch.zeros(2), atol=0.1, rtol=0)


def test_from_a_standstill_it_starts(road):
    assert drive(road(speed_mps=0.0)).pose[0, -1, 0] > 5


def test_it_stops_behind_a_parked_car(road):
    trajectory = drive(road(speed_mps=6.0, cars=((25.0, 0.0, 0.0),)))
    assert trajectory.pose[0, -1, 0] + 3.7 < 25.0 - 2.3
    assert trajectory.speed_mps[0, -1] < 1.0


def test_it_follows_a_slower_car(road):
    trajectory = drive(road(speed_mps=8.0, cars=((18.0, 0.0, 5.0),)))
    assert trajectory.pose[0, -1, 0] + 3.7 < 18.0 + 6 * 5.0 - 2.3
    assert trajectory.pose[0, -1, 0] > 20


def test_it_brakes_fully_when_nothing_else_helps(road):
    trajectory = drive(road(speed_mps=10.0, cars=((14.0, 0.0, 0.0), (14.0, 2.2, 0.0), (14.0, -2.2, 0.0))))
    assert trajectory.pose[0, -1, 0] + 3.7 < 14.0 - 2.3
    assert trajectory.speed_mps[0, 2] == 0.0


def test_a_decision_holds_what_it_rests_on(road):
    decision = decide(road(), keep_velocity)
    chosen = decision.plans.pose[0, decision.index[0]]
    assert_close(decision.trajectory.pose[0], chosen)
    assert decision.plans.valid[0, decision.index[0]]


def test_crossroads_are_driven_without_a_collision(crossroads_batch):
    decision = decide(crossroads_batch, keep_velocity)
    chosen = decision.index[:, None]
    assert_close(decision.scores.collision.gather(1, chosen), torch.zeros(3, 1))
    assert_close(decision.scores.wrong_way_m.gather(1, chosen), torch.zeros(3, 1))
    assert (decision.scores.offroad_m.gather(1, chosen) < 0.1).all()


def test_a_proposal_draws_the_choice_to_it(road):
    scene = road(speed_mps=8.0, left_lane=True)
    to_the_left = 12  # the second path, speed held
    alone = decide(scene, keep_velocity)
    left = candidates(scene).map(lambda x: x[:, [to_the_left]])
    expected = Trajectory(left.pose[:, 0], left.speed_mps[:, 0])
    by_itself = replace(constant_velocity_rollouts(scene, left), expected=expected)
    drawn = decide(scene, lambda s: (by_itself, partial(constant_velocity_rollouts, s)))
    assert alone.trajectory.pose[0, -1, 1].abs() < 0.5
    assert_close(drawn.trajectory.pose[0, -1, 1], alone.plans.pose[0, to_the_left, -1, 1], atol=0.2, rtol=0)


def test_a_decision_elsewhere_is_the_decision_here(crossroads_batch, elsewhere):
    """With proposals and what is imagined, where a GPU's tensors would lie."""
    torch.manual_seed(0)
    here = WorldModel(TINY.model).eval()
    there = deepcopy(here).to(elsewhere)
    with torch.no_grad():
        expected, found = (
            decide(scene, model.foresee) for model, scene in ((here, crossroads_batch), (there, crossroads_batch.to(elsewhere)))
        )
    assert found.trajectory.pose.device == elsewhere
    assert_close(found.trajectory.pose.cpu(), expected.trajectory.pose)
    assert_close(found.rollouts.position_m.cpu(), expected.rollouts.position_m)
