"""Log: what is written is read again, and what cannot be used is named."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from safetensors.numpy import save_file

from drive_wm.errors import InputError
from drive_wm.log import Log, empty_map, read_log, write_log


def assert_equal(one: object, other: object) -> None:
    for f in fields(one):
        a, b = getattr(one, f.name), getattr(other, f.name)
        if f.name == "map":
            assert_equal(a, b)
        elif isinstance(a, np.ndarray):
            assert a.dtype == b.dtype, f.name
            np.testing.assert_array_equal(a, b, err_msg=f.name)
        else:
            assert a == b, f.name


def test_a_log_is_read_as_it_was_written(crossroads_log: Log, tmp_path: Path):
    log = replace(crossroads_log, targets=np.array([[0, 3], [1, 4]]))
    write_log(log, tmp_path / "new" / "drive.log.safetensors")
    assert_equal(read_log(tmp_path / "new" / "drive.log.safetensors"), log)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["drive.log.safetensors"]  # nothing temporary stays


def test_a_log_without_map_and_route_is_read_as_it_was_written(crossroads_log: Log, tmp_path: Path):
    bare = replace(crossroads_log, map=empty_map(), route=shapely.LineString())
    write_log(bare, tmp_path / "bare")
    assert_equal(read_log(tmp_path / "bare"), bare)


def test_equal_logs_give_equal_bytes(crossroads_log: Log, tmp_path: Path):
    for name in ("a", "b"):
        write_log(crossroads_log, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_missing_file_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="drive-wm prepare"):
        read_log(tmp_path / "none")


@pytest.mark.parametrize("keep", [0, 4, 200, -10])
def test_a_damaged_file_is_named(crossroads_log: Log, tmp_path: Path, keep):
    write_log(crossroads_log, tmp_path / "drive")
    (tmp_path / "cut").write_bytes((tmp_path / "drive").read_bytes()[:keep])
    with pytest.raises(InputError, match="cut is damaged"):
        read_log(tmp_path / "cut")


@pytest.mark.parametrize(
    ("header", "found"),
    [({"drive_wm_log": '{"version": 99}'}, "version 99"), ({"other": "1"}, "version None"), (None, "version None")],
)
def test_another_version_is_named(tmp_path: Path, header, found):
    save_file({"time_s": np.zeros(3)}, tmp_path / "old", header)
    with pytest.raises(InputError, match=f"{found}, this program reads 3"):
        read_log(tmp_path / "old")


def broken(log: Log, field: str, index: tuple, value: float) -> Log:
    array = getattr(log, field).copy()
    array[index] = value
    return replace(log, **{field: array})


BAD = {  # name: (change, what the message holds)
    "a size that is not a number names the agent": (lambda x: broken(x, "size_m", (1, 3, 0), np.nan), ["size_m", "crossing"]),
    "a size of zero": (lambda x: broken(x, "size_m", (0, 2, 1), 0.0), ["size_m", "0 or less"]),
    "a position at infinity": (lambda x: broken(x, "position_m", (2, 5, 1), np.inf), ["position_m", "oncoming", "(2, 5, 1)"]),
    "an ego pose that is not a number": (lambda x: broken(x, "ego_pose", (4, 2), np.nan), ["ego_pose", "(4, 2)"]),
    "time runs backwards": (lambda x: broken(x, "time_s", (7,), 0.0), ["time_s", "increasing"]),
    "an unknown kind": (lambda x: broken(x, "kind", (0,), 7), ["kind", "7", "0 to 3"]),
    "a shape": (lambda x: replace(x, yaw_rad=x.yaw_rad[:, :-1]), ["yaw_rad", "(7, 23)", "(7, 24)"]),
    "a category too few": (lambda x: replace(x, categories=x.categories[:-1]), ["categories", "6 names", "7"]),
    "one keyframe": (
        lambda x: replace(
            x, keyframes=x.keyframes[:1], time_s=x.time_s[:1], ego_pose=x.ego_pose[:1], position_m=x.position_m[:, :1],
            yaw_rad=x.yaw_rad[:, :1], size_m=x.size_m[:, :1], points=x.points[:, :1], visibility=x.visibility[:, :1],
            valid=x.valid[:, :1],
        ),
        ["keyframes", "1 keyframe", "at least 2"],
    ),
    "a target that is not there": (lambda x: replace(x, targets=np.array([[1, 3], [7, 2]])), ["targets", "agents 0 to 6"]),
    "a target that has gone": (lambda x: replace(x, targets=np.array([[1, 20]])), ["targets", "not valid"]),
    "targets of another shape": (lambda x: replace(x, targets=np.zeros(4, np.int64)), ["targets", "(4,)", "(4, 2)"]),
    "a neighbour that is not there": (
        lambda x: replace(x, map=replace(x.map, lane_left=np.full_like(x.map.lane_left, 5000))), ["map links"],
    ),
    "a flag too few": (
        lambda x: replace(x, map=replace(x.map, lane_in_junction=x.map.lane_in_junction[1:])), ["map.lane_in_junction"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD)
def test_check_names_the_field(crossroads_log: Log, change, words):
    with pytest.raises(InputError) as caught:
        change(crossroads_log).check()
    assert all(word in str(caught.value) for word in ["crossroads", "needed", *words]), str(caught.value)


def test_a_sound_log_passes(crossroads_log: Log):
    crossroads_log.check()
    replace(crossroads_log, map=empty_map()).check()
