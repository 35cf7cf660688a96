from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from drive_wm.config import TINY
from drive_wm.model.bev_encoder import LOOKS, BevEncoder, look, look_rows, occupancy, sample
from drive_wm.scene import RASTER_SIZE, Scene


@pytest.fixture
def encoder() -> BevEncoder:
    torch.manual_seed(0)
    encoder = BevEncoder(TINY.model.bev)
    torch.nn.init.normal_(encoder.refine.weight, std=0.1)  # an untrained one leaves out what is coarse
    return encoder


def test_occupancy_by_hand(crossroads_scene: Scene) -> None:
    """A box of 4 m x 2 m, 10 m ahead, at 5 m/s: eight cells of 1 m."""
    tracks = crossroads_scene.tracks.map(lambda x: torch.zeros_like(x[:, :1]))
    tracks.position_m[..., 0] = 10.0
    tracks.velocity_mps[..., 0] = 5.0
    tracks.size_m[:] = torch.tensor([4.0, 2.0])
    tracks = replace(tracks, valid=torch.ones_like(tracks.valid))
    now, along, across, before = occupancy(tracks)[0]
    expected = torch.zeros(100, 100)
    expected[49:51, 38:42] = 1.0  # rows from y = -50 m, columns from x = -30 m
    assert_close(now, expected)
    assert_close(before, expected)
    assert_close(along, expected / 2)
    assert not across.any()


def test_what_lies_far_around_reaches_a_cell_through_the_coarse_map(encoder: BevEncoder, crossroads_scene: Scene) -> None:
    """A point 20 m from a cell is beyond what the fine map of TINY sees of it."""
    changed = crossroads_scene.raster.clone()
    changed[:, :, 100, 140] += 1.0  # at x = 40 m, y = 0; cell (25, 25) of the features is at x = 21 m
    with torch.no_grad():
        before, after = (encoder(replace(crossroads_scene, raster=raster)) for raster in (crossroads_scene.raster, changed))
        torch.nn.init.zeros_(encoder.refine.weight)
        without = [encoder(replace(crossroads_scene, raster=raster)) for raster in (crossroads_scene.raster, changed)]
    assert not torch.equal(before[0, :, 25, 25], after[0, :, 25, 25])
    assert torch.equal(without[0][0, :, 25, 25], without[1][0, :, 25, 25])


def test_the_map_is_read_as_by_one_convolution_over_nine_channels(encoder: BevEncoder, crossroads_batch: Scene) -> None:
    """Eight layers and one that is 1 where there is a raster; what a raster that does not count holds is not read."""
    scene = replace(crossroads_batch, has_raster=torch.tensor([True, False, True]))
    assert scene.raster[1].any()
    flag = scene.has_raster.float()[:, None, None, None]
    nine = torch.cat([scene.raster * flag, flag.expand(-1, 1, RASTER_SIZE, RASTER_SIZE)], dim=1)
    with torch.no_grad():
        assert_close(encoder.shrunk_map(scene), encoder.shrink_map(nine))


def test_bfloat16_is_near_and_gives_float32(encoder: BevEncoder, crossroads_scene: Scene) -> None:
    with torch.no_grad():
        exact = encoder(crossroads_scene)
        encoder.bf16 = True
        rounded = encoder(crossroads_scene)
    assert rounded.dtype == torch.float32
    assert rounded.is_contiguous()
    assert 0 < (rounded - exact).abs().mean() < 0.01 * exact.abs().mean()


def test_looks_add_what_samples_times_weights_would() -> None:
    """Two maps, points inside, on the border, one cell beyond it and far away."""
    random = torch.Generator().manual_seed(0)
    features, weights = torch.randn(2, 6, 50, 50, generator=random), torch.randn(LOOKS, 6, 4, generator=random)
    edges_m = torch.tensor([-1e4, -52.0, -50.0, -49.0, -31.0, -30.0, 0.3, 48.0, 50.0, 51.0, 70.0, 71.5, 1e4])
    x_m, y_m = torch.cartesian_prod(edges_m, edges_m).T
    x_m = torch.cat([x_m, torch.empty(200).uniform_(-40, 80, generator=random)])
    y_m = torch.cat([y_m, torch.empty(200).uniform_(-60, 60, generator=random)])
    # Each map and each look reads the points in another order.
    order = torch.stack([torch.randperm(len(x_m), generator=random) for _ in range(2 * LOOKS)]).reshape(2, LOOKS, -1).mT
    points_m = torch.stack([x_m[order], y_m[order]], dim=-1)
    expected = torch.einsum("bnld,ldw->bnw", sample(features, points_m), weights)
    assert expected.abs().max() > 1
    assert_close(look(look_rows(features, weights), features, *points_m.unbind(-1)), expected, atol=1e-4, rtol=0)
