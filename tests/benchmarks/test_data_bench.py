"""Readers are compared on the same dataroot; one that is absent has a reason and no number."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import shapely

from drive_wm.benchmarks import data_bench
from drive_wm.benchmarks.data_readers import lines_around, mend_lanes, read_with_devkit, read_with_drive_wm
from drive_wm.datasets.nuscenes_write import VERSION, Place, write_dataroot
from drive_wm.errors import InputError


def quiet(*news):
    pass


def test_ratio_says_how_many_times_as_fast_ours_is():
    rows = [
        {"reader": "drive_wm", "samples_per_second": 60.0},
        {"reader": "drive_wm's cache", "samples_per_second": 900.0},
        {"reader": "trajdata", "samples_per_second": 4.0},
        {"reader": "trajdata, with lanes", "samples_per_second": 3.0},
        {"reader": "nuscenes-devkit", "absent": "x"},
    ]
    assert [row.get("ratio") for row in data_bench.with_ratio(rows)] == [1.0, None, 15.0, 20.0, None]


def test_a_reader_that_fails_is_absent_with_its_last_words(monkeypatch, tmp_path):
    def run(python, reader, *rest):
        if reader == "trajdata":
            code = "import sys; sys.exit('first line\\nNo module named trajdata')"
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return [{"reader": reader, "n": 7, "samples_per_second": 10.0}]

    monkeypatch.setattr(data_bench, "run_reader", run)
    monkeypatch.setattr(data_bench, "scene_names", lambda *rest: [])
    rows = data_bench.bench_readers(tmp_path, "v1.0-mini", "mini_train", 5, Path(sys.executable), quiet)
    assert [row["reader"] for row in rows] == ["drive_wm", "nuscenes-devkit", "trajdata"]
    assert rows[2] == {"reader": "trajdata", "absent": "No module named trajdata"}


def test_an_environment_that_cannot_be_made_is_a_reason_too(monkeypatch, tmp_path):
    monkeypatch.setattr(data_bench, "run_reader", lambda python, reader, *rest: [{"reader": reader, "samples_per_second": 1.0}])
    monkeypatch.setattr(data_bench, "scene_names", lambda *rest: [])
    monkeypatch.setattr(data_bench, "trajdata_python", lambda: (_ for _ in ()).throw(OSError("no network")))
    rows = data_bench.bench_readers(tmp_path, "v1.0-mini", "mini_train", 5, None, quiet)
    assert rows[2] == {"reader": "trajdata", "absent": "no network"}


def test_without_a_dataroot_it_says_how_to_make_one():
    with pytest.raises(InputError, match=r"--root.*trainval_size"):
        data_bench.bench_readers(None, "v1.0-mini", "mini_train", 5, None, quiet)


def test_a_lane_without_sides_becomes_a_strip():
    """What trajdata cannot read is 3 m wide around its centreline."""

    def fails(nusc_map, record):
        raise ValueError("can only convert an array of size 1 to a Python scalar")

    maps = SimpleNamespace(extract_lane_and_edges=fails, extract_lane_center=lambda *_: np.array([[0.0, 0, 0], [4, 0, 0]]))
    mended = mend_lanes(maps)
    _, left, right = maps.extract_lane_and_edges(None, {"token": "a"})
    assert mended == ["a"]
    assert (left.tolist(), right.tolist()) == ([[0, 1.5], [4, 1.5]], [[0, -1.5], [4, -1.5]])


def test_lines_come_in_the_ego_frame(monkeypatch):
    """The ego stands at (10, 0) and looks along y; the raster's middle lies 20 m ahead of it."""
    asked = []

    def within(things):
        return lambda middle, *rest: asked.append([*middle[:2], rest[-1]]) or things

    kinds = SimpleNamespace(MapElementType=SimpleNamespace(PED_CROSSWALK=4))
    monkeypatch.setitem(sys.modules, "trajdata.maps.vec_map_elements", kinds)
    lane = SimpleNamespace(center=SimpleNamespace(xy=np.array([[10.0, 5.0], [9.0, 6.0]])))
    zebra = SimpleNamespace(polygon=SimpleNamespace(xy=np.array([[12.0, 0.0]])))
    streets = SimpleNamespace(get_lanes_within=within([lane]), get_areas_within=within([zebra]))
    ego = SimpleNamespace(agent_from_world_tf=np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 10.0], [0.0, 0.0, 1.0]]), vec_map=streets)
    np.testing.assert_allclose(lines_around(ego), [[5, 0], [6, 1], [0, -2]], atol=1e-12)
    np.testing.assert_allclose(asked, [[10, 20, 10 + 50 * 2**0.5]] * 2)


@pytest.fixture
def dataroot(crossroads_log, tmp_path):
    """Two drives of 24 keyframes over the crossroads."""
    place = Place(crossroads_log.map, shapely.MultiLineString(), False, (crossroads_log, crossroads_log))
    write_dataroot([place], tmp_path / "nuscenes", "test")
    return tmp_path / "nuscenes"


@pytest.mark.parametrize(("samples", "read"), [(20, 24), (25, 48), (99, 48)])
def test_ours_reads_whole_drives_until_it_has_enough(dataroot, samples, read):
    row, again = read_with_drive_wm(dataroot, VERSION, "synth", samples)
    assert (row["reader"], row["n"]) == ("drive_wm", read)
    assert row["samples_per_second"] == pytest.approx(read / row["seconds"])
    assert (again["reader"], again["n"]) == ("drive_wm's cache", min(samples, read))
    assert again["samples_per_second"] == pytest.approx(again["n"] / again["seconds"])


@pytest.mark.slow
def test_the_devkit_reads_the_same_dataroot(dataroot):
    [row] = read_with_devkit(dataroot, VERSION, "synth", 3)
    assert (row["reader"], row["n"], row["without_raster"]) == ("nuscenes-devkit", 3, 0)
    assert row["peak_mib"] > 100
