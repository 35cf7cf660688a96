"""Plans files over caches and over a dataroot, as the command line runs them."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from drive_wm.benchmarks.planning_run import Told, cache_drives, drives_named, protocols_named, run_file, run_planner
from drive_wm.benchmarks.planning_samples import truth_of
from drive_wm.cli import app
from drive_wm.datasets.cache import write_cache
from drive_wm.errors import InputError
from drive_wm.metrics.planning import PROTOCOLS
from drive_wm.scene import SceneConfig

HEAD = {"frame": "lidar_top", "model": "mine", "ego_status": False, "command_origin": "none"}


def nothing(*_):
    return None


@pytest.fixture(scope="module")
def crossroads_cache(crossroads_log, tmp_path_factory):
    out = tmp_path_factory.mktemp("cache")
    write_cache(iter([crossroads_log]), out, "crossroads", "1", "all", SceneConfig(agents=4, lanes=4, elements=4), nothing)
    return out


def save_human(path, logs):
    plans = {token: truth_of(log, step)[0].tolist() for log in logs for step, token in enumerate(log.keyframes)}
    path.write_text(json.dumps(HEAD | {"plans": plans}))
    return path


def test_over_a_cache(crossroads_cache, crossroads_log, tmp_path):
    seen = []
    plans = save_human(tmp_path / "plans.json", [crossroads_log])
    drives = drives_named(None, "", "", [crossroads_cache])
    table = run_file(plans, drives, ("stp3_vad", "strict"), False, lambda *at: seen.append(at)).table()
    assert [row["l2_avg"] for row in table[:2]] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert table[0]["n"] == 18
    assert seen == [(1, 1, "crossroads")]


def test_nothing_is_written_for_a_file_that_lacks_samples(crossroads_cache, crossroads_log, tmp_path):
    cut = replace(crossroads_log, keyframes=crossroads_log.keyframes[:3], ego_pose=crossroads_log.ego_pose[:3])
    plans = save_human(tmp_path / "plans.json", [cut])
    files = f"--json {tmp_path}/out/j.json --rows {tmp_path}/out/r.parquet"
    result = CliRunner().invoke(app, f"evaluate planning --plans {plans} --cache {crossroads_cache} {files}".split())
    assert result.exit_code == 1
    assert "no plan for 21 of 24 samples ('keyframe-3', 'keyframe-4', 'keyframe-5', ... 18 more)" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_legacy_index_is_noted_in_every_row(crossroads_cache, crossroads_log, tmp_path):
    plans = save_human(tmp_path / "plans.json", [crossroads_log])
    for row in run_file(plans, cache_drives([crossroads_cache]), ("stp3_vad",), True, nothing).table():
        assert row["legacy_index"] is True


def test_without_drives_it_says_what_to_pass():
    with pytest.raises(InputError, match="--root"):
        drives_named(None, "v1.0-mini", "mini_val", [])
    with pytest.raises(InputError, match=r"--plans .* --cache"):
        run_planner([], "constant_velocity", "", PROTOCOLS, False, nothing)


PEEK = """
from drive_wm.planners import constant_velocity

def plan(scene):
    with open({path!r}, "a") as file:
        for known, speed, command in zip(scene.tracks.valid[:, 0], scene.tracks.velocity_mps[:, 0, -1, 0], scene.command):
            print(int(known.sum()), round(float(speed), 1), int(command), file=file)
    return constant_velocity.plan(scene)
"""
TOLD = {  # what is told: past steps known, speed and command that the planner finds at keyframe 10, then what rows say
    "all but a command": (Told(), "5 5.0 1", (True, "none")),
    "the command of the future": (Told(command="ground_truth_offset"), "5 5.0 0", (True, "ground_truth_offset")),
    "the command of the route": (Told(command="route"), "5 5.0 0", (True, "route")),
    "nothing": (Told(ego_status=False), "1 0.0 1", (False, "none")),
}


@pytest.mark.parametrize(("told", "found", "noted"), TOLD.values(), ids=TOLD)
def test_a_planner_finds_what_it_is_told_and_rows_say_so(crossroads_cache, tmp_path, told, found, noted):
    (tmp_path / "peek.py").write_text(PEEK.format(path=str(tmp_path / "seen")))
    rows = run_planner([crossroads_cache], f"{tmp_path}/peek.py:plan", "", ("strict",), False, nothing, told=told).table()
    assert (tmp_path / "seen").read_text().splitlines()[10] == found
    assert (rows[0]["ego_status"], rows[0]["command_origin"]) == noted


def test_an_unknown_command_origin_is_named():
    with pytest.raises(InputError, match="'future'; pass --command with one of none, route"):
        run_planner([], "constant_velocity", "", PROTOCOLS, False, nothing, told=Told(command="future"))


def test_partial_traffic_is_said(crossroads_log, crossroads_cache, tmp_path):
    """In every row and below the table, and nothing is said where all was recorded."""
    sizes = SceneConfig(agents=4, lanes=4, elements=4)
    write_cache(iter([replace(crossroads_log, has_all_traffic=False)]), tmp_path / "part", "test", "1", "all", sizes, nothing)
    for cache, partial in ((tmp_path / "part", True), (crossroads_cache, False)):
        line = f"evaluate planning --planner constant_velocity --cache {cache} --protocol strict --json {tmp_path}/j.json"
        result = CliRunner().invoke(app, line.split())
        assert result.exit_code == 0, result.output
        assert ("part of the traffic only" in result.output) == partial
        rows = json.loads((tmp_path / "j.json").read_text())["rows"]
        assert all((row.get("all_traffic") is False) == partial for row in rows)


def test_protocols_by_name():
    assert protocols_named("all") == PROTOCOLS
    assert protocols_named("strict") == ("strict",)
    with pytest.raises(InputError, match="'vad' is unknown"):
        protocols_named("vad")


def test_commands_over_a_genuine_dataroot(outside_data, tmp_path):
    """A file from the human's own paths: L2 0 and no collision; then rows, a comparison and a picture of them."""
    nuscenes = pytest.importorskip("drive_wm.datasets.nuscenes")
    root = outside_data("data/nuscenes-mini-train")
    plans = save_human(tmp_path / "plans.json", nuscenes.read_logs(root, "v1.0-mini", "mini_train"))
    where = f"--root {root} --version v1.0-mini --split mini_train"
    files = f"--json {tmp_path}/j.json --rows {tmp_path}/r.parquet"
    result = CliRunner().invoke(app, f"evaluate planning --plans {plans} {where} {files}".split())
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "j.json").read_text())["rows"]
    whole = {row["protocol"]: row for row in rows if row["planner"] == "mine" and "slice" not in row}
    assert {name: row["n"] for name, row in whole.items()} == {
        "uniad": 323, "stp3_vad": 275, "bev_planner": 275, "sparsedrive": 275, "strict": 315,
    }  # fmt: skip
    for name, row in whole.items():
        assert row["l2_avg"] == pytest.approx(0.0, abs=0.01 if name == "bev_planner" else 1e-9)
        assert row["collision_avg"] == row["truth_collision"] == 0.0
        assert row["scenes"] == 8
    slices = {row["slice"] for row in rows if "slice" in row}
    assert {"left", "straight", "turning", "junction", "no junction", "night", "day", "rain", "dry"} <= slices
    for parted in (("night", "day"), ("left", "straight", "right"), ("junction", "no junction")):
        own = [row for row in rows if row.get("slice") in parted and (row["planner"], row["protocol"]) == ("mine", "strict")]
        assert sum(row["n"] for row in own) == 315
    again = CliRunner().invoke(app, f"compare {tmp_path}/r.parquet {tmp_path}/r.parquet --json {tmp_path}/c.json".split())
    assert again.exit_code == 0, again.output
    sample = next(iter(json.loads(plans.read_text())["plans"]))
    drawn = CliRunner().invoke(app, f"inspect {tmp_path}/r.parquet --sample {sample} --out {tmp_path}/p.png".split())
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
