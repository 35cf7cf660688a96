"""nuScenes tables as Logs: a dataroot worked by hand, and the real mini scenes where they are at hand."""

from math import cos, pi, sin

import numpy as np
import pytest

from drive_wm.datasets.nuscenes import EGO_CENTRE_M, KIND_OF_CATEGORY, heading_rad, read_logs
from drive_wm.datasets.nuscenes_tables import OPTIONAL_TABLES, read_table, scene_names
from drive_wm.log import CYCLIST, KINDS, PEDESTRIAN, STATIC, VEHICLE

HEADINGS = {  # name: (w, x, y, z, heading of the turned x axis)
    "identity": (1, 0, 0, 0, 0),
    "left": (cos(pi / 4), 0, 0, sin(pi / 4), pi / 2),
    "right, twice the length": (2 * cos(pi / 4), 0, 0, -2 * sin(pi / 4), -pi / 2),
    "nose up": (cos(0.1), 0, -sin(0.1), 0, 0),
    "rolled over": (0, 1, 0, 0, 0),
    # Rolled by 60 degrees, then left by 90: the x axis, about which it rolls, only feels the turn.
    "rolled and left": (cos(pi / 4) * cos(pi / 6), cos(pi / 4) * 0.5, sin(pi / 4) * 0.5, sin(pi / 4) * cos(pi / 6), pi / 2),
}


@pytest.mark.parametrize("row", HEADINGS.values(), ids=HEADINGS)
def test_heading(row):
    assert heading_rad(np.array(row[:4], float)) == pytest.approx(row[4])


@pytest.mark.filterwarnings("ignore:6 of 8 scenes")
def test_scene_by_hand(dataroot):
    first, second = read_logs(dataroot, "v1.0-mini", "mini_train")
    assert (first.name, second.name) == ("scene-0061", "scene-0553")
    assert len(second.keyframes) == 4
    assert first.keyframes == ("scene-0061/0", "scene-0061/1", "scene-0061/2")
    assert (first.location, first.description) == ("singapore-onenorth", "Drive of scene-0061")
    np.testing.assert_allclose(np.diff(first.time_s), 0.5, atol=1e-6)
    np.testing.assert_allclose(first.ego_pose, [[0, 0, 0], [2, 0, 0], [4, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(first.ego_from_lidar, [0.94, 0, -pi / 2])
    assert first.ego_centre_m == pytest.approx(1.443713)
    assert first.categories == ("vehicle.car", "human.pedestrian.adult")
    assert first.kind.tolist() == [VEHICLE, PEDESTRIAN]
    assert first.valid.tolist() == [[True, True, True], [True, False, True]]
    np.testing.assert_allclose(first.position_m[0], [[20, 0], [22, 0], [24, 0]])
    np.testing.assert_allclose(first.yaw_rad[1], [pi / 2, 0, pi / 2])
    np.testing.assert_allclose(first.size_m[0], [[4.5, 1.8]] * 3)
    assert first.points.tolist() == [[12, 12, 12], [-1, 0, -1]]
    assert first.visibility.tolist() == [[4, 4, 4], [1, 0, 1]]


def test_absent_scenes_are_counted(dataroot):
    with pytest.warns(UserWarning, match="6 of 8 scenes of mini_train are not in"):
        next(read_logs(dataroot, "v1.0-mini", "mini_train"))
    assert scene_names(dataroot, "v1.0-mini", "mini_train") == ["scene-0061", "scene-0553"]


def test_own_split(dataroot):
    (dataroot / "v1.0-mini" / "splits.json").write_text('{"one": ["scene-0553"]}')
    assert [log.name for log in read_logs(dataroot, "v1.0-mini", "one")] == ["scene-0553"]


@pytest.mark.filterwarnings("ignore:6 of 8 scenes")
def test_optional_tables_may_be_missing(dataroot):
    for file in (*(f"v1.0-mini/{table}.json" for table in OPTIONAL_TABLES), "maps/mask.png"):
        (dataroot / file).unlink()
    assert len(list(read_logs(dataroot, "v1.0-mini", "mini_train"))) == 2


def test_real_scenes(outside_data):
    root = outside_data("data/nuscenes-mini-train")
    logs = {log.name: log for log in read_logs(root, "v1.0-mini", "mini_train")}
    assert len(logs) == 8
    assert sum(len(log.keyframes) for log in logs.values()) == 323
    assert sum(len(log.agents) for log in logs.values()) == 693
    assert sum(log.valid.sum() for log in logs.values()) == 14024
    assert all(len(log.map.lanes.geoms) > 40 for log in logs.values())
    log = logs["scene-0061"]
    assert log.keyframes[0] == "ca9a282c9e77460f8360f564131a8af5"
    np.testing.assert_allclose(log.ego_pose[0, :2], [411.304, 1180.89], atol=2e-3)
    assert log.ego_pose[0, 2] == pytest.approx(2 * np.arctan2(-0.8202434827, 0.5720145357))
    # The mount that the planning metrics are built on.
    np.testing.assert_allclose(log.ego_from_lidar[:2], [EGO_CENTRE_M - 0.5, 0], atol=1e-6)


def test_every_real_category_has_a_kind(outside_data):
    rows = read_table(outside_data("data/nuscenes-mini-train") / "v1.0-mini" / "category.json")
    assert {row["name"] for row in rows} == set(KIND_OF_CATEGORY)
    assert set(KIND_OF_CATEGORY.values()) == {VEHICLE, CYCLIST, PEDESTRIAN, STATIC} == set(range(len(KINDS)))
