"""TensorStruct: flat names and back, slices, stacking."""

from dataclasses import FrozenInstanceError

import pytest
import torch
from torch.testing import assert_close

from drive_wm.scene import Scene
from drive_wm.structs import cat, from_tensors, tensors


def test_flat_names_reach_every_depth(crossroads_scene: Scene):
    flat = tensors(crossroads_scene)
    assert {"raster", "tracks.position_m", "lanes.successor", "elements.kind"} <= set(flat)
    assert flat["tracks.position_m"] is crossroads_scene.tracks.position_m


def test_from_tensors_undoes_tensors(crossroads_scene: Scene):
    assert tensors(from_tensors(Scene, tensors(crossroads_scene))) == tensors(crossroads_scene)


def test_a_missing_name_is_named(crossroads_scene: Scene):
    flat = tensors(crossroads_scene)
    del flat["lanes.left"]
    with pytest.raises(KeyError, match=r"lanes\.left"):
        from_tensors(Scene, flat)


def test_slices_of_a_stack_are_its_parts(crossroads_batch: Scene):
    again = cat([crossroads_batch[:1], crossroads_batch[torch.tensor([1, 2])]])
    assert_close(tensors(again), tensors(crossroads_batch), rtol=0, atol=0)


def test_map_reaches_every_tensor_and_changes_nothing_in_place(crossroads_scene: Scene):
    before = crossroads_scene.raster.clone()
    shapes = {x.shape[0] for x in tensors(crossroads_scene.map(lambda x: torch.cat([x, x]))).values()}
    assert shapes == {2}
    assert_close(crossroads_scene.raster, before, rtol=0, atol=0)
    with pytest.raises(FrozenInstanceError):
        crossroads_scene.raster = before
