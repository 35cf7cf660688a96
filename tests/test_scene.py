"""Scene.check names the field, what was found and what is needed."""

from dataclasses import replace

import pytest
import torch

from drive_wm.errors import InputError
from drive_wm.scene import Scene, ego_speed_mps


def tracks(scene: Scene, **changes) -> Scene:
    return replace(scene, tracks=replace(scene.tracks, **changes))


def lanes(scene: Scene, **changes) -> Scene:
    return replace(scene, lanes=replace(scene.lanes, **changes))


def spoilt(values: torch.Tensor, index: tuple, value: float) -> torch.Tensor:
    values = values.clone()
    values[index] = value
    return values


BAD = {  # name: (change, what the message holds)
    "a shape": (lambda s: tracks(s, yaw_rad=s.tracks.yaw_rad[:, :-1]), ["tracks.yaw_rad", "(1, 31, 5)", "(1, 32, 5)"]),
    "positions in space": (lambda s: tracks(s, position_m=torch.zeros(1, 32, 5, 3)), ["tracks.position_m", "(B, A, T, 2)"]),
    "a raster of another size": (lambda s: replace(s, raster=s.raster[..., :100]), ["raster", "(1, 8, 200, 200)"]),
    "a flag without the batch axis": (lambda s: replace(s, has_ego=s.has_ego[0]), ["has_ego"]),
    "not a number": (lambda s: replace(s, edge_m=spoilt(s.edge_m, (0, 3, 4), torch.nan)), ["edge_m", "(0, 3, 4)"]),
    "infinite": (lambda s: lanes(s, yaw_rad=spoilt(s.lanes.yaw_rad, (0, 2, 1), torch.inf)), ["lanes.yaw_rad", "(0, 2, 1)"]),
    "a link too far": (lambda s: lanes(s, left=spoilt(s.lanes.left, (0, 0), 96)), ["lanes.left", "-1 to 95"]),
    "a link of -2": (lambda s: lanes(s, successor=spoilt(s.lanes.successor, (0, 0, 0), -2)), ["lanes.successor"]),
    "a size of zero": (lambda s: tracks(s, size_m=spoilt(s.tracks.size_m, (0, 1, 0), 0.0)), ["tracks.size_m", "positive"]),
}


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD)
def test_check_names_the_field(crossroads_scene: Scene, change, words):
    with pytest.raises(InputError) as caught:
        change(crossroads_scene).check()
    assert all(word in str(caught.value) for word in [*words, "needed"]), str(caught.value)


def test_a_sound_scene_passes(crossroads_scene: Scene, crossroads_batch: Scene):
    crossroads_scene.check()
    crossroads_batch.check()


def test_ego_speed_is_forward_and_never_negative(crossroads_scene: Scene):
    backing = spoilt(crossroads_scene.tracks.velocity_mps, (0, 0, -1, 0), -1.5)
    assert ego_speed_mps(tracks(crossroads_scene, velocity_mps=backing)).tolist() == [0.0]
    assert ego_speed_mps(crossroads_scene).tolist() == pytest.approx([8.0], abs=1e-4)
