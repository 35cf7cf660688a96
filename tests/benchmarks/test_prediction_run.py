"""The prediction challenge end to end on a hand-made drive; on nuScenes, the devkit's own numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from nuscenes.eval.prediction.data_classes import Prediction
from typer.testing import CliRunner

from drive_wm.benchmarks.prediction import ForecastRows
from drive_wm.benchmarks.prediction_evaluation import challenge, forecast_targets, score_submission
from drive_wm.benchmarks.prediction_forecast import MODES, baseline_forecast, known_baseline
from drive_wm.benchmarks.prediction_run import run_prediction
from drive_wm.benchmarks.prediction_tables import helper_of
from drive_wm.benchmarks.results_file import read_results
from drive_wm.checkpoint import Origin, save_weights
from drive_wm.cli import app
from drive_wm.config import TINY
from drive_wm.datasets.cache import write_cache
from drive_wm.datasets.nuscenes import read_logs
from drive_wm.errors import InputError
from drive_wm.log import empty_map
from drive_wm.model.world_model import WorldModel

KEYS = ("min_ade_5", "min_ade_10", "miss_rate_5", "miss_rate_10", "min_fde_1", "n", "off_road_rate")
TARGETS = ["oncoming_keyframe-6", "leader_keyframe-3"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory, crossroads_log):
    out = tmp_path_factory.mktemp("prediction") / "cache"
    write_cache(iter([crossroads_log]), out, "hand", "1", "mini_train", TINY.model.scene, lambda *_: None)
    return out


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_weights(WorldModel(TINY.model), Origin((), "", "Apache-2.0"), path)
    return str(path)


@pytest.fixture
def dataroot(tmp_path):
    file = tmp_path / "root" / "maps" / "prediction" / "prediction_scenes.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"scene-0061": TARGETS, "scene-0553": ["other_elsewhere"]}))
    return tmp_path / "root"


def test_world_model_on_official_targets(cache, weights, dataroot, tmp_path):
    rows = run_prediction([cache], weights, root=dataroot, submission=tmp_path / "submission.json")
    whole = rows[0]
    assert {key: whole[key] for key in ("model", "weights", "targets", "split", "missing", "n")} == {
        "model": "world_model", "weights": weights, "targets": "challenge", "split": "mini_train", "missing": 1, "n": 2,
    }  # fmt: skip
    assert set(KEYS) <= set(whole)
    assert 0 <= whole["off_road_rate"] <= 1
    assert "no map of crossroads" in whole["off_road_note"]
    assert "slice" not in whole
    assert {row["weights"] for row in rows} == {weights}
    written = [Prediction.deserialize(one) for one in json.loads((tmp_path / "submission.json").read_text())]
    assert [f"{one.instance}_{one.sample}" for one in written] == TARGETS
    assert {one.number_of_modes for one in written} == {MODES}


def test_slices_add_up(cache):
    rows = run_prediction([cache], "", baseline="constant_velocity")
    counts = {row.get("slice", ""): row["n"] for row in rows}
    assert counts[""] == 26  # worked out in test_prediction_targets
    assert counts["straight"] + counts["turning"] == 26
    assert counts["within 50 m of the ego"] + counts["beyond 50 m"] == 26
    assert rows[0]["targets"] == "vehicles"
    assert rows[0]["split"] is None
    assert not any("weights" in row for row in rows)  # a baseline has none


def test_targets_of_the_logs_themselves(crossroads_log, tmp_path):
    """Without a dataroot; no ego, no near and far."""
    log = replace(crossroads_log, targets=np.array([[2, 6], [0, 3], [0, 5]]), has_ego=False)
    write_cache(iter([log]), tmp_path, "hand", "1", "val", TINY.model.scene, lambda *_: None)
    whole, *slices = run_prediction([tmp_path], "", baseline="physics_oracle")
    assert {key: whole[key] for key in ("targets", "split", "missing", "n")} == {
        "targets": "challenge", "split": "hand val", "missing": 0, "n": 3,
    }  # fmt: skip
    assert {row["slice"] for row in slices} <= {"straight", "turning"}


def test_off_road_by_the_drives_own_area(crossroads_log):
    """One mode along the truth, one 30 m beside it: half of the modes leave the road. Without an area there is no rate."""
    log = replace(crossroads_log, targets=np.array([[2, 6]]))
    truth_m = log.position_m[2, 7:19]
    aside_m = truth_m + 30 * np.array([-np.sin(log.yaw_rad[2, 6]), np.cos(log.yaw_rad[2, 6])])
    submission = [
        {
            "instance": "oncoming",
            "sample": "keyframe-6",
            "prediction": [truth_m.tolist(), aside_m.tolist()],
            "probabilities": [0.5, 0.5],
        }
    ]
    row = score_submission(challenge([log]), submission, "mine")[0]
    assert row["off_road_rate"] == 0.5
    assert "by the drivable area of the drives themselves" in row["off_road_note"]
    row = score_submission(challenge([replace(log, map=empty_map())]), submission, "mine")[0]
    assert row["off_road_rate"] is None
    assert "not measurable: no map of crossroads" in row["off_road_note"]


def test_disagreement_with_the_devkit_is_an_error(crossroads_log, monkeypatch):
    asked = challenge([crossroads_log])
    path = [[0.0, 0.0]] * 12
    submission = [
        {
            "instance": crossroads_log.agents[target.agent],
            "sample": crossroads_log.keyframes[target.step],
            "prediction": [path, path],
            "probabilities": [0.5, 0.5],
        }
        for target in asked.targets
    ]
    assert score_submission(asked, submission, "origin")[0]["miss_rate_10"] == 1
    monkeypatch.setattr(ForecastRows, "min_fde_m", lambda rows, k: rows.final_m[:, 0] + 1e-6)
    with pytest.raises(RuntimeError, match="min_fde_1"):
        score_submission(asked, submission, "origin")


def test_bad_submissions_are_refused(crossroads_log):
    asked = challenge([crossroads_log])
    one = {"instance": "leader", "sample": "keyframe-3", "prediction": [[[0.0, 0.0]] * 12], "probabilities": [0.7]}
    with pytest.raises(InputError, match=r"add up to 0\.7"):
        score_submission(replace(asked, targets=asked.targets[:1]), [one], "mine")


BAD = {  # name: (options, words of the message)
    "unknown baseline": (["--baseline", "kalman"], "No baseline 'kalman'"),
    "no weights": (["--weights", "nowhere.safetensors"], "No weights at nowhere.safetensors"),
    "no official targets": (["--baseline", "constant_velocity", "--root", "."], "prediction_scenes.json"),
    "unknown drive": (["--baseline", "constant_velocity", "--only", "elsewhere"], "hold no drive elsewhere"),
    "unknown split": (["--baseline", "constant_velocity", "--root", ".", "--split", "test"], "No split 'test'"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_bad_options_write_nothing(cache, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    outputs = ["--json", "rows.json", "--submission", "submission.json"]
    result = CliRunner().invoke(app, ["evaluate", "prediction", "--cache", str(cache), *options, *outputs])
    assert result.exit_code == 1
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_command_line(cache, dataroot, tmp_path):
    options = ["--cache", str(cache), "--baseline", "constant_velocity", "--root", str(dataroot)]
    result = CliRunner().invoke(app, ["evaluate", "prediction", *options, "--json", str(tmp_path / "rows.json")])
    assert result.exit_code == 0, result.output
    row = read_results(tmp_path / "rows.json").rows[0]
    assert row["n"] == 2
    assert row["min_ade_5"] == row["min_ade_10"] > 0
    assert row["off_road_rate"] == 0  # both paths lead straight over the junction


GOLDEN = {  # by the devkit's own script, on its own tables and all four maps: MinADE_5, MissRateTopK_2_5, MinFDE_1, OffRoadRate
    "constant_velocity": (5.974856507718015, 1.0, 14.97469718000804, 0.4444444444444444),
    "physics_oracle": (3.9393986937289855, 0.8888888888888888, 9.56809930628111, 0.28888888888888886),
}  # fmt: skip


@pytest.mark.slow
def test_own_area_against_the_official_masks(outside_data):
    """Off-road rates of constant velocity on scene-0061, whose drive's drivable area is the map's."""
    root = outside_data("data/nuscenes-mini-train")
    log = next(read_logs(root, "v1.0-mini", "mini_train"))
    official = challenge([log], root, "mini_train")
    found = forecast_targets(official, baseline_forecast(known_baseline("constant_velocity"), official.helper))
    own = replace(official, helper=helper_of([log]))
    rates = [score_submission(asked, found, "m")[0]["off_road_rate"] for asked in (official, own)]
    assert rates[1] == pytest.approx(rates[0], abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("name", GOLDEN)
def test_baselines_on_nuscenes(outside_data, name):
    """The 45 targets of scene-0061."""
    root = outside_data("data/nuscenes-mini-train")
    asked = challenge([next(read_logs(root, "v1.0-mini", "mini_train"))], root, "mini_train")
    forecast = baseline_forecast(known_baseline(name), asked.helper)
    row = score_submission(asked, forecast_targets(asked, forecast), name)[0]
    assert (row["n"], row["missing"]) == (45, 697)
    found = [row[key] for key in ("min_ade_5", "miss_rate_5", "min_fde_1", "off_road_rate")]
    assert found == pytest.approx(GOLDEN[name], abs=1e-9)
