"""Forecasts of single agents: baselines by hand, and what the world model's may depend on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from drive_wm.benchmarks.prediction_forecast import (
    MODES,
    baseline_forecast,
    forecast_egos,
    known_baseline,
    model_forecast,
)
from drive_wm.benchmarks.prediction_tables import helper_of
from drive_wm.benchmarks.prediction_targets import STEPS, Target
from drive_wm.config import TINY
from drive_wm.datasets.sumo_cut import mirrored as mirrored_log
from drive_wm.errors import InputError
from drive_wm.mirror import mirrored
from drive_wm.model.world_model import WorldModel

LEADER, CROSSING, ONCOMING = 0, 1, 2
TARGETS = [Target(0, ONCOMING, 5), Target(0, CROSSING, 3), Target(0, LEADER, 8)]


def random_model(seed):
    torch.manual_seed(seed)
    model = WorldModel(TINY.model).eval()
    torch.nn.init.normal_(model.dynamics.act.weight, std=0.3)  # away from constant velocity
    return model


@pytest.fixture(scope="module")
def model():
    return random_model(0)


@pytest.fixture(scope="module")
def forecasts(model, crossroads_log):
    return model_forecast(model)(crossroads_log, TARGETS)


def test_constant_velocity_by_hand(crossroads_log):
    """The oncoming car keeps 11 m/s: constant velocity is exact, and the best of four models is no worse."""
    helper = helper_of([crossroads_log])
    truth = crossroads_log.position_m[ONCOMING, 6:18]
    for name in ("constant_velocity", "physics_oracle"):
        (found,) = baseline_forecast(known_baseline(name), helper)(crossroads_log, TARGETS[:1])
        assert (found.instance, found.sample) == ("oncoming", "keyframe-5")
        assert found.probabilities.tolist() == [1]
        np.testing.assert_allclose(found.prediction[0], truth, atol=1e-6)


def test_unknown_baseline():
    with pytest.raises(InputError, match=r"No baseline 'kalman'; known: constant_velocity, physics_oracle"):
        known_baseline("kalman")


def test_forecasts_are_what_the_challenge_takes(forecasts, crossroads_log):
    assert [(one.instance, one.sample) for one in forecasts] == [
        ("oncoming", "keyframe-5"), ("crossing", "keyframe-3"), ("leader", "keyframe-8"),
    ]  # fmt: skip
    for target, one in zip(TARGETS, forecasts, strict=True):
        assert one.prediction.shape == (MODES, STEPS, 2)
        assert one.probabilities.sum() == pytest.approx(1.0)
        now = crossroads_log.position_m[target.agent, target.step]
        assert np.linalg.norm(one.prediction[:, 0] - now, axis=-1).max() < 12  # half a second


@pytest.mark.parametrize("seed", range(19))
def test_a_mirrored_scene_is_forecast_mirrored(seed, crossroads_batch):
    """Whatever the model: half of what it imagines is seen in a mirror, and no tie is broken by a side of its own."""
    model, here = random_model(seed), torch.zeros(len(crossroads_batch.command), 3, dtype=torch.float64)
    paths_m, likely = forecast_egos(model, crossroads_batch, here)
    turned_m, turned_likely = forecast_egos(model, mirrored(crossroads_batch), here)
    torch.testing.assert_close(turned_m * torch.tensor([1.0, -1.0]), paths_m, atol=1e-3, rtol=0)
    torch.testing.assert_close(turned_likely, likely, atol=1e-5, rtol=0)


def test_a_mirrored_world_is_forecast_mirrored(model, crossroads_log):
    """From the log on: its map, drawn anew, differs a little from the map in the mirror."""
    flip = np.array([1.0, -1.0])
    here = model_forecast(model)(crossroads_log, TARGETS)
    there = model_forecast(model)(mirrored_log(crossroads_log), TARGETS)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(other.prediction * flip, one.prediction, atol=2e-2)
        np.testing.assert_allclose(other.probabilities, one.probabilities, atol=1e-3)


def test_nothing_after_the_keyframe_goes_in(model, forecasts, crossroads_log):
    blind = replace(
        crossroads_log,
        position_m=np.where(np.arange(24)[:, None] > 8, 1e4, crossroads_log.position_m),
        valid=crossroads_log.valid & (np.arange(24) <= 8),
        ego_pose=np.where(np.arange(24)[:, None] > 8, -1e4, crossroads_log.ego_pose),
    )
    for before, after in zip(forecasts, model_forecast(model)(blind, TARGETS), strict=True):
        np.testing.assert_array_equal(before.prediction, after.prediction)


def test_batches_change_nothing(model, forecasts, crossroads_log):
    for before, after in zip(forecasts, model_forecast(model, batch=1)(crossroads_log, TARGETS), strict=True):
        np.testing.assert_allclose(before.prediction, after.prediction, atol=1e-3)


def test_forecasts_move_with_the_world(model, forecasts, crossroads_log, move_log):
    """A turned and shifted world: the forecasts turn and shift with it."""
    pose = np.array([-350.0, 1200.0, 2.1])
    turn = np.array([[np.cos(pose[2]), np.sin(pose[2])], [-np.sin(pose[2]), np.cos(pose[2])]])
    moved = model_forecast(model)(move_log(crossroads_log, pose), TARGETS)
    for before, after in zip(forecasts, moved, strict=True):
        np.testing.assert_allclose(before.prediction @ turn + pose[:2], after.prediction, atol=0.05)
