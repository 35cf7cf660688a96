"""Laws of the variations: who is told nothing goes straight on, who is free has no limits, what is cut off is not seen."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from drive_wm.benchmarks.model_variations import FREE_MPS, ModelVariation, free, sees_half_as_far, sees_half_as_fine
from drive_wm.config import TINY
from drive_wm.kinematics import DT_S, MAX_ACCEL_MPS2
from drive_wm.log import STATIC, VEHICLE, Log
from drive_wm.model.world_model import WorldModel
from drive_wm.rollouts import Rollouts
from drive_wm.scene import RASTER_SIZE, Scene
from drive_wm.scene_at import scene_at
from drive_wm.train import logged_plan


@pytest.fixture
def model() -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(TINY.model).eval()


def _told(model: WorldModel, ahead: float, left: float) -> WorldModel:
    """Whatever the scene, each agent is told these two numbers in each step."""
    with torch.no_grad():
        model.dynamics.act.weight.zero_()
        model.dynamics.act.bias.copy_(torch.tensor([ahead, left, 0.0, 0.0]))
    return model


def _moved(scene: Scene, rollouts: Rollouts) -> tuple[Tensor, Tensor]:
    """Velocities now (N, 2) and imagined (N, T, 2) of the vehicles other than the ego."""
    chosen = (scene.tracks.kind == VEHICLE) & scene.tracks.valid[..., -1]
    chosen[:, 0] = False
    return scene.tracks.velocity_mps[:, :, -1][chosen], rollouts.velocity_mps[:, 0, 0][chosen]


@torch.no_grad()
def test_who_is_told_nothing_goes_straight_on(model: WorldModel, crossroads_scene: Scene) -> None:
    rollouts = free(_told(model, 0.0, 0.0)).imagine(crossroads_scene)
    now_mps, later_mps = _moved(crossroads_scene, rollouts)
    assert_close(later_mps, now_mps[:, None].expand_as(later_mps), atol=1e-4, rtol=0)


@torch.no_grad()
def test_nothing_limits_who_is_free(model: WorldModel, crossroads_scene: Scene) -> None:
    limited = _told(model, 5.0, 0.0).imagine(crossroads_scene)
    freed = free(model).imagine(crossroads_scene)
    (now_mps, by_limits_mps), (_, freely_mps) = (_moved(crossroads_scene, x) for x in (limited, freed))
    assert (by_limits_mps[:, 0].norm(dim=-1) <= now_mps.norm(dim=-1) + MAX_ACCEL_MPS2 * DT_S + 1e-3).all()
    change_mps = (freely_mps[:, 0] - now_mps).norm(dim=-1)
    assert_close(change_mps, torch.full_like(change_mps, 5 * FREE_MPS))


@torch.no_grad()
def test_the_ego_keeps_to_its_plan_and_what_stands_stays(model: WorldModel, crossroads_log: Log) -> None:
    seen, future = scene_at(crossroads_log, 6)
    tracks = seen.tracks
    kind = tracks.kind.clone()
    kind[:, 1] = STATIC
    scene = replace(seen, tracks=replace(tracks, kind=kind))
    plan = logged_plan(scene, future)
    limited = _told(model, 1.0, 1.0).imagine(scene, plan)
    freed = free(model).imagine(scene, plan)
    assert_close(freed.position_m[..., :2, :, :], limited.position_m[..., :2, :, :])
    assert not torch.equal(freed.position_m, limited.position_m)


@pytest.mark.parametrize("variation", [sees_half_as_far, sees_half_as_fine])
@torch.no_grad()
def test_what_is_cut_off_is_not_seen(model: WorldModel, crossroads_scene: Scene, variation: ModelVariation) -> None:
    raster = crossroads_scene.raster
    changed = raster.clone()
    if variation is sees_half_as_far:  # of x from -30 to 70 m and y from -50 to 50 m, -15 to 35 m and -25 to 25 m are left
        changed[..., :50, :] = changed[..., 150:, :] = changed[..., :, :30] = changed[..., :, 130:] = 1.0
    else:  # two of four cells change places
        changed = changed.unflatten(-1, (RASTER_SIZE // 2, 2)).flip(-1).flatten(-2)
    scene, other = crossroads_scene, replace(crossroads_scene, raster=changed)
    assert not torch.equal(model.bev(scene), model.bev(other))
    whole = model.bev(scene)
    cut = variation(model).bev
    assert not torch.equal(cut(scene), whole)
    assert_close(cut(scene), cut(other))
