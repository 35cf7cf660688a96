"""`drive-wm evaluate world-model` from a cache to rows, on TINY."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from drive_wm.benchmarks.fidelity_rows import fidelity_rows
from drive_wm.benchmarks.results_file import read_results
from drive_wm.benchmarks.world_model_run import of_drive, run_world_model
from drive_wm.checkpoint import Origin, save_weights
from drive_wm.cli import app
from drive_wm.config import TINY
from drive_wm.datasets.cache import write_cache
from drive_wm.errors import InputError
from drive_wm.log import empty_map
from drive_wm.model.world_model import WorldModel
from drive_wm.scene_at import SceneBuilder, scenes_of
from drive_wm.structs import cat
from drive_wm.viewpoint import seen_from


@pytest.fixture(scope="module")
def model() -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(TINY.model).eval()


@pytest.fixture(scope="module")
def cache(tmp_path_factory, crossroads_log, move_log):
    """The crossroads, and the same drive without a map and with part of the traffic."""
    out = tmp_path_factory.mktemp("fidelity") / "cache"
    bare = replace(crossroads_log, name="bare", map=empty_map(), has_all_traffic=False)
    write_cache(iter([crossroads_log, bare]), out, "hand", "1", "all", TINY.model.scene, lambda *_: None)
    return out


@pytest.fixture(scope="module")
def weights(tmp_path_factory, model):
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_weights(model, Origin((), "", "Apache-2.0"), path)
    return str(path)


@pytest.fixture(scope="module")
def rows(cache, weights):
    return run_world_model([cache], weights, seconds=3.0)


def test_whole_set_comes_first(rows):
    assert [(row["model"], row["ego"]) for row in rows if "slice" not in row] == [
        ("world_model", "free"), ("world_model", "logged"), ("constant_velocity", "free"), ("constant_velocity", "logged"),
    ]  # fmt: skip
    assert "slice" not in rows[0]
    assert rows[0]["drives"] == 2
    assert rows[0]["min_ade_low"] <= rows[0]["min_ade"] <= rows[0]["min_ade_high"]
    assert 0 <= rows[0]["mode_ece"] <= 1
    assert all(row["n"] > 0 for row in rows)


def test_every_part_is_there(rows):
    slices = {row.get("slice", "") for row in rows}
    assert {"1 s", "6 s", "ego", "vehicle", "pedestrian", "static", "5 to 10 m/s"} <= slices
    for start in (
        "probability ",
        "surprise: clean",
        "surprise: teleports",
        "reaction: ego absent",
        "realism: speed of vehicles",
    ):
        assert any(name.startswith(start) for name in slices), start


def test_what_could_not_be_measured_is_said(rows):
    note = rows[0]["not_measured"]
    assert "1 of 2 drives: part of the traffic only" in note
    assert "1 of 2 drives: no drivable area" in note


@pytest.mark.slow
def test_rows_repeat(rows, cache, weights):
    assert run_world_model([cache], weights, seconds=3.0) == rows


def test_a_drive_without_ego(model, crossroads_log):
    """Seen from the truck: everybody is forecast, nothing that needs an ego is measured."""
    truck = crossroads_log.agents.index("crossing")
    builder, view = SceneBuilder(crossroads_log, TINY.model.scene), seen_from(crossroads_log, truck, range(19), now=18)
    scene, future = (cat(part) for part in zip(*(builder.with_log(view).at(step) for step in range(19)), strict=True))
    found = of_drive(model, view, scene, future, 6, torch.Generator().manual_seed(0))
    rows = fidelity_rows([found], 3.0)
    assert [row["ego"] for row in rows if "slice" not in row] == ["free", "free"]
    assert not any(row.get("slice", "").startswith(("reaction", "realism", "ego")) for row in rows)
    assert "1 of 1 drives: no ego" in rows[0]["not_measured"]
    assert rows[0]["min_ade_low"] is None


def test_nothing_to_measure(model, crossroads_log):
    scene, future = scenes_of(crossroads_log, TINY.model.scene)
    found = of_drive(model, crossroads_log, scene[-1:], future[-1:], 2, torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="seen again half a second later"):
        fidelity_rows([found], 1.0)


@pytest.fixture(scope="module")
def branch_rows(tmp_path_factory, crossroads_log, model, weights):
    """The crossroads as one drive with two branches: the ego falls back or gets ahead, and so does the car ahead of it."""
    logs = []
    for action, metres in (("keep", 0.0), ("brake", -0.6), ("accelerate", 0.4)):
        moved_m = metres * (np.arange(24).clip(min=6) - 6)
        ego_pose, position_m = crossroads_log.ego_pose.copy(), crossroads_log.position_m.copy()
        for pose, m in ((ego_pose, moved_m), (position_m[0], moved_m)):
            pose[:, :2] += m[:, None] * np.stack([np.cos(ego_pose[:, 2]), np.sin(ego_pose[:, 2])], -1)
        link = {"branch_of": "drive-keep", "branch_step": 6, "branch_action": action, "name": f"drive-{action}"}
        logs.append(replace(crossroads_log, ego_pose=ego_pose, position_m=position_m, **link))
    out = tmp_path_factory.mktemp("branches") / "cache"
    write_cache(iter(logs), out, "hand", "1", "all", TINY.model.scene, lambda *_: None)
    return run_world_model([out], weights, seconds=1.0)


def test_branches_have_rows(branch_rows):
    reacted = {row["model"]: row for row in branch_rows if row.get("slice") == "branches: reacted"}
    assert list(reacted) == ["world_model", "world_model_blind", "constant_velocity", "idm"]
    assert all(row["n"] == 24 and row["drives"] == 1 and row["ego"] == "branch" for row in reacted.values())
    sign = {row["model"]: row for row in branch_rows if row.get("slice") == "branches: sign"}
    assert [*sign] == [*reacted, "majority"]
    assert all(row["n_yields"] == 1 for row in sign.values())  # the car ahead, when the ego falls back
    assert sign["majority"]["sign_accuracy"] == sign["constant_velocity"]["sign_accuracy"] == 1 - 1 / sign["majority"]["n"]
    assert {"branches: sign, brake", "branches: sign, reacted", "branches: reacted, accelerate"} <= {
        row.get("slice") for row in branch_rows
    }


def test_a_drive_counts_once_however_many_branches_it_has(branch_rows):
    assert branch_rows[0]["drives"] == 1


@pytest.mark.slow
def test_command_line(cache, weights, tmp_path):
    command = ["evaluate", "world-model", "--cache", str(cache), "--weights", weights, "--seconds", "2", "--only", "bare"]
    result = CliRunner().invoke(app, [*command, "--json", str(tmp_path / "rows.json")])
    assert result.exit_code == 0, result.output
    assert "Not measured: 1 of 1 drives: part of the traffic" in result.output
    assert max(map(len, result.output.splitlines())) <= 80
    assert read_results(tmp_path / "rows.json").rows[0]["drives"] == 1


def test_rollouts_need_a_step(cache, weights):
    with pytest.raises(InputError, match="--seconds"):
        run_world_model([cache], weights, seconds=0.1)
