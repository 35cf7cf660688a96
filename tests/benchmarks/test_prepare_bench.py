"""The rows of a prepared split: the whole first, then what was loaded and where time went."""

import pytest
import shapely

from drive_wm.benchmarks.prepare_bench import apart, bench_prepare, own_tables, parts_of
from drive_wm.datasets.cache import open_cache
from drive_wm.datasets.nuscenes import read_logs
from drive_wm.datasets.nuscenes_write import VERSION, Place, write_dataroot
from drive_wm.errors import InputError


@pytest.fixture
def dataroot(crossroads_log, tmp_path):
    """Two drives of 24 keyframes over the crossroads."""
    place = Place(crossroads_log.map, shapely.MultiLineString(), False, (crossroads_log, crossroads_log))
    write_dataroot([place], tmp_path / "nuscenes", "test")
    return tmp_path / "nuscenes"


@pytest.mark.slow
def test_rows_name_the_whole_then_its_parts(dataroot, tmp_path):
    told = []
    whole, *rows = bench_prepare(dataroot, VERSION, "synth", 1, tmp_path / "cache", lambda *news: told.append(news[:2]))
    assert (whole["part"], whole["n"], whole["workers"]) == ("prepare", 48, 1)
    assert whole["samples_per_second"] == pytest.approx(48 / whole["seconds"])
    assert [row["part"] for row in rows] == [
        "tables", "maps", "devkit tables", "map", "scenes", "writing", "training read",
    ]  # fmt: skip
    assert all(row["seconds"] > 0 and row["peak_mib"] > 10 for row in rows[:3])
    assert all(row["n"] == 48 and row["milliseconds"] > 0 for row in rows[3:5])
    assert rows[-1]["n"] == 48
    assert told == [(1, 2), (2, 2)]
    assert open_cache(tmp_path / "cache").samples == 48


def test_parts_cover_the_drives_given(dataroot, tmp_path):
    from drive_wm.datasets.cache import write_cache
    from drive_wm.scene import SceneConfig

    logs = list(read_logs(dataroot, VERSION, "synth"))
    manifest = write_cache(iter(logs), tmp_path / "cache", "nuscenes", VERSION, "synth", SceneConfig(), lambda *news: None)
    assert [(row["part"], row["n"]) for row in parts_of(logs[:1], manifest)] == [("map", 24), ("scenes", 24), ("writing", 24)]


def test_what_fails_apart_fails_here(dataroot):
    with pytest.raises(InputError, match="No split 'nowhere'"):
        apart(own_tables, dataroot, VERSION, "nowhere")


def test_needs_a_dataroot_and_a_new_folder(dataroot, tmp_path):
    with pytest.raises(InputError, match="trainval_size"):
        bench_prepare(None, VERSION, "synth", 1, tmp_path / "cache", print)
    with pytest.raises(InputError, match="exists already"):
        bench_prepare(dataroot, VERSION, "synth", 1, dataroot, print)
