from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from drive_wm.datasets.sumo import record_samples, sample_logs
from drive_wm.datasets.sumo_moments import ahead_left_m, gaps_m, speeds_mps
from drive_wm.datasets.sumo_samples import SAMPLES
from drive_wm.log import PEDESTRIAN, Log


@pytest.fixture(scope="module")
def samples() -> dict[str, Log]:
    return {log.name: log for log in sample_logs()}


def ego_speed_mps(log: Log) -> np.ndarray:
    return speeds_mps(log.ego_pose[:, :2], log.time_s)


def test_six_samples_of_20_s_below_100_kb(samples: dict[str, Log]) -> None:
    assert list(samples) == ["junction", "roundabout", "merge", "crossing_pedestrians", "cut_in", "hard_brake"]
    for name, log in samples.items():
        log.check()
        assert log.time_s[-1] - log.time_s[0] == pytest.approx(20.0)
        file = resources.files("drive_wm.datasets") / "samples" / f"{name}.log.safetensors"
        assert len(file.read_bytes()) < 100_000


@pytest.mark.parametrize("name", SAMPLES)
def test_what_the_name_says_happens(name: str, samples: dict[str, Log]) -> None:
    happened = [other for other, sample in SAMPLES.items() if sample.happens(samples[name])]
    assert name in happened


def test_junction_is_a_left_turn(samples: dict[str, Log]) -> None:
    yaw = np.unwrap(samples["junction"].ego_pose[:, 2])
    assert np.degrees(yaw[-1] - yaw[0]) == pytest.approx(90, abs=25)


def test_cutting_car_comes_from_beside_and_ends_up_ahead(samples: dict[str, Log]) -> None:
    log = samples["cut_in"]
    left, gap = ahead_left_m(log)[..., 1], gaps_m(log)
    cutters = (np.abs(left[:, :20]) > 2.4).any(axis=1) & ((np.abs(left) < 0.9) & (gap > 0) & (gap < 14)).any(axis=1)
    assert cutters.any()


def test_ego_brakes_behind_the_braking_car_without_touching_it(samples: dict[str, Log]) -> None:
    log = samples["hard_brake"]
    assert np.diff(ego_speed_mps(log)).min() / 0.5 < -3.0
    in_lane = log.valid & (np.abs(ahead_left_m(log)[..., 1]) < 1.0) & (ahead_left_m(log)[..., 0] > 0)
    assert gaps_m(log)[in_lane].min() > 0.5


def test_ego_waits_while_people_cross(samples: dict[str, Log]) -> None:
    log = samples["crossing_pedestrians"]
    at = ahead_left_m(log)[log.kind == PEDESTRIAN]
    waiting = ego_speed_mps(log) < 1.0
    crossed = (at[..., 1][:, waiting].max(axis=1) > 1.0) & (at[..., 1][:, waiting].min(axis=1) < -1.0)
    assert crossed.sum() >= 2
    assert waiting.sum() >= 4


@pytest.mark.slow
def test_shipped_samples_are_what_recording_gives(samples: dict[str, Log], tmp_path: Path) -> None:
    pytest.importorskip("libsumo", reason="SUMO is not installed: pip install 'drive-wm[sumo]'")
    record_samples(tmp_path)
    for name in samples:
        shipped = resources.files("drive_wm.datasets") / "samples" / f"{name}.log.safetensors"
        assert (tmp_path / f"{name}.log.safetensors").read_bytes() == shipped.read_bytes()
