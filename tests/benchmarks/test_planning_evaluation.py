"""`score_planner` on a drive worked out by hand, and on genuine drives where they are at hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from drive_wm.benchmarks.planning import score_planner, score_plans
from drive_wm.benchmarks.planning_samples import protocol_boxes, protocol_steps, truth_of
from drive_wm.errors import InputError
from drive_wm.metrics.planning import PROTOCOLS
from drive_wm.rollouts import Trajectory
from drive_wm.scene import Scene


def along(scene: Scene, speed_mps: float, across_m: float) -> Trajectory:
    """Straight ahead at this speed, this far to the left."""
    pose = torch.zeros(len(scene.has_ego), 12, 3)
    pose[..., 0] = speed_mps / 2 * torch.arange(1, 13)
    pose[..., 1] = across_m
    return Trajectory(pose, torch.full(pose.shape[:2], speed_mps))


def row_of(rows, planner, protocol):
    return next(row for row in rows if (row["planner"], row["protocol"]) == (planner, protocol) and "slice" not in row)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_human_s_own_motion_scores_0(protocol, drive, scene):
    rows = score_planner([(drive, scene)], lambda s: along(s, 4.0, 0.0), "same", ego_status=False).table()
    row = row_of(rows, "same", protocol)
    assert row["n"] == {"uniad": 10, "strict": 9}.get(protocol, 4)
    assert row["l2_avg"] == pytest.approx(0.0, abs=1e-6)
    assert row["collision_avg"] == row["truth_collision"] == 0.0
    assert (row["ego_status"], row["command_origin"], row["frames"]) == (False, "ground_truth_offset", 5)


def test_a_last_keyframe_without_a_command_is_not_noted(drive, scene):
    """Nothing follows it that its command could be read from, or its plan compared with."""
    told = replace(scene, command_origin=torch.tensor([2] * 9 + [0]))
    rows = score_planner([(drive, told)], lambda s: along(s, 4.0, 0.0), "p", ["uniad"]).table()
    assert rows[0]["command_origin"] == "ground_truth_offset"


def test_a_plan_beside_the_human(drive, scene):
    """6 m to the left at the human's speed, the plan runs through agents 2, 5, 4, 6 (and 8, beyond 3 s)."""
    rows = score_planner([(drive, scene)] * 2, lambda s: along(s, 4.0, 6.0), "left", progress=lambda *_: None).table()
    strict, human = row_of(rows, "left", "strict"), row_of(rows, "log", "strict")
    assert strict["n"] == 18
    assert [strict[f"l2_{at}"] for at in ("1s", "2s", "3s")] == pytest.approx([6.0] * 3)
    assert strict["collision_avg"] > 0.3
    assert human["l2_avg"] == human["collision_avg"] == human["truth_collision"] == strict["truth_collision"] == 0.0


def test_rows_come_in_order_with_slices_last(drive, scene):
    rows = score_planner([(drive, scene)], lambda s: along(s, 4.0, 0.0), "p", ["uniad", "strict"], batch=3).table()
    assert {r.get("slice") for r in rows[8:]} == {"0.5 to 5 m/s"}
    rows = rows[:8]
    assert [(r["planner"], r["protocol"], r.get("slice")) for r in rows] == [
        ("p", "uniad", None), ("log", "uniad", None), ("p", "strict", None), ("log", "strict", None),
        ("p", "uniad", "straight"), ("log", "uniad", "straight"), ("p", "strict", "straight"), ("log", "strict", "straight"),
    ]  # fmt: skip


def test_slices_part_the_samples(drive, scene):
    pose = drive.ego_pose.copy()
    pose[8:, 0] += 3.0  # to the right: samples 5 to 7 see it at their last step, so do 2 to 4; 8 starts after it
    rows = score_planner([(replace(drive, ego_pose=pose), scene)], lambda s: along(s, 4.0, 0.0), "p", ["uniad"]).table()
    n = {row.get("slice", "whole"): row["n"] for row in rows}
    # From keyframe 7 to 8 the ego moves 3 m aside and 2 m ahead in half a second: 7.2 m/s.
    assert n == {"whole": 10, "straight": 4, "right": 6, "turning": 6, "0.5 to 5 m/s": 9, "5 to 10 m/s": 1}


def test_batches_change_nothing(drive, scene):
    def plan(s):
        return along(s, 3.0, 0.5)

    assert (
        score_planner([(drive, scene)], plan, "p", batch=1).table()
        == score_planner([(drive, scene)], plan, "p", batch=10).table()
    )


def test_a_drive_that_cannot_be_evaluated_is_named(drive, scene):
    def plan(s):
        return along(s, 4.0, 0.0)

    with pytest.raises(InputError, match="has no ego"):
        score_planner([(replace(drive, has_ego=False), scene)], plan, "p").table()
    with pytest.raises(InputError, match="4 scenes; needed: 10"):
        score_planner([(drive, scene[:4])], plan, "p").table()
    with pytest.raises(InputError, match="No drive to evaluate"):
        score_planner([], plan, "p").table()
    with pytest.raises(InputError, match="'vad' is unknown"):
        score_planner([(drive, scene)], plan, "p", ["vad"]).table()


def test_the_human_collides_nowhere_in_genuine_drives(outside_data):
    """Frames, yaws and the footprint agree: a human who never touched anything is never said to have, in any protocol."""
    nuscenes = pytest.importorskip("drive_wm.datasets.nuscenes")
    logs = list(nuscenes.read_logs(outside_data("data/nuscenes-mini-train"), "v1.0-mini", "mini_train"))
    for protocol in PROTOCOLS:
        for log in logs[::3]:
            steps = protocol_steps(protocol, log)
            truths, valid = (np.array(x) for x in zip(*(truth_of(log, s, protocol) for s in steps), strict=True))
            rows = score_plans(protocol, truths, truths, valid, [protocol_boxes(protocol, log, s) for s in steps])
            assert not (rows.truth_collision & rows.valid).any()
