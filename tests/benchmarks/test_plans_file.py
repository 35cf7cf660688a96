"""Plans files: every way to be wrong gives one message that names the first faults; frames and headings."""

import json
from math import pi
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from drive_wm.benchmarks.planning import score_file
from drive_wm.benchmarks.planning_samples import ego_from_sensor, plan_in_lidar, truth_of
from drive_wm.benchmarks.plans_file import read_plans
from drive_wm.errors import InputError
from drive_wm.metrics.planning import PROTOCOLS

HEAD = {"frame": "ego", "model": "mine", "ego_status": True, "command_origin": "none"}
PLAN = [[2.0 * step, 0.0] for step in range(1, 7)]


def text(**changes) -> str:
    return json.dumps(HEAD | {"plans": {"a": PLAN, "b": PLAN}} | changes)


def without(key: str) -> str:
    return json.dumps({k: v for k, v in json.loads(text()).items() if k != key})


BAD = {  # name: (the file's text, words in the message)
    "empty": ("", ["is empty"]),
    "blank": (" \n", ["is empty"]),
    "not JSON": ("{", ["is not JSON"]),
    "not text": (b"\x93NUMPY", ["is not JSON"]),
    "nested without end": ("[" * 100_000, ["is not JSON"]),
    "a list": ("[]", ["not a plans file", "the file"]),
    "no frame": (without("frame"), ["frame: Field required"]),
    "wrong frame": (text(frame="camera"), ["frame", "'ego' or 'lidar_top', found 'camera'"]),
    "no model": (without("model"), ["model: Field required"]),
    "ego_status as text": (text(ego_status="no"), ["ego_status", "boolean"]),
    "wrong origin": (text(command_origin="future"), ["command_origin", "ground_truth_offset"]),
    "unknown field": (text(unit="m"), ["unit: Extra inputs"]),
    "plans as a list": (text(plans=[PLAN]), ["plans", "dictionary"]),
    "two faults": (text(frame="x", ego_status=1), ["frame", "ego_status"]),
    "token twice": (text().replace('"b"', '"a"'), ["1 key(s) more than once ('a')"]),
    "field twice": (text().replace('"model"', '"frame": "ego", "model"'), ["more than once ('frame')"]),
    "nan": (text(plans={"a": [*PLAN[:3], [float("nan"), 0.0], *PLAN[4:]]}), ["1 of 1 plans", "'a' (step 4 is [nan, 0.0])"]),
    "infinite": (text(plans={"a": [[float("inf"), 0.0], *PLAN[1:]]}), ["'a' (step 1 is [inf"]),
    "not metres": (text(plans={"a": [[5000.0, 0.0], *PLAN[1:]]}), ["step 1 is [5000.0"]),
    "five points": (text(plans={"a": PLAN[:5], "b": PLAN}), ["1 of 2 plans", "'a' (has 5 points)"]),
    "no points": (text(plans={"a": []}), ["has 0 points"]),
    "four numbers": (text(plans={"a": [[0, 0, 0, 0]] * 6}), ["points of 4 numbers"]),
    "mixed points": (text(plans={"a": [*PLAN[:5], [1, 2, 3]]}), ["points of 2, 3 numbers"]),
    "flat": (text(plans={"a": [1, 2, 3, 4, 5, 6]}), ["points of no list numbers"]),
    "text": (text(plans={"a": [["1", "2"]] * 6}), ["not a number"]),
    "true": (text(plans={"a": [[True, 0.0]] * 6}), ["not a number"]),
    "null": (text(plans={"a": None}), ["'a' (is NoneType)"]),
    "many": (text(plans={str(i): [] for i in range(7)}), ["7 of 7 plans", "'0'", "'2'", "... 4 more"]),
}


@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=BAD)
def test_bad_files_are_explained(content, words, tmp_path):
    path = tmp_path / "plans.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as error:
        read_plans(path)
    assert "plans.json" in str(error.value)
    assert [word for word in words if word not in str(error.value)] == []
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="--plans"):
        read_plans(tmp_path / "plans.json")


def plans_file(path: Path, **changes):
    path.write_text(text(**changes))
    return read_plans(path)


SAMPLES = {  # name: (protocols, tokens with a plan, words of the message, "" for none); a drive of 8 keyframes
    "all there": (["uniad", "strict"], "01234567", ""),
    "those that count": (["stp3_vad", "sparsedrive"], "01", ""),
    "more than count": (["stp3_vad"], "0123", ""),
    "one lacks": (["uniad"], "0123456", "no plan for 1 of 8 samples ('7')"),
    "some lack": (["uniad", "stp3_vad"], "01", "no plan for 6 of 8 samples ('2', '3', '4', ... 3 more)"),
    "none": (["stp3_vad"], "", "no plan for 2 of 2 samples ('0', '1')"),
    "one too many": (["stp3_vad"], "01x", "1 samples that are not in val ('x')"),
    "another split": (["stp3_vad"], "xy", "no plan for 2 of 2 samples ('0', '1') and 2 samples that are not in val ('x', 'y')"),
}


@pytest.mark.parametrize(("protocols", "tokens", "words"), SAMPLES.values(), ids=SAMPLES)
def test_samples(protocols, tokens, words, tmp_path):
    found = plans_file(tmp_path / "plans.json", plans=dict.fromkeys(tokens, PLAN))
    if not words:
        found.check_samples({"drive": "01234567"}, protocols, "val")
        return
    with pytest.raises(InputError) as error:
        found.check_samples({"drive": "01234567"}, protocols, "val")
    assert words in str(error.value)


QUARTER = pi / 2
POSES = {  # name: (frame, points, rear-axle pose at 3 s); LIDAR_TOP 1 m ahead of the rear axle, heading as the ego does
    "ego, ahead": ("ego", [[k, 0.0] for k in range(1, 7)], (6.0, 0.0, 0.0)),
    "lidar, ahead": ("lidar_top", [[0.0, k] for k in range(1, 7)], (6.0, 0.0, 0.0)),
    "ego, left": ("ego", [[0.0, k] for k in range(1, 7)], (0.0, 6.0, QUARTER)),
    "lidar, right": ("lidar_top", [[k, 0.0] for k in range(1, 7)], (1.0, -5.0, -QUARTER)),
    "ego, parked": ("ego", [[0.0, 0.0]] * 6, (0.0, 0.0, 0.0)),
    "ego, yaw given": ("ego", [[1.0, 2.0, QUARTER]] * 6, (1.0, 2.0, QUARTER)),
    "lidar, yaw given": ("lidar_top", [[-1.0, -1.0, QUARTER]] * 6, (0.0, 0.0, QUARTER)),
}


@pytest.mark.parametrize(("frame", "points", "expected"), POSES.values(), ids=POSES)
def test_poses(frame, points, expected, tmp_path, drive):
    poses = plans_file(tmp_path / "plans.json", frame=frame, plans={"3": points}).poses(drive)
    assert poses.shape == (10, 6, 3)
    assert_allclose(poses[3, -1], expected, atol=1e-9)
    assert poses[2].isnan().all()


def test_a_lidar_path_reaches_lidar_protocols_as_it_is(tmp_path, drive):
    path = np.cumsum(np.random.default_rng(3).normal((0, 2), 1, (6, 2)), axis=0)
    poses = plans_file(tmp_path / "plans.json", frame="lidar_top", plans={"0": path.tolist()}).poses(drive)
    back = plan_in_lidar(poses[0], torch.from_numpy(ego_from_sensor("uniad", drive)))
    assert_allclose(back, path, atol=1e-12)


def driven(log, frame: str, with_yaw: bool) -> dict[str, list]:
    """The human's own paths as a plans file has them; past the end the last point stays."""
    plans = {}
    for step, token in enumerate(log.keyframes):
        later = np.minimum(step + 1 + np.arange(6), len(log.keyframes) - 1)
        yaw = log.ego_pose[later, 2] - log.ego_pose[step, 2]
        path, exists = truth_of(log, step, "bev_planner" if frame == "ego" else "strict")
        path = path[np.minimum(np.arange(6), max(exists.sum() - 1, 0))]
        points = np.stack([path[:, 1], -path[:, 0]], -1) if frame == "ego" else path
        plans[token] = (np.c_[points, yaw] if with_yaw else points).tolist()
    return plans


@pytest.fixture
def turning(drive):
    """The same drive, 0.1 rad to the left at every step, without slipping."""
    yaw = pi / 2 + 0.1 * np.arange(10)
    step = 2.0 * np.stack([np.cos(yaw[:-1] + 0.05), np.sin(yaw[:-1] + 0.05)], -1)
    position = np.concatenate([[[100.0, 50.0]], [100.0, 50.0] + np.cumsum(step, 0)])
    return type(drive)(**(vars(drive) | {"ego_pose": np.c_[position, yaw]}))


@pytest.mark.parametrize("frame", ["ego", "lidar_top"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_human_s_own_path_scores_0_and_collides_as_the_human_does(protocol, frame, tmp_path, turning):
    plans = plans_file(tmp_path / "plans.json", frame=frame, plans=driven(turning, frame, with_yaw=True))
    scored = score_file(plans, [turning], [protocol])
    rows, row = scored.scores[protocol][0].rows, scored.table()[0]
    np.testing.assert_array_equal(rows.collision, rows.truth_collision)
    assert row["l2_avg"] == pytest.approx(0.0, abs=1e-9)
    assert row["collision_avg"] == (row["truth_collision"] if protocol == "strict" else 0.0)
    assert (row["planner"], row["ego_status"], row["command_origin"]) == ("mine", True, "none")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_both_frames_give_the_same_rows(protocol, tmp_path, turning):
    def rows(frame, with_yaw):
        plans = plans_file(tmp_path / f"{frame}.json", frame=frame, plans=driven(turning, frame, with_yaw))
        return score_file(plans, [turning], [protocol]).scores[protocol][0]

    ego, lidar = rows("ego", True), rows("lidar_top", True)
    assert_allclose(ego.plans_m, lidar.plans_m, atol=1e-9)
    np.testing.assert_array_equal(ego.rows.collision, lidar.rows.collision)
    near, path = rows("ego", False), rows("lidar_top", False)
    assert np.abs(near.plans_m - path.plans_m).max() < 0.15  # the headings come from different paths


@pytest.mark.parametrize("frame", ["ego", "lidar_top"])
def test_headings_from_genuine_paths_are_close(frame, outside_data, tmp_path):
    """The figures in the module's docstring."""
    nuscenes = pytest.importorskip("drive_wm.datasets.nuscenes")
    protocol = "stp3_vad" if frame == "ego" else "bev_planner"
    away_m = []
    for log in nuscenes.read_logs(outside_data("data/nuscenes-mini-train"), "v1.0-mini", "mini_train"):
        plans = plans_file(tmp_path / "plans.json", frame=frame, plans=driven(log, frame, with_yaw=False))
        scored = score_file(plans, [log], [protocol]).scores[protocol][0]
        away_m.append(scored.rows.l2_m)
    found = np.concatenate(away_m)
    assert len(found) == 275
    assert found.mean() < 0.0105
    assert found.max() < 0.135
