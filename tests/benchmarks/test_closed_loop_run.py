"""Closed loop as the command line runs it: rows, slices, drives that have no map, and mistakes that are explained."""

import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from drive_wm.benchmarks.closed_loop_run import Setting, run
from drive_wm.cli import app
from drive_wm.datasets.cache import write_cache
from drive_wm.errors import InputError
from drive_wm.log import empty_map
from drive_wm.scene import SceneConfig

SMALL = SceneConfig(agents=4, lanes=8, elements=4)


def nothing(*_):
    return None


def cache_of(folder, *logs):
    write_cache(iter(logs), folder, "crossroads", "1", "all", SMALL, nothing)
    return folder


@pytest.fixture(scope="module")
def crossroads_cache(crossroads_log, tmp_path_factory):
    logs = (crossroads_log, replace(crossroads_log, name="again"))
    return cache_of(tmp_path_factory.mktemp("cache") / "c", *logs)


def test_command(crossroads_cache, tmp_path):
    files = f"--json {tmp_path}/j.json --rows {tmp_path}/r.parquet"
    options = f"--cache {crossroads_cache} --planner constant_velocity --every 6 --horizon 2 {files}"
    result = CliRunner().invoke(app, f"evaluate closed-loop {options}".split())
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "j.json").read_text())["rows"]
    starts = pq.read_table(tmp_path / "r.parquet").to_pylist()
    whole = rows[0]
    assert "slice" not in whole
    assert whole["planner"], whole["traffic"] == ("constant_velocity", "replay")
    assert (whole["n"], whole["scenes"], whole["without"], whole["traffic_light"]) == (6, 2, "", 1.0)
    assert [s["step"] for s in starts] == [3, 9, 15] * 2
    for name in ("pdms", "epdms", "ego_progress", "human_epdms", "extended_comfort"):
        known = [s[name] for s in starts if s[name] is not None]
        assert whole[name] == pytest.approx(sum(known) / len(known))
    assert whole["pdms_low"] == pytest.approx(whole["pdms_high"])  # the two drives are the same
    # Extended comfort needs a start half a second earlier; the first start has none.
    assert [s["extended_comfort"] is None for s in starts] == [True, False, False] * 2
    assert {row["slice"] for row in rows[1:]} >= {"left", "crossroads"}


def test_whole_drives(crossroads_cache):
    found = run([crossroads_cache], Setting("log", horizon_s=0.0), ["again"], nothing)
    assert [drive.steps for drive in found.drives] == [(3,)]
    assert found.table()[0]["no_at_fault_collision"] == 1.0
    assert found.table()[0]["without"] == "extended_comfort"


def test_without_a_map_its_terms_drop_out_and_are_named(crossroads_log, tmp_path):
    bare = cache_of(tmp_path / "bare", replace(crossroads_log, map=empty_map()))
    whole = run([bare], Setting("log", every=8, horizon_s=2.0), [], nothing).table()[0]
    assert whole["without"] == "drivable_area, driving_direction, lane_keeping"
    assert whole["drivable_area"] is None
    assert 0 < whole["epdms"] <= 1


def test_without_lanes_the_drivable_area_still_counts(crossroads_log, tmp_path):
    area = replace(empty_map(), drivable=crossroads_log.map.drivable)
    bare = cache_of(tmp_path / "bare", replace(crossroads_log, map=area))
    whole = run([bare], Setting("log", every=8, horizon_s=2.0), [], nothing).table()[0]
    assert whole["without"] == "driving_direction, lane_keeping"
    assert whole["drivable_area"] == 1.0


MISTAKES = {  # name: (setting, message)
    "traffic": (Setting("log", traffic="none"), "Unknown traffic 'none'; known: replay, idm, imagined"),
    "planner": (Setting("magic"), "known: world_model, ego_history, constant_velocity, idm"),
    "horizon": (Setting("log", horizon_s=3.3), "no multiple of 0.5 s"),
    "horizon beyond the drive": (Setting("log", horizon_s=60.0), "No drive has an ego and 60 s after 1.5 s of history"),
}


@pytest.mark.parametrize(("setting", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_explained(crossroads_cache, setting, message):
    with pytest.raises(InputError) as error:
        run([crossroads_cache], setting, [], nothing)
    assert message in str(error.value)
