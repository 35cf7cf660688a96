"""Realism: traffic of a drive by hand; a drive is as realistic as itself."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
import torch

from drive_wm.benchmarks.fidelity_realism import QUANTITIES, realism_rows, split_half, together, traffic
from drive_wm.log import PEDESTRIAN, VEHICLE, Log, empty_map
from drive_wm.metrics.distribution import wasserstein_1


def straight(speed_mps: float = 10.0, gap_m: float = 6.0, steps: int = 30) -> Log:
    """The ego and a car ahead of it at one speed on a road 8 m wide and 100 m long; a walker who stands far off the road."""
    time_s = 0.5 * np.arange(steps)
    along = speed_mps * time_s
    zero = np.zeros(steps)
    position_m = np.stack([np.stack([along + 4.0 + gap_m, zero], -1), np.stack([along * 0 + 10.0, zero + 20.0], -1)])
    size = np.array([[4.0, 2.0], [0.6, 0.6]])
    log = Log(
        name="straight", source="test", location="", description="", keyframes=tuple(map(str, range(steps))),
        agents=("car", "walker"), categories=("vehicle.car", "human.pedestrian.adult"), time_s=time_s,
        ego_pose=np.stack([along, zero, zero], -1), ego_size_m=np.array([4.0, 2.0]), ego_centre_m=0.0,
        ego_from_lidar=np.zeros(3), position_m=position_m, yaw_rad=np.zeros((2, steps)),
        size_m=np.repeat(size[:, None], steps, 1), kind=np.array([VEHICLE, PEDESTRIAN]), points=np.zeros((2, steps), np.int64),
        visibility=np.zeros((2, steps), np.int64), valid=np.ones((2, steps), bool),
        map=replace(empty_map(), drivable=shapely.MultiPolygon([shapely.box(-50, -4, 50, 4)])),
        route=shapely.LineString(), targets=np.zeros((0, 2), np.int64), has_ego=True, has_all_traffic=True,
    )  # fmt: skip
    log.check()
    return log


def peak(quantity: str, counts: torch.Tensor) -> float:
    """Middle of the fullest bin."""
    q = QUANTITIES[quantity]
    return q.low + q.width * (int(counts.argmax()) + 0.5)


def test_by_hand():
    """At 10 m/s the ego is beyond 50 m after keyframe 10, the car, 10 m ahead, after keyframe 8; from keyframe 1 on."""
    found = traffic(straight(), 1)
    speed = found.histograms["speed", "vehicle"]
    assert peak("speed", speed) == pytest.approx(10.0, abs=1e-6)
    assert speed.sum() == pytest.approx(2.0)  # two vehicles
    assert peak("acceleration", found.histograms["acceleration", "vehicle"]) == pytest.approx(0.0, abs=1e-6)
    assert peak("gap to nearest", found.histograms["gap to nearest", "vehicle"]) == pytest.approx(6.0, abs=1e-6)
    assert found.rates["overlap", "0 to 10 s"][0] == 0
    assert found.rates["finite", "0 to 10 s"] == (60.0, 60.0)
    # Windows count from the keyframe before: 20 keyframes in ten seconds, of which 9 and 11 begin beyond the road.
    off_road, asked = found.rates["off-road", "0 to 10 s"]
    assert asked == 40
    assert off_road == (20 - 9) + (20 - 7)


def test_the_walker_leaves_the_raster():
    """He stands at x = 10: out of reach, 30 m behind the ego, once it is beyond 40 m, after keyframe 8; then he runs."""
    log = straight()
    position_m = log.position_m.copy()
    position_m[1, 9:, 0] -= 5.0 * np.arange(1, 22)
    found = traffic(replace(log, position_m=position_m), 1)
    assert found.histograms["speed", "pedestrian"].sum() == pytest.approx(1.0)
    assert found.histograms["speed", "pedestrian"].max() == pytest.approx(1.0)
    assert peak("speed", found.histograms["speed", "pedestrian"]) == pytest.approx(0.0, abs=1e-6)


def test_every_agent_counts_once():
    """The car is there for the first 9 of 29 keyframes alone, at 10 m/s; the ego stands from keyframe 15 on."""
    log = straight()
    ego_pose, valid = log.ego_pose.copy(), log.valid.copy()
    ego_pose[15:] = ego_pose[14]
    valid[0, 10:] = False
    speed = traffic(replace(log, ego_pose=ego_pose, valid=valid), 1).histograms["speed", "vehicle"]
    assert speed[0] == pytest.approx(15 / 29)
    assert speed.sum() == pytest.approx(2.0)


def test_who_sees_the_end_of_the_map_has_no_say_in_distributions():
    """It lies at x = 72: in sight of the ego from keyframe 5 on, of the car from 3 on; there both stop."""
    log = straight()
    ego_pose, position_m = log.ego_pose.copy(), log.position_m.copy()
    ego_pose[6:], position_m[0, 4:] = ego_pose[5], position_m[0, 3]
    log = replace(log, ego_pose=ego_pose, position_m=position_m)
    far, near = (replace(log, map=replace(log.map, extent=shapely.box(-50, -30, x_m, 30))) for x_m in (1000.0, 72.0))
    assert traffic(far, 1).histograms["speed", "vehicle"][0] == pytest.approx(24 / 29 + 26 / 29)
    assert traffic(near, 1).histograms["speed", "vehicle"][0] == 0.0
    assert traffic(near, 1).histograms["speed", "vehicle"].sum() == pytest.approx(2.0)
    assert traffic(near, 1).rates == traffic(far, 1).rates


def test_who_has_left_the_map_does_not_count():
    """The map ends at x = 70: the ego is beyond it from keyframe 14 on, the car from 12 on, though it turns back at 16."""
    log = straight()
    position_m = log.position_m.copy()
    position_m[0, 16:, 0] = 60.0
    found = traffic(replace(log, position_m=position_m, map=replace(log.map, extent=shapely.box(-50, -30, 70, 30))), 1)
    off_road, asked = found.rates["off-road", "0 to 10 s"]
    assert asked == 13 + 11
    assert off_road == (13 - 9) + (11 - 7)
    assert found.rates["finite", "0 to 10 s"] == (60.0, 60.0)


def test_overlap_is_counted_for_both():
    found = traffic(straight(gap_m=-0.5), 1)
    assert found.rates["overlap", "0 to 10 s"][0] == 40


def test_what_a_log_lacks_is_left_out():
    partial = traffic(replace(straight(), has_all_traffic=False, map=empty_map()), 1)
    assert {quantity for quantity, _ in partial.histograms} == {"speed", "acceleration"}
    assert {rate for rate, _ in partial.rates} == {"finite"}


def test_rows_against_itself_and_a_faster_drive():
    logs = [traffic(straight(), 1), traffic(straight(12.0), 1)]
    same = {row["slice"]: row for row in realism_rows(logs, logs, {"seconds": 10.0})}
    assert same["realism: speed of vehicles"]["w1"] == 0.0
    assert same["realism: speed of vehicles"]["w1_floor"] == pytest.approx(2.0)  # one half drives 10, the other 12 m/s
    assert same["realism: finite, 0 to 10 s"]["rate_imagined"] == 1.0
    faster = [together([traffic(straight(13.0), 1)] * 3)] * 2
    row = realism_rows(logs, faster, {})[0]
    assert row["slice"] == "realism: speed of vehicles"
    assert row["w1"] == pytest.approx(2.0)  # 13 against 10 and 12, half each
    assert row["n"] == 2 * 3 * row["n_logs"] / 2
    assert row["mean_imagined"] == pytest.approx(13.0)


def test_split_half_of_equal_drives_is_zero():
    counts = torch.tensor([[1.0, 2.0], [2.0, 4.0], [0.5, 1.0], [3.0, 6.0]]).double()
    assert split_half(counts, 1.0) == pytest.approx(0.0)


def test_unchanged_when_the_world_moves(crossroads_log, move_log):
    here, there = (traffic(log, 1) for log in (crossroads_log, move_log(crossroads_log, np.array([250.0, -40.0, 0.9]))))
    assert here.rates == there.rates
    for key, counts in here.histograms.items():
        # A value at the border of two bins may change sides.
        if counts.sum():
            assert wasserstein_1(counts, there.histograms[key], 1.0) < 0.2
