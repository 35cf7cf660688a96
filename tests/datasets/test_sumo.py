from pathlib import Path

import numpy as np
import pytest
import shapely

from drive_wm.datasets import sumo_install
from drive_wm.datasets.sumo import read_logs
from drive_wm.errors import InputError
from drive_wm.log import PEDESTRIAN, VEHICLE, Log, write_log

SEED, SCENES = 5, 14  # of the first three kinds of network


@pytest.fixture(scope="module")
def logs() -> list[Log]:
    pytest.importorskip("libsumo", reason="SUMO is not installed: pip install 'drive-wm[sumo]'")
    return list(read_logs(SCENES, SEED))


def test_same_seed_gives_the_same_bytes(logs: list[Log], tmp_path: Path) -> None:
    for log, again in zip(logs[:7], read_logs(7, SEED), strict=True):
        write_log(log, tmp_path / "a")
        write_log(again, tmp_path / "b")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_another_seed_gives_another_drive(logs: list[Log]) -> None:
    other = next(read_logs(1, SEED + 1))
    assert not np.allclose(other.ego_pose, logs[0].ego_pose)


def test_logs_are_sound_and_varied(logs: list[Log]) -> None:
    for log in logs:
        log.check()
        assert len(log.keyframes) == 41
        np.testing.assert_allclose(np.diff(log.time_s), 0.5)
        assert len(log.map.lanes.geoms) > 10
        assert log.map.drivable.area > 1000
    assert len({log.name for log in logs}) == SCENES
    assert len({log.location for log in logs}) == 3
    kinds = np.concatenate([log.kind for log in logs])
    assert {VEHICLE, PEDESTRIAN} <= set(kinds.tolist())


def test_motion_is_plausible(logs: list[Log]) -> None:
    for log in logs:
        both = log.valid[:, 1:] & log.valid[:, :-1]
        speed = np.linalg.norm(np.diff(log.position_m, axis=1), axis=-1) / 0.5
        assert speed[both].max() < 25.0
        walkers = log.kind == PEDESTRIAN
        assert speed[walkers][both[walkers]].max(initial=0.0) < 4.5
        accel = np.diff(speed, axis=1) / 0.5
        assert np.abs(accel[both[:, 1:] & both[:, :-1]]).max() < 10.0


def test_ego_rolls_along_its_heading(logs: list[Log]) -> None:
    for log in logs:
        yaw = np.unwrap(log.ego_pose[:, 2])
        middle = (yaw[1:] + yaw[:-1]) / 2
        move = np.diff(log.ego_pose[:, :2], axis=0)
        sideways = -np.sin(middle) * move[:, 0] + np.cos(middle) * move[:, 1]
        forwards = np.cos(middle) * move[:, 0] + np.sin(middle) * move[:, 1]
        assert np.abs(sideways).max() < 0.3
        assert forwards.min() > -0.03


def test_route_runs_beside_the_ego_and_60_m_beyond(logs: list[Log]) -> None:
    for log in logs:
        points = shapely.points(log.ego_pose[:, :2])
        assert shapely.distance(points, log.route).max() < 4.0
        assert log.route.length - log.route.project(points[-1]) > 60.0


def test_vehicles_keep_to_lanes_in_driving_direction(logs: list[Log]) -> None:
    turns = []
    for log in logs:
        near = np.linalg.norm(log.position_m - log.ego_pose[:, :2], axis=-1) < 90
        cars = log.valid & near & (log.kind == VEHICLE)[:, None]
        at, yaw = shapely.points(log.position_m[cars]), log.yaw_rad[cars]
        pieces = np.array(log.map.lanes.geoms)
        ends = shapely.get_coordinates(shapely.line_interpolate_point(np.repeat(pieces, 2), [0.0, 1.0] * len(pieces), True))
        way = np.arctan2(*(ends[1::2] - ends[::2])[:, ::-1].T)
        owner, piece = shapely.STRtree(pieces).query(at, "dwithin", 2.5)
        turn = np.full(len(at), np.pi)
        np.minimum.at(turn, owner, np.abs(np.angle(np.exp(1j * (way[piece] - yaw[owner])))))
        turns.append(turn)
    assert np.mean(np.concatenate(turns) < 0.4) > 0.99


def test_nothing_on_screen(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("libsumo", reason="SUMO is not installed: pip install 'drive-wm[sumo]'")
    capfd.readouterr()
    next(read_logs(1, 2))
    assert capfd.readouterr() == ("", "")


def test_missing_extra_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(sumo_install.importlib, "import_module", refuse)
    with pytest.raises(InputError, match=r"pip install 'drive-wm\[sumo\]'"):
        next(read_logs(1, 0))
