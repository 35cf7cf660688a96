"""`drive-wm evaluate world-model` from a cache to rows, on TINY."""

from dataclasses import replace

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
