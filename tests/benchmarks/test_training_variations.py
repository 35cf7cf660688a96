"""Laws of the variations: a turn or zoom there and back, what a blob on the map becomes, which steps count."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from drive_wm.benchmarks import training_variations
from drive_wm.benchmarks.training_variations import (
    VariedTraining,
    late_steps_more_often,
    turned,
    turned_at_random,
    turned_future,
    zoomed,
    zoomed_at_random,
    zoomed_future,
)
from drive_wm.config import TINY
from drive_wm.geometry import rotate
from drive_wm.log import Log
from drive_wm.model.world_model import WorldModel
from drive_wm.samples import Batch
from drive_wm.scene import CELL_M, RASTER_LAYERS, RASTER_SIZE, X_RANGE_M, Y_RANGE_M, Scene
from drive_wm.scene_at import scene_at
from drive_wm.structs import cat, tensors

BLOB_M = torch.tensor([12.0, -7.0])
ANGLE_RAD, FACTOR = torch.tensor([0.3]), torch.tensor([1.2])


@pytest.fixture(scope="module")
def batch(crossroads_log: Log) -> Batch:
    scenes, futures = zip(*(scene_at(crossroads_log, step) for step in (4, 7, 9)), strict=True)
    return cat(scenes), cat(futures)


def _cells_m() -> Tensor:
    """Centres of the raster's cells (Y, X, 2)."""
    y, x = (torch.arange(RASTER_SIZE) * CELL_M + CELL_M / 2 + low for low in (Y_RANGE_M[0], X_RANGE_M[0]))
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


def _with_blob(scene: Scene) -> Scene:
    blob = (-(_cells_m() - BLOB_M).square().sum(-1) / 8).exp()
    return replace(scene, raster=blob.expand(1, len(RASTER_LAYERS), -1, -1).clone(), edge_m=blob[None].clone())


def _middle_m(layer: Tensor) -> Tensor:
    return (layer[..., None] * _cells_m()).sum((0, 1)) / layer.sum()


def test_a_blob_on_the_map_turns_about_the_ego(crossroads_scene: Scene) -> None:
    found = turned(_with_blob(crossroads_scene), ANGLE_RAD)
    assert_close(_middle_m(found.raster[0, 0]), rotate(BLOB_M, ANGLE_RAD[0]), atol=0.02, rtol=0)
    assert_close(found.edge_m.sum(), _with_blob(crossroads_scene).edge_m.sum(), rtol=1e-3, atol=0)


def test_lanes_on_the_map_turn_with_it(crossroads_scene: Scene) -> None:
    ahead = [1.0 if layer == "lane_cos" else 0.0 for layer in RASTER_LAYERS]
    scene = replace(crossroads_scene, raster=torch.tensor(ahead)[None, :, None, None].expand(1, -1, 200, 200).clone())
    raster = turned(scene, ANGLE_RAD).raster[0, :, 100, 100]
    assert_close(raster[RASTER_LAYERS.index("lane_cos")], ANGLE_RAD[0].cos())
    assert_close(raster[RASTER_LAYERS.index("lane_sin")], ANGLE_RAD[0].sin())


def test_a_blob_on_the_map_moves_away_from_the_ego_and_grows(crossroads_scene: Scene) -> None:
    found = zoomed(_with_blob(crossroads_scene), FACTOR)
    assert_close(_middle_m(found.raster[0, 0]), BLOB_M * FACTOR, atol=0.02, rtol=0)
    # The area grows with the square, and so do distances to the border with the factor.
    larger = found.raster[0, 0].sum() / _with_blob(crossroads_scene).raster[0, 0].sum()
    assert_close(larger, FACTOR[0] ** 2, rtol=1e-3, atol=0)
    assert_close(found.edge_m[0], found.raster[0, 0] * FACTOR, rtol=1e-4, atol=1e-6)


def test_what_is_turned_or_zoomed_and_back_is_as_before(crossroads_log: Log) -> None:
    scene, future = scene_at(crossroads_log, 6)
    for there_and_back, then in (
        (turned(turned(scene, ANGLE_RAD), -ANGLE_RAD), turned_future(turned_future(future, ANGLE_RAD), -ANGLE_RAD)),
        (zoomed(zoomed(scene, FACTOR), 1 / FACTOR), zoomed_future(zoomed_future(future, FACTOR), 1 / FACTOR)),
    ):
        found = tensors(there_and_back, "scene.") | tensors(then, "future.")
        for name, value in (tensors(scene, "scene.") | tensors(future, "future.")).items():
            if name not in ("scene.raster", "scene.edge_m"):
                assert_close(found[name], value, atol=1e-4, rtol=1e-5, msg=name)


def test_who_drives_twice_as_far_drives_twice_as_fast(crossroads_log: Log) -> None:
    scene, future = scene_at(crossroads_log, 6)
    larger, then = zoomed(scene, torch.tensor([2.0])), zoomed_future(future, torch.tensor([2.0]))
    for name in ("position_m", "velocity_mps", "size_m"):
        assert_close(getattr(larger.tracks, name), 2 * getattr(scene.tracks, name))
    assert_close(then.tracks.position_m, 2 * future.tracks.position_m)
    assert_close(then.ego_pose, future.ego_pose * torch.tensor([2.0, 2.0, 1.0]))
    assert_close(larger.tracks.yaw_rad, scene.tracks.yaw_rad)


@pytest.mark.parametrize("variation", [turned_at_random, zoomed_at_random])
def test_views_of_targets_alone_are_turned_and_zoomed(variation: training_variations.Variation, batch: Batch) -> None:
    scene, future = batch
    random = torch.Generator().manual_seed(0)
    assert variation(scene, future, random) == (scene, future)
    of_targets = replace(scene, has_ego=torch.zeros_like(scene.has_ego))
    varied, then = variation(of_targets, future, random)
    assert not torch.equal(varied.tracks.position_m, scene.tracks.position_m)
    assert not torch.equal(then.tracks.position_m, future.tracks.position_m)


def test_late_steps_count_more_often(batch: Batch) -> None:
    scene, future = batch
    shown = replace(future, tracks=replace(future.tracks, valid=torch.ones_like(future.tracks.valid)))
    random, counted = torch.Generator().manual_seed(0), []
    for _ in range(400):
        valid = late_steps_more_often(scene, shown, random)[1].tracks.valid
        assert bool((valid == valid[:, :1]).all())  # of all agents alike
        counted.append(valid[:, 0].double())
    share = torch.stack(counted).mean((0, 1))
    assert share[-1] == 1.0
    assert_close(share, torch.arange(1, 13).double() / 12, atol=0.05, rtol=0)


def test_the_expected_path_is_left_out(batch: Batch) -> None:
    learner = VariedTraining(TINY, WorldModel(TINY.model), late_steps_more_often, expects=False)
    assert float(learner.losses(*batch, True).expected_m.abs().max()) == 0.0
