"""Forecast figures: worked by hand for constant velocity on a hand-made drive, and laws."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from drive_wm.benchmarks.drive_sums import WHOLE
from drive_wm.benchmarks.fidelity_forecast import forecast, forecast_sums, imaginers, joint_best, mode_sums, slices_of
from drive_wm.config import TINY
from drive_wm.model.world_model import WorldModel
from drive_wm.scene_at import scenes_of


@pytest.fixture(scope="module")
def model() -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(TINY.model).eval()


@pytest.fixture(scope="module")
def seen(crossroads_log):
    return scenes_of(crossroads_log)


def mean(sums: dict, name: str, figure: str) -> float:
    total, count = sums[name][figure]
    return total / count


def test_constant_velocity_by_hand(model, seen):
    """The truck keeps 10 m/s, the walker 1.3 m/s: no error. The ego brakes from 8 to 5 m/s and turns: an error that grows."""
    scene, future = seen
    found = forecast(imaginers(model)["constant_velocity"], scene[6:7], future[6:7], ego_free=True)
    sums = forecast_sums(found, torch.Generator().manual_seed(0))
    assert mean(sums, "pedestrian", "min_ade") == pytest.approx(0.0, abs=1e-3)
    # By then the ego goes slower than 8 m/s and has begun to turn left; it went 24 m straight on in the forecast.
    ego_m = (
        future.tracks.position_m[6, 0]
        - (scene.tracks.position_m[6, 0, -1] + torch.arange(1, 13)[:, None] * torch.tensor([4.0, 0.0]))
    ).norm(dim=-1)
    assert mean(sums, "ego", "min_ade") == pytest.approx(float(ego_m.mean()), abs=0.05)
    assert mean(sums, "ego", "min_fde") == pytest.approx(float(ego_m[-1]), abs=0.1)
    one_mode = [mean(sums, WHOLE, f"{which}_ade") for which in ("min", "likeliest", "expected")]
    assert one_mode == pytest.approx([one_mode[0]] * 3)


def test_slices_share_out_the_agents(model, seen):
    found = forecast(imaginers(model)["world_model"], *seen, ego_free=True)
    slices = slices_of(found)
    kinds = sum(slices[kind].int() for kind in ("ego", "vehicle", "cyclist", "pedestrian", "static"))
    assert torch.equal(kinds.bool(), found.counted)
    assert kinds.max() == 1
    speeds = sum(slices[name].int() for name in slices if "m/s" in name)
    assert torch.equal(speeds.bool(), slices[WHOLE])
    assert torch.equal(slices[WHOLE] | slices["static"], found.counted)


def test_best_is_best_and_horizons_end_where_the_whole_does(model, seen):
    found = forecast(imaginers(model)["world_model"], *seen, ego_free=True)
    sums = forecast_sums(found, torch.Generator().manual_seed(0))
    for end in ("ade", "fde"):
        assert mean(sums, WHOLE, f"min_{end}") <= mean(sums, WHOLE, f"likeliest_{end}")
        assert mean(sums, WHOLE, f"min_{end}") <= mean(sums, WHOLE, f"expected_{end}")
        assert sums["6 s"][f"min_{end}"] == pytest.approx(sums[WHOLE][f"min_{end}"])
        assert mean(sums, "1 s", f"min_{end}") < mean(sums, "6 s", f"min_{end}")
    assert sums["6 s"]["min_ade"][1] == float(found.counted[slices_of(found)[WHOLE]].sum())


def test_given_the_ego_only_the_others_count(model, seen):
    found = forecast(imaginers(model)["world_model"], *seen, ego_free=False)
    assert not found.counted[:, 0].any()
    assert found.counted[:, 1:].any()
    scene, future = seen
    without = forecast(imaginers(model)["world_model"], replace(scene, has_ego=torch.zeros_like(scene.has_ego)), future, False)
    assert not without.counted.any()


def test_each_scene_has_one_best_mode(model, seen):
    found = forecast(imaginers(model)["world_model"], *seen, ego_free=True)
    sums = mode_sums(found)
    known = int(slices_of(found)[WHOLE].any((1, 2)).sum())
    assert sum(figures["mode_is_best"][0] for figures in sums.values()) == known
    assert sum(figures["mode_is_best"][1] for figures in sums.values()) == 2 * known  # two modes
    assert sum(figures["mode_probability"][0] for figures in sums.values()) == pytest.approx(known)


def test_unchanged_when_the_world_moves(model, crossroads_log, move_log, seen):
    there = scenes_of(move_log(crossroads_log, torch.tensor([300.0, 80.0, 1.1]).numpy()))
    here = [forecast(imaginers(model)["world_model"], *which, ego_free=True) for which in (seen, there)]
    assert torch.equal(*(joint_best(found) for found in here))
    a, b = (forecast_sums(found, torch.Generator().manual_seed(0)) for found in here)
    for figure in ("min_ade", "expected_fde", "nll"):
        assert_close(mean(a, WHOLE, figure), mean(b, WHOLE, figure), atol=0.02, rtol=0)
