from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from drive_wm.datasets.prepare import Request, prepare
from drive_wm.datasets.sumo_branches import ACTIONS, KEEP, read_branches
from drive_wm.datasets.sumo_moments import ahead_left_m, speeds_mps
from drive_wm.datasets.synth_branches import synthesize_branches
from drive_wm.log import VEHICLE, Log, read_log, write_log
from drive_wm.scene import SceneConfig

pytestmark = pytest.mark.slow
GROUPS, SEED = 8, 0


@pytest.fixture(scope="module")
def groups() -> list[dict[str, Log]]:
    pytest.importorskip("libsumo", reason="SUMO is not installed: pip install 'drive-wm[sumo]'")
    return [{log.branch_action: log for log in group} for group in islice(read_branches(SEED), GROUPS)]


def pairs(groups: list[dict[str, Log]], *actions: str) -> list[tuple[Log, Log]]:
    """What happened when the ego went on, and when it did something else."""
    return [(group[KEEP], group[action]) for group in groups for action in actions or ACTIONS[1:] if action in group]


def test_every_action_is_taken(groups):
    assert {action for group in groups for action in group} == set(ACTIONS)
    for group in groups:
        for log in group.values():
            log.check()
            assert log.branch_of == group[KEEP].name
            assert log.name.endswith(log.branch_action)


def test_branches_are_equal_up_to_their_step_bit_for_bit(groups):
    for kept, other in pairs(groups):
        until = kept.branch_step + 1
        assert (kept.agents, kept.categories, other.branch_step) == (other.agents, other.categories, kept.branch_step)
        assert kept.route.equals(other.route)
        assert kept.map.lanes.equals(other.map.lanes)
        np.testing.assert_array_equal(kept.time_s, other.time_s)
        np.testing.assert_array_equal(kept.ego_pose[:until], other.ego_pose[:until])
        for field in ("position_m", "yaw_rad", "size_m", "valid", "visibility"):
            np.testing.assert_array_equal(getattr(kept, field)[:, :until], getattr(other, field)[:, :until], field)


def test_egos_part_after_it(groups):
    for kept, other in pairs(groups):
        apart_m = np.linalg.norm(kept.ego_pose[:, :2] - other.ego_pose[:, :2], axis=1)
        assert apart_m[kept.branch_step + 1 :].max() > 2.0


def test_egos_do_as_their_branch_says(groups):
    for action, sign in (("brake", -1), ("accelerate", 1)):
        for kept, other in pairs(groups, action):
            after = slice(kept.branch_step + 2, kept.branch_step + 8)
            faster = speeds_mps(other.ego_pose[:, :2], other.time_s) - speeds_mps(kept.ego_pose[:, :2], kept.time_s)
            assert sign * faster[after].mean() > 0.2
    for kept, other in pairs(groups, "change_lane"):
        yaw, offset = kept.ego_pose[:, 2], other.ego_pose[:, :2] - kept.ego_pose[:, :2]
        aside_m = np.abs(offset[:, 1] * np.cos(yaw) - offset[:, 0] * np.sin(yaw))
        assert aside_m.max() > 1.5


def test_followers_of_a_braking_ego_slow_down(groups):
    """In SUMO's truth, whoever drives within 30 m behind the ego when it brakes is slower than had it gone on."""
    slower = []
    for kept, other in pairs(groups, "brake"):
        step = kept.branch_step
        at = ahead_left_m(kept)[:, step]
        behind = kept.valid[:, step:].all(1) & other.valid[:, step:].all(1) & (at[:, 0] < 0) & (at[:, 0] > -30)
        turn = np.cos(kept.yaw_rad[:, step] - kept.ego_pose[step, 2])
        for i in np.flatnonzero(behind & (np.abs(at[:, 1]) < 1.2) & (turn > 0.9)):
            speed = [speeds_mps(log.position_m[i], log.time_s)[step + 2 : step + 12].mean() for log in (kept, other)]
            slower.append(speed[1] - speed[0])
    assert slower, "nobody follows"
    assert max(slower) < 0.1
    assert min(slower) < -1.0


def test_whom_the_ego_does_not_reach_moves_as_before(groups):
    """Most of the others are bit for bit where they were; whom it reaches moves otherwise, walkers and cyclists as well."""
    shares, kinds = [], []
    for kept, other in pairs(groups):
        same = (kept.position_m == other.position_m).all((1, 2)) & (kept.valid == other.valid).all(1)
        shares.append(same.mean())
        kinds += kept.kind[~same].tolist()
    assert np.mean(shares) > 0.7
    assert {VEHICLE} < set(kinds), "cars alone answer to the ego"  # those on foot or on bicycles do so too


def test_same_seed_same_bytes(groups, tmp_path: Path):
    for one, again in zip(groups[0].values(), next(read_branches(SEED)), strict=True):
        write_log(one, tmp_path / "one")
        write_log(again, tmp_path / "again")
        assert (tmp_path / "one").read_bytes() == (tmp_path / "again").read_bytes()


def test_a_folder_of_branches_becomes_a_cache(groups, tmp_path: Path):
    summary = synthesize_branches(tmp_path / "branches", 1, SEED, lambda done, of, note: None)
    assert summary.events == dict.fromkeys(groups[0], 1)
    back = {log.branch_action: log for log in map(read_log, (tmp_path / "branches").glob("*.log.safetensors"))}
    assert back.keys() == groups[0].keys()
    np.testing.assert_array_equal(back[KEEP].position_m, groups[0][KEEP].position_m)
    manifest = prepare("logs", Request(root=tmp_path / "branches"), tmp_path / "cache", SceneConfig(), lambda *told: None)
    assert len(manifest.shards) == len(back)


def test_no_logs_says_how_to_make_some(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="synth --counterfactual"):
        prepare("logs", Request(root=tmp_path), tmp_path / "cache", SceneConfig(), lambda *told: None)
