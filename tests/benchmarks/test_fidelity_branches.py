"""Branches by hand: a follower stops because the ego does, a car far away does not care; models get what they deserve."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
import torch

from drive_wm.benchmarks.branches import Branches, branches_of
from drive_wm.benchmarks.fidelity_branches import (
    REACTED,
    SIGN,
    Imagined,
    blind,
    branch_sums,
    made_way_m,
    near_ego,
    reacted,
)
from drive_wm.errors import InputError
from drive_wm.log import STATIC, VEHICLE, Log, empty_map
from drive_wm.scene import SceneConfig
from drive_wm.scene_at import SceneBuilder

KEYFRAMES, STEP = 17, 4
SMALL = SceneConfig(agents=8, lanes=4, elements=4)
FOLLOWER, PASSER, FAR, CONE, WANDERER = range(1, 6)  # in the scene, where the ego is 0


def branch(action: str, ego_mps: float, follower_mps: float, passer_mps: float = 8.0, wanderer_m: float = 0.0) -> Log:
    """Everybody drives along x at 8 m/s until STEP, and then at these speeds; agents are 2 m long where the ego is 4.

    Behind the ego's centre by 15 m drives the follower, 16 m beside it the passer, 200 m beside it one who never cares, 29 m
    from it at an angle the wanderer.
    """
    speeds_mps = np.array([ego_mps, follower_mps, passer_mps, 8.0, 0.0, 8.0])
    starts_m = np.array([[0.0, 0.0], [-15.0, 0.0], [0.0, 16.0], [0.0, 200.0], [10.0, -20.0], [15.0, 25.0]])
    before, after_s = np.arange(STEP + 1) * 0.5, 0.5 * np.arange(1, KEYFRAMES - STEP)
    before_mps = np.where(np.arange(6) == CONE, 0.0, 8.0)
    x_m = starts_m[:, :1] + np.concatenate(
        [before_mps[:, None] * before, 2.0 * before_mps[:, None] + speeds_mps[:, None] * after_s], axis=1
    )
    y_m = np.repeat(starts_m[:, 1:], KEYFRAMES, axis=1)
    y_m[WANDERER, 0] += wanderer_m  # differs long before the branches part
    track = np.stack([x_m, y_m], -1)
    kinds = [VEHICLE, VEHICLE, VEHICLE, STATIC, VEHICLE]
    log = Log(
        name=f"hand-{action}", source="hand-made", location="", description="", keyframes=tuple(map(str, range(KEYFRAMES))),
        agents=tuple("abcde"), categories=("vehicle.car",) * 5, time_s=0.5 * np.arange(KEYFRAMES),
        ego_pose=np.concatenate([track[0] - [1.4, 0.0], np.zeros((KEYFRAMES, 1))], -1),
        ego_size_m=np.array([4.0, 1.8]), ego_centre_m=1.4, ego_from_lidar=np.zeros(3),
        position_m=track[1:], yaw_rad=np.zeros((5, KEYFRAMES)), size_m=np.full((5, KEYFRAMES, 2), 2.0),
        kind=np.array(kinds), points=np.full((5, KEYFRAMES), 5), visibility=np.zeros((5, KEYFRAMES), np.int64),
        valid=np.ones((5, KEYFRAMES), bool), map=empty_map(), route=shapely.LineString(),
        targets=np.zeros((0, 2), np.int64), has_ego=True, has_all_traffic=True,
        branch_of="hand-keep", branch_step=STEP, branch_action=action,
    )  # fmt: skip
    log.check()
    return log


def seen(*logs: Log) -> Branches:
    """The branches, with the scene's agents put in the order of the log."""
    views = [SceneBuilder(log, SMALL).at(STEP) for log in logs]
    order = torch.from_numpy(SceneBuilder(logs[0], SMALL).shown(STEP)).argsort()
    order = torch.cat([order, torch.arange(len(order), 8)])
    ordered = [
        (replace(s, tracks=s.tracks.map(lambda x: x[:, order])), replace(f, tracks=f.tracks.map(lambda x: x[:, order])))
        for s, f in views
    ]
    return branches_of([log.branch_action for log in logs], ordered)


@pytest.fixture(scope="module")
def pair() -> Branches:
    """The ego brakes to a stand, its follower to 3 m/s; whoever comes alongside goes on at 8 m/s, as when the ego does."""
    return seen(branch("keep", 8.0, 8.0), branch("brake", 0.0, 3.0))


def truth_of(branches: Branches) -> Imagined:
    return Imagined(branches.truth_m[:, None], torch.zeros(1))


def mean(sums: dict, name: str, figure: str) -> float:
    total, count = sums[name][figure]
    return total / count


def test_who_reacted_and_who_is_near(pair):
    assert pair.actions == ("keep", "brake")
    assert reacted(pair)[0].nonzero()[:, 0].tolist() == [FOLLOWER]
    assert near_ego(pair)[0, :6].tolist() == [True, True, True, False, True, True]
    assert pair.plans.action.shape == (1, 2, 12, 2)
    assert pair.plans.speed_mps[0, :, -1].tolist() == pytest.approx([8.0, 0.0], abs=0.01)


def test_half_a_metre_is_no_reaction():
    """0.15 m/s slower is 0.9 m after six seconds, 0.2 m/s slower 1.2 m."""
    keep = branch("keep", 8.0, 8.0)
    assert not reacted(seen(keep, branch("brake", 0.0, 7.85))).any()
    assert reacted(seen(keep, branch("brake", 0.0, 7.80)))[0, FOLLOWER]


def test_who_differs_before_the_branch_does_not_count():
    found = seen(branch("keep", 8.0, 8.0), branch("brake", 0.0, 3.0, wanderer_m=0.5))
    assert found.alike.tolist()[:6] == [False, True, True, True, False, False]


def test_egos_that_part_earlier_are_refused():
    keep, brake = branch("keep", 8.0, 8.0), branch("brake", 0.0, 3.0)
    moved = brake.ego_pose.copy()
    moved[1, 0] += 0.5
    with pytest.raises(InputError, match="same past"):
        seen(keep, replace(brake, ego_pose=moved))


def test_way_goes_round_corners():
    path_m = torch.tensor([[3.0, 0.0], [3.0, 4.0], [3.0, 4.0], [0.0, 4.0]])
    assert made_way_m(path_m, torch.zeros(2)) == pytest.approx(3 + 4 + 0 + 3)


def test_the_truth_is_right(pair):
    sums = branch_sums(pair, truth_of(pair))
    for figure in ("min_ade", "likeliest_ade", "min_fde", "likeliest_fde"):
        assert sums[REACTED][figure] == (0.0, 12.0 if figure.endswith("ade") else 1.0)
    assert sums[SIGN]["sign_accuracy"] == (3.0, 3.0)  # follower, passer, wanderer; the cone and the far one are not asked
    assert sums[SIGN]["yields_share"] == (1.0, 3.0)
    assert sums[SIGN]["yields_recall"] == sums[SIGN]["yields_precision"] == (1.0, 1.0)
    assert mean(sums, SIGN, "change_of_yielding_m") == pytest.approx(-30.0, abs=1e-3)
    assert sums[f"{REACTED}, brake"] == sums[REACTED]


def test_the_blind_by_hand(pair):
    """The follower is 5 m/s slower than one who does not see the brake lights says: 2.5 m more each half second."""
    sums = branch_sums(pair, blind(truth_of(pair)))
    assert mean(sums, REACTED, "likeliest_ade") == pytest.approx(2.5 * 6.5, abs=1e-3)
    assert mean(sums, REACTED, "min_fde") == pytest.approx(30.0, abs=1e-3)
    assert sums[SIGN]["sign_accuracy"] == (2.0, 3.0)
    assert sums[SIGN]["yields_recall"] == (0.0, 1.0)
    assert sums[SIGN]["yields_precision"] == (0.0, 0.0)  # it never says so
    assert mean(sums, f"{SIGN}, reacted", "sign_accuracy") == 0.0


def test_the_best_of_modes_and_the_likeliest(pair):
    """Two modes, the likelier one blind, the other true."""
    two_m = torch.stack([blind(truth_of(pair)).position_m[:, 0], pair.truth_m], dim=1)
    sums = branch_sums(pair, Imagined(two_m, torch.tensor([1.0, 0.0])))
    assert mean(sums, REACTED, "min_ade") == 0.0
    assert mean(sums, REACTED, "likeliest_fde") == pytest.approx(30.0, abs=1e-3)
    # The expected change is -30 m times the probability of the second mode, 27 %.
    assert mean(sums, SIGN, "change_of_yielding_m") == pytest.approx(-30.0 / (1 + np.e), abs=1e-3)


def test_who_makes_more_way_reacts_but_does_not_yield():
    found = seen(branch("keep", 8.0, 3.0), branch("accelerate", 12.0, 8.0))
    sums = branch_sums(found, truth_of(found))
    assert sums[f"{REACTED}, accelerate"]["min_ade"][1] == 12.0
    assert sums[f"{SIGN}, reacted"]["yields_share"] == (0.0, 1.0)


def test_each_action_has_its_slice():
    found = seen(branch("keep", 8.0, 8.0), branch("brake", 0.0, 3.0), branch("change_lane", 8.0, 8.0, passer_mps=4.0))
    sums = branch_sums(found, truth_of(found))
    assert sums[f"{SIGN}, brake"]["yields_share"] == (1.0, 3.0)
    assert sums[f"{SIGN}, change_lane"]["yields_share"] == (1.0, 3.0)
    assert sums[SIGN]["yields_share"] == (2.0, 6.0)
