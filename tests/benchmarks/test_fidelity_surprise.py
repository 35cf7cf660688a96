"""Surprise rows from scores made up by hand; on a drive, corruption surprises."""

import pytest
import torch

from drive_wm.benchmarks.corruptions import CORRUPTIONS
from drive_wm.benchmarks.fidelity_surprise import DriveSurprise, auroc_interval, drive_surprise, surprise_rows
from drive_wm.planners.constant_velocity import constant_velocity_rollouts
from drive_wm.rollouts import Plans
from drive_wm.scene_at import scenes_of


def scored(clean: list[float], corrupted: list[float]) -> DriveSurprise:
    """The same values by every score and corruption."""
    one, other = ({score: torch.tensor(x) for score in ("most", "mean", "agent")} for x in (clean, corrupted))
    return DriveSurprise(one, dict.fromkeys(CORRUPTIONS, other))


DRIVES = [scored([1.0, 2.0], [3.0]), scored([4.0, 0.0], [1.0, 5.0])]


def test_area_by_hand():
    """Against 0, 1, 2, 4: 3 beats three, 1 beats one and a half, 5 beats four: 8.5 of 12."""
    area, low, high = auroc_interval(DRIVES, "teleports", "most")
    assert area == pytest.approx(8.5 / 12)
    # Resamples: the first drive alone (2 of 2), the second alone (3 of 4), or both.
    assert low == pytest.approx(8.5 / 12)
    assert high == pytest.approx(1.0)
    assert auroc_interval(DRIVES[:1], "teleports", "most") == (1.0, None, None)


def test_rows_by_hand():
    rows = surprise_rows(DRIVES, DRIVES)
    assert [row["slice"] for row in rows] == ["surprise: clean", *(f"surprise: {name}" for name in CORRUPTIONS)]
    assert [row["n"] for row in rows] == [4, 3, 3, 3, 3]
    assert rows[0]["most_p50"] == 1.5
    assert rows[1]["auroc_agent"] == rows[1]["control_auroc_agent"] == pytest.approx(8.5 / 12)
    # Two clean scenes calibrate: no p-value is below a third, so that nothing raises an alarm at 5 %.
    assert rows[0]["alarms_p5"] == rows[1]["alarms_p5"] == 0.0


def test_alarms_are_calibrated_by_the_other_drives():
    """Each drive's clean scenes reach 99 and 199; of the other's 100, one corrupted scene lies beyond all, one below 40."""
    drives = [scored([float(i) for i in range(100)], [500.0, 60.0]), scored([100.0 + i for i in range(100)], [500.0, 50.0])]
    rows = surprise_rows(drives, drives)
    # 500 beyond all: p = 1/101. 60 against 100..199: p = 1. 50 against 0..99: p = 51/101. Clean: 100..199 against 0..99.
    assert rows[1]["alarms_p1"] == 0.5
    assert rows[0]["alarms_p1"] == 0.5
    assert surprise_rows(drives[:1], drives[:1])[0]["alarms_p5"] is None


def test_corruption_surprises_on_a_drive(crossroads_log):
    scene, future = scenes_of(crossroads_log)
    speed_mps = scene.tracks.velocity_mps[:, :1, -1, :1].expand(-1, 1, 12)
    still = torch.zeros(len(speed_mps), 1, 12, 3)
    plans = Plans(still[..., :2], still, speed_mps, torch.ones(len(speed_mps), 1).bool())
    found = drive_surprise(scene, future, constant_velocity_rollouts(scene, plans), torch.Generator().manual_seed(0))
    assert len(found.clean["most"]) == len(scene.has_ego) - 1  # nothing follows the last keyframe
    for name in CORRUPTIONS:
        area, *_ = auroc_interval([found], name, "agent")
        assert area > 0.9, name
