"""Calibration: spread fits what happened, and nothing else of what is imagined moves."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.testing import assert_close

from drive_wm.calibrate import Explained, calibrate, explained, fit_spread
from drive_wm.checkpoint import Origin, load_weights, save_weights
from drive_wm.config import TINY
from drive_wm.datasets.cache import open_cache, write_cache
from drive_wm.errors import InputError
from drive_wm.log import STATIC, Log
from drive_wm.losses import laplace_nll
from drive_wm.metrics.calibration import laplace_level
from drive_wm.model.dynamics import MIN_SPREAD_M, grown_m2
from drive_wm.model.world_model import WorldModel
from drive_wm.rollouts import Rollouts
from drive_wm.scene import Future, Scene, SceneConfig
from drive_wm.scene_at import scene_at


def world_model() -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(TINY.model).eval()


def spread_m(model: WorldModel, hidden: Tensor) -> Tensor:
    """(N, M, T, 2)"""
    said = linear(hidden, model.dynamics.act.weight[2:], model.dynamics.act.bias[2:])
    return (MIN_SPREAD_M**2 + grown_m2(said).cumsum(2)).sqrt().detach()


def laplace(like: Tensor) -> Tensor:
    """Noise of standard deviation 1."""
    return torch.distributions.Laplace(0.0, 2**-0.5).sample(like.shape)


def one_mode(true: WorldModel, agents: int) -> Explained:
    """Agents that scatter about one mode as `true` says."""
    hidden = torch.randn(agents, 1, 12, true.config.dynamics.width)
    width_m = spread_m(true, hidden)
    return Explained(hidden, laplace(width_m) * width_m, torch.zeros(agents, 1), torch.ones(agents, 12).bool())


def test_a_spread_that_was_wrong_covers_as_it_says() -> None:
    true, wrong = world_model(), world_model()
    with torch.no_grad():
        true.dynamics.act.weight[2:] *= 20
        true.dynamics.act.bias[2:] = torch.tensor([1.0, -1.0])
    seen, fresh = one_mode(true, 4000), one_mode(true, 4000)
    before = laplace_level(fresh.error_m, spread_m(wrong, fresh.hidden))
    assert (before < 0.5).float().mean((0, 1, 2))[0] < 0.4
    fit_spread(wrong, seen)
    after = laplace_level(fresh.error_m, spread_m(wrong, fresh.hidden))
    for share in (0.5, 0.9):
        assert_close((after < share).float().mean((0, 1, 2)), torch.full((2,), share), atol=0.015, rtol=0)


def test_likelier_modes_answer_for_more() -> None:
    """Two modes 8 m apart of which the first happens in four of five cases, without scatter: both are told narrow."""
    model = world_model()
    hidden = torch.randn(2000, 2, 12, model.config.dynamics.width)
    second = torch.rand(2000) < 0.2
    error_m = torch.zeros(2000, 2, 12, 2)
    error_m[second, 0, :, 0], error_m[~second, 1, :, 0] = 8.0, -8.0
    fit_spread(model, Explained(hidden, error_m, torch.tensor([[0.8, 0.2]]).log().expand(2000, 2), torch.ones(2000, 12).bool()))
    assert spread_m(model, hidden).max() < 0.3


def test_what_is_explained_is_what_the_losses_see(crossroads_scene: Scene, crossroads_log: Log) -> None:
    model = world_model()
    scene, future = scene_at(crossroads_log, 10)
    assert scene.tracks.kind.shape == crossroads_scene.tracks.kind.shape
    seen = explained(model, scene, future)
    there = future.tracks.valid & scene.tracks.valid[..., -1:] & (scene.tracks.kind != STATIC)[..., None]
    agents = there.any(-1)[0].nonzero()[:, 0]
    rollouts: Rollouts = model.imagine(scene)
    assert torch.equal(seen.valid, there[0, agents])
    assert_close(spread_m(model, seen.hidden), rollouts.spread_m[0, 0, :, agents].transpose(0, 1), atol=1e-5, rtol=1e-5)
    nll = laplace_nll(rollouts, future)[0, 0, :, agents].transpose(0, 1)
    width_m = spread_m(model, seen.hidden)
    from_errors = ((2**0.5 * width_m).log() + 2**0.5 * seen.error_m.abs() / width_m).sum(-1)
    assert_close(from_errors[seen.valid[:, None].expand_as(nll)], nll[seen.valid[:, None].expand_as(nll)], atol=1e-3, rtol=1e-4)


@pytest.fixture(scope="module")
def cache(crossroads_log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("calibrate") / "cache"
    logs = iter([replace(crossroads_log, name=f"crossroads-{i}") for i in range(2)])
    write_cache(logs, out, "test", "1", "all", SceneConfig(), lambda done, total, note: None)
    return out


def test_only_spread_changes(cache: Path, tmp_path: Path) -> None:
    before = tmp_path / "before.safetensors"
    save_weights(world_model(), Origin(("drives of yesterday",), "drive-wm train", "Apache-2.0"), before)
    out = calibrate(str(before), [cache], tmp_path / "after.safetensors", every=2, stride=4, command="drive-wm calibrate")
    (old, _), (new, origin) = load_weights(str(before)), load_weights(str(out))
    assert origin.command == "drive-wm calibrate"
    assert origin.trained_on == ("drives of yesterday", "test 1 all (2 logs)")
    scene, future = sample(cache)
    was, now = old.imagine(scene), new.imagine(scene)
    for name in ("position_m", "yaw_rad", "velocity_mps", "mode_logits"):
        assert torch.equal(getattr(was, name), getattr(now, name)), name
    assert torch.equal(was.expected.pose, now.expected.pose)
    counted = future.tracks.valid & (scene.tracks.valid[..., -1] & (scene.tracks.kind != STATIC))[..., None]
    assert laplace_nll(now, future)[0, 0].mean(0)[counted[0]].mean() < laplace_nll(was, future)[0, 0].mean(0)[counted[0]].mean()


def sample(cache: Path) -> tuple[Scene, Future]:
    return open_cache(cache).sample(8)


def test_no_drive_held_out_is_an_error(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="smaller --every"):
        calibrate("synthetic", [cache], tmp_path / "w.safetensors", every=10, stride=1)
    assert not (tmp_path / "w.safetensors").exists()
