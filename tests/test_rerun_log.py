"""What a Rerun recording holds is read back with Rerun's own reader."""

import warnings

import numpy as np
import pytest

from drive_wm.log import VEHICLE
from drive_wm.rerun_log import TIMELINE, rerun_recording

rerun = pytest.importorskip("rerun")


@pytest.fixture
def table(crossroads_log, tmp_path):
    """table(entity) -> rows of the recording of the crossroads, as a pyarrow table."""
    path = tmp_path / "x.rrd"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Rerun only warns of what it cannot draw
        path.write_bytes(rerun_recording(crossroads_log))
    recording = rerun.dataframe.load_recording(path)
    return lambda entity: recording.view(index=TIMELINE, contents=entity).select().read_all()


def component(rows, name):
    (column,) = (c for c in rows.column_names if c.endswith(f":{name}"))
    return rows[column].to_pylist()


def test_a_moment_per_keyframe_on_the_drives_own_clock(table, crossroads_log):
    seconds = table("/world/ego")[TIMELINE].to_numpy().astype(float) * 1e-9
    np.testing.assert_allclose(seconds, crossroads_log.time_s - crossroads_log.time_s[0])


def test_the_ego_box_lies_ahead_of_the_rear_axle(table, crossroads_log):
    first, last = (component(table("/world/ego"), "PoseTranslation3D")[step][0] for step in (0, -1))
    yaw_rad = crossroads_log.ego_pose[0, 2]
    ahead_m = crossroads_log.ego_centre_m * np.array([np.cos(yaw_rad), np.sin(yaw_rad)])
    np.testing.assert_allclose(first[:2], ahead_m, atol=1e-5)
    driven_m = np.linalg.norm(np.subtract(last, first))
    assert driven_m == pytest.approx(np.linalg.norm(np.diff(crossroads_log.ego_pose[[0, -1], :2], axis=0)), abs=3.0)


def test_boxes_by_kind_are_those_that_are_there(table, crossroads_log):
    rows = table("/world/vehicle")
    counts = [len(boxes) for boxes in component(rows, "HalfSize3D")]
    assert counts == crossroads_log.valid[crossroads_log.kind == VEHICLE].sum(axis=0).tolist()
    leader = crossroads_log.agents.index("leader")
    half = component(rows, "HalfSize3D")[0][0]
    np.testing.assert_allclose(np.array(half[:2]) * 2, crossroads_log.size_m[leader, 0])
    x, y, z, w = component(rows, "PoseRotationQuat")[3][0]
    assert (x, y) == (0, 0)
    np.testing.assert_allclose(np.exp(2j * np.arctan2(z, w)), np.exp(1j * crossroads_log.yaw_rad[leader, 3]), atol=1e-6)


def test_the_map_has_a_strip_per_line_and_ring(crossroads_log, tmp_path):
    path = tmp_path / "x.rrd"
    path.write_bytes(rerun_recording(crossroads_log))
    recording = rerun.dataframe.load_recording(path)
    for layer, strips in (("lanes", len(crossroads_log.map.lanes.geoms)), ("drivable", 2), ("crosswalks", 4)):
        rows = recording.view(index="log_tick", contents=f"/world/map/{layer}").select_static().read_all()
        assert len(component(rows, "LineStrip3D")[0]) == strips, layer
