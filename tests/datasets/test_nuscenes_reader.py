"""The rows that are read are the devkit's: the same samples, boxes, poses and categories in the same order."""

import json

import pytest
from nuscenes.nuscenes import NuScenes

from drive_wm.datasets.nuscenes_reader import read_rows
from drive_wm.datasets.nuscenes_tables import scene_names


def compare(root):
    names = scene_names(root, "v1.0-mini", "mini_train")
    ours, devkit = read_rows(root, "v1.0-mini", names), NuScenes("v1.0-mini", str(root), verbose=False)
    assert list(ours.scenes) == [scene["name"] for scene in devkit.scene if scene["name"] in names]
    boxes = 0
    for name, scene in ours.scenes.items():
        token = scene.first_sample_token
        assert token == next(row for row in devkit.scene if row["name"] == name)["first_sample_token"]
        assert ours.locations[scene.log_token] == devkit.get("log", scene.log_token)["location"]
        while token:
            sample, theirs = ours.samples[token], devkit.get("sample", token)
            assert (sample.timestamp, sample.next) == (theirs["timestamp"], theirs["next"])
            assert [row.token for row in ours.boxes.get(token, [])] == theirs["anns"]
            shot = devkit.get("sample_data", theirs["data"]["LIDAR_TOP"])
            for row, table, found in (
                (devkit.get("ego_pose", shot["ego_pose_token"]), "ego_pose", ours.ego_poses[token]),
                (devkit.get("calibrated_sensor", shot["calibrated_sensor_token"]), "mount", ours.mounts[token]),
            ):
                assert (list(found.translation), list(found.rotation)) == (row["translation"], row["rotation"]), table
            for box in ours.boxes.get(token, []):
                row = devkit.get("sample_annotation", box.token)
                assert ours.categories[box.instance_token] == row["category_name"]
                for field in ("translation", "rotation", "size"):
                    assert list(getattr(box, field)) == row[field]
                for field in ("instance_token", "visibility_token", "num_lidar_pts", "num_radar_pts"):
                    assert getattr(box, field) == row[field]
                boxes += 1
            token = sample.next
    return boxes


def test_rows_are_the_devkits(dataroot):
    assert compare(dataroot) == 3 + 2 + 4 + 2


@pytest.mark.slow
def test_real_rows_are_the_devkits(outside_data):
    assert compare(outside_data("data/nuscenes-mini-train")) == 14024


def test_only_the_scenes_asked_for_are_kept(dataroot):
    rows = read_rows(dataroot, "v1.0-mini", ["scene-0553"])
    assert list(rows.scenes) == ["scene-0553"]
    assert {token.split("/")[0] for token in (*rows.samples, *rows.boxes, *rows.ego_poses)} == {"scene-0553"}


def test_another_sensor_is_not_taken_for_the_lidar(dataroot, edit):
    """Its rows come last, and a table that is read by sample alone would end with them."""
    tables = dataroot / "v1.0-mini"
    edit(tables / "sensor.json", lambda rows: rows.append({"token": "camera", "channel": "CAM_FRONT"}))
    mount = {"token": "camera mount", "sensor_token": "camera", "translation": [9, 9, 9], "rotation": [1, 0, 0, 0]}
    edit(tables / "calibrated_sensor.json", lambda rows: rows.append(mount))
    shots = json.loads((tables / "sample_data.json").read_text())
    images = [shot | {"token": f"{shot['token']} image", "calibrated_sensor_token": "camera mount"} for shot in shots]
    edit(tables / "sample_data.json", lambda rows: rows.extend(images))
    rows = read_rows(dataroot, "v1.0-mini", ["scene-0061"])
    assert {mount.translation for mount in rows.mounts.values()} == {(0.94, 0.0, 1.84)}
