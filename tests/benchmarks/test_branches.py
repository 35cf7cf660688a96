"""Families of branches in a cache: who belongs together, and one scene for all of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from drive_wm.benchmarks.branches import families, place_name, read_family
from drive_wm.config import TINY
from drive_wm.datasets.cache import open_cache, write_cache
from drive_wm.log import Log

STEP = 8


def parted(log: Log, name: str, action: str, back_m: float = 0.0) -> Log:
    """The drive as a branch; after STEP the ego falls back evenly, by this much every step."""
    later = np.arange(len(log.keyframes)).clip(min=STEP) - STEP
    heading = np.stack([np.cos(log.ego_pose[:, 2]), np.sin(log.ego_pose[:, 2])], -1)
    ego_pose = log.ego_pose.copy()
    ego_pose[:, :2] -= back_m * later[:, None] * heading
    return replace(log, name=name, ego_pose=ego_pose, branch_of="a-keep", branch_step=STEP, branch_action=action)


@pytest.fixture(scope="module")
def places(tmp_path_factory, crossroads_log):
    """A family of three in the order of the alphabet, a branch that lost its family, and a drive without branches."""
    logs = [
        parted(crossroads_log, "a-brake", "brake", 1.0),
        parted(crossroads_log, "a-keep", "keep"),
        parted(crossroads_log, "a-turn", "change_lane", 0.5),
        replace(parted(crossroads_log, "b-brake", "brake", 1.0), branch_of="b-keep"),
        crossroads_log,
    ]
    out = tmp_path_factory.mktemp("families") / "cache"
    write_cache(iter(logs), out, "hand", "1", "all", TINY.model.scene, lambda *_: None)
    cache = open_cache(out)
    return [(cache, i) for i in range(len(cache))]


def test_who_belongs_together(places):
    found = families(places)
    assert {name: [place_name(place) for place in those] for name, those in found.items()} == {
        "a-keep": ["a-keep", "a-brake", "a-turn"]
    }


def test_one_alone_is_no_family(places):
    assert families(places[1:2]) == {}
    assert families([places[0], places[2]]) == {}


def test_scene_is_that_of_the_step(places):
    branches, logs = read_family(families(places)["a-keep"])
    scene, future = places[1][0].sample(1 * 24 + STEP)
    assert branches.actions == tuple(log.branch_action for log in logs) == ("keep", "brake", "change_lane")
    assert torch.equal(branches.scene.tracks.position_m, scene.tracks.position_m)
    assert torch.equal(branches.truth_m[0], future.tracks.position_m[0])
    assert not branches.alike[0]
    assert branches.alike.sum() == ((scene.tracks.kind != 3) & scene.tracks.valid[..., -1])[0, 1:].sum()


def test_plans_are_what_each_ego_did(places):
    branches, logs = read_family(families(places)["a-keep"])
    offset_m = branches.plans.pose[0, 1, :, :2] - branches.plans.pose[0, 0, :, :2]
    fallen_m = np.linalg.norm(logs[1].ego_pose[:, :2] - logs[0].ego_pose[:, :2], axis=1)[STEP + 1 : STEP + 13]
    assert fallen_m[-1] == pytest.approx(12.0)
    np.testing.assert_allclose(offset_m.norm(dim=-1).numpy(), fallen_m, atol=0.25)  # as near as arcs come to them
