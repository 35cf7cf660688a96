"""Terms of whole simulations on the crossroads: what standing still, copying the human and a first start are worth."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from drive_wm.benchmarks.closed_loop import LEAD, Starts, simulate
from drive_wm.benchmarks.closed_loop_log import Human
from drive_wm.benchmarks.closed_loop_scores import score
from drive_wm.benchmarks.closed_loop_traffic import Replayed
from drive_wm.bicycle import STEP_S
from drive_wm.datasets.nuscenes import read_logs
from drive_wm.metrics.ego_area import EgoAreas
from drive_wm.rollouts import Trajectory
from drive_wm.scene import SceneConfig
from drive_wm.scene_at import SceneBuilder


def brake(scene):
    return Trajectory(torch.zeros(len(scene.has_ego), 12, 3), torch.zeros(len(scene.has_ego), 12))


@pytest.fixture(scope="module")
def scored(crossroads_log):
    """Terms of the human and of one who stops at once, from steps 4 and 5."""
    builder = SceneBuilder(crossroads_log, SceneConfig(agents=4, lanes=4, elements=4))
    starts = Starts(builder, Human(crossroads_log), (4, 5), 8)
    human, stopped = (simulate(starts, plan, lambda crowd: Replayed(crowd.valid[:, :, LEAD])) for plan in (None, brake))
    areas, before = EgoAreas(crossroads_log.map), torch.tensor([-1, 0])
    return score(starts, human, human, areas, before), score(starts, stopped, human, areas, before), stopped


def test_the_human_makes_all_the_progress_there_is(scored):
    assert scored[0].ego_progress.tolist() == scored[0].ego_progress_v1.tolist() == [1.0, 1.0]


def test_who_stops_makes_little_progress_in_no_comfort_and_hits_nobody(scored):
    terms, driven = scored[1], scored[2].driven
    gained_m = (driven.pose[:, -1, :2] - driven.pose[:, 0, :2]).norm(dim=-1)
    assert driven.speed_mps[:, -1].max() < 0.2
    assert (terms.ego_progress < 0.5).all()
    assert (terms.ego_progress * 20 < gained_m).all()  # the human drives more than 20 m
    assert terms.comfort_nuplan.tolist() == terms.history_comfort.tolist() == [0.0, 0.0]
    assert terms.no_at_fault_collision.tolist() == [1.0, 1.0]


def test_extended_comfort_needs_a_start_before(scored):
    assert scored[0].extended_comfort.isnan().tolist() == [True, False]
    assert scored[0].extended_comfort[1] == 1.0  # from one start and the next the human drives alike
    assert scored[1].extended_comfort[1] == 0.0  # one has stopped when the other begins


def test_there_are_no_lights(scored):
    assert scored[1].traffic_light.tolist() == [1.0, 1.0]


@pytest.mark.slow
def test_where_the_human_collides_with_nobody_the_car_on_its_path_does_not(outside_data):
    log = next(read_logs(outside_data("data/nuscenes-mini-train"), "v1.0-mini", "mini_train"))
    starts = Starts(SceneBuilder(log), Human(log), tuple(range(3, len(log.keyframes) - 9, 3)), 8)
    followed = simulate(starts, None, lambda crowd: Replayed(crowd.valid[:, :, LEAD]))
    pose = torch.from_numpy(starts.human.pose(starts.time_s[:, None] + STEP_S * np.arange(41)))
    exact = replace(followed, driven=replace(followed.driven, pose=pose))
    areas, before = EgoAreas(log.map), torch.full((len(starts.steps),), -1)
    of_human, of_car = (score(starts, x, followed, areas, before).no_at_fault_collision for x in (exact, followed))
    assert of_human.eq(1).any()
    assert of_car[of_human == 1].eq(1).all()
