"""The section of a scene compares the plans worth comparing, and its points add up to what the planner weighed."""

from functools import partial

import pytest
import torch

from drive_wm.benchmarks.scene_report import compared, drive_picture, scene_report, where
from drive_wm.planners.lattice import LatticeConfig
from drive_wm.planners.score import Weights, total
from drive_wm.planners.world_model import Decision, Imagine, decide
from drive_wm.rollouts import Plans, Rollouts, Trajectory
from drive_wm.scene import Scene

M = 2


def imagine(scene: Scene, plans: Plans) -> Rollouts:
    """Everyone keeps their velocity, three times as likely in the first mode as in the second."""
    t, (_, k, steps, _) = scene.tracks, plans.pose.shape
    a, seconds = t.kind.shape[1], 0.5 * torch.arange(1, steps + 1)
    position_m = t.position_m[:, None, None, :, -1:] + t.velocity_mps[:, None, None, :, -1:] * seconds[:, None]
    shape = (1, k, M, a, steps)
    return Rollouts(
        position_m.expand(*shape, 2), t.yaw_rad[:, None, None, :, -1:].expand(shape),
        t.velocity_mps[:, None, None, :, -1:].expand(*shape, 2), torch.full((*shape, 2), 0.5),
        torch.tensor([[3.0, 1.0]]).log(), t.size_m, t.valid[..., -1],
        Trajectory(torch.zeros(1, steps, 3), torch.zeros(1, steps)),
    )  # fmt: skip


def foresee(scene: Scene) -> tuple[None, Imagine]:
    return None, partial(imagine, scene)


@pytest.fixture(scope="module")
def decision(crossroads_scene) -> Decision:
    return decide(crossroads_scene, foresee)


@pytest.fixture(scope="module")
def report(crossroads_scene, decision):
    return scene_report("Left turn", "The ego turns left.", crossroads_scene, decision)


def test_the_chosen_plan_comes_first_and_braking_is_always_there(decision):
    worth, chosen = total(decision.scores, Weights())[0], int(decision.index[0])
    named = compared(decision.plans, worth, decision.scores.progress_m[0], chosen, LatticeConfig())
    assert named[0][1] == chosen
    assert named[-1] == ("emergency brake", len(worth) - 1)
    assert all(decision.plans.valid[0, index] for _, index in named)
    assert len({name for name, _ in named}) == len(named)


def test_points_add_up_to_the_planners_total(decision, report):
    worth, chosen = total(decision.scores, Weights())[0], int(decision.index[0])
    for (_, index), row in zip(
        compared(decision.plans, worth, decision.scores.progress_m[0], chosen, LatticeConfig()), report.plans, strict=True
    ):
        assert row.total == pytest.approx(float(worth[index]), abs=1e-4)


def test_the_chosen_plan_has_the_highest_total(report):
    assert report.plans[0].total == max(row.total for row in report.plans)


def test_terms_without_anything_to_read_are_left_out(report):
    """The crossroads comes without a command and without a forecast of the human."""
    assert not {"command_m", "human_m"} & set(report.plans[0].points)


def test_words_and_pictures(report):
    assert report.mode_probabilities == pytest.approx([0.75, 0.25])
    assert report.facts["Around it"] == "4 vehicles, 1 cyclist, 1 pedestrian, 1 static object"
    assert "64 candidate plans" in report.pictures[0].alt
    assert "mode 1, has 75%" in report.pictures[1].alt


ENDS = {  # pose at the end, speed: in words
    "straight on": ((40.0, 0.2, 0.0), 8.04, "40 m ahead, at 8.0 m/s"),
    "left": ((20.0, 12.0, 1.5), 5.0, "20 m ahead, 12 m left, at 5.0 m/s"),
    "stands": ((0.3, 0.0, 0.0), 0.0, "stands still"),
    "stops right": ((9.0, -1.0, 0.0), 0.0, "stops 9 m ahead, 1 m right"),
}


@pytest.mark.parametrize(("pose", "speed_mps", "text"), ENDS.values(), ids=ENDS)
def test_where(pose, speed_mps, text):
    end = torch.tensor(pose).expand(1, 1, 1, 3)
    plans = Plans(torch.zeros(1, 1, 1, 2), end, torch.full((1, 1, 1), speed_mps), torch.ones(1, 1, dtype=torch.bool))
    assert where(plans, 0) == text


def test_drive_picture_moves_and_has_a_still(crossroads_log):
    picture = drive_picture(crossroads_log, (4, 5), foresee)
    assert picture.data.startswith(b"GIF8")
    assert picture.still is not None
    assert picture.still.startswith(b"\x89PNG")
    assert "The ego turns left at a crossroads. The chosen plan" in picture.alt


def test_the_farthest_plan_is_shown_where_others_stand_still():
    """Slots: hold, stop and brake come last; the one before them drives on and is far from the best."""
    count = LatticeConfig().plans
    pose, valid = torch.zeros(1, count, 1, 3), torch.zeros(1, count, dtype=torch.bool)
    pose[0, 5, 0, 0] = 30.0
    valid[0, [0, 5]], valid[0, -3:] = True, True
    plans = Plans(torch.zeros(1, count, 1, 2), pose, pose[..., 0], valid)
    worth = torch.zeros(count)
    worth[5] = -9.0
    assert [name for name, _ in compared(plans, worth, pose[0, :, 0, 0], 0, LatticeConfig())] == [
        "stands still", "farthest: 30 m ahead, at 30.0 m/s", "hold speed and curvature", "comfortable stop", "emergency brake",
    ]  # fmt: skip


def test_a_learned_proposal_is_named_so():
    config = LatticeConfig()
    count = config.plans + 2
    pose, valid = torch.zeros(1, count, 1, 3), torch.zeros(1, count, dtype=torch.bool)
    learned = config.plans - 3
    pose[0, learned, 0, 0], valid[0, [0, learned]], valid[0, -3:] = 12.0, True, True
    plans = Plans(torch.zeros(1, count, 1, 2), pose, pose[..., 0], valid)
    names = [name for name, _ in compared(plans, pose[0, :, 0, 0], pose[0, :, 0, 0], learned, config)]
    assert names[:2] == ["learned: 12 m ahead, at 12.0 m/s", "stands still"]
