"""Lane terms on one lane along x."""

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm.metrics.lane import FAR_ACROSS_M, against_raster, fit_to_lanes, wrong_way_m
from drive_wm.scene import RASTER_LAYERS, RASTER_SIZE, Lanes


def lane(*yaws):
    """One lane of 20 m through (10, 0) per yaw, and one of padding."""
    along = torch.linspace(-10, 10, 10)
    rows = [torch.stack([10 + along * yaw.cos(), along * yaw.sin()], dim=-1) for yaw in tensor(yaws)]
    count = len(yaws) + 1
    none = torch.full((1, count), -1)
    return Lanes(
        position_m=torch.stack([*rows, torch.zeros(10, 2)])[None],
        yaw_rad=tensor([*yaws, 0.0])[None, :, None].expand(1, count, 10),
        successor=none[..., None].expand(1, count, 3),
        left=none,
        right=none,
        in_junction=none > 0,
        valid=(torch.arange(count) < len(yaws))[None],
    )


ALONG, AGAINST = 0.0, torch.pi
FITS = {  # name: (pose, lanes, against, offset)
    "on the centre": ((5.0, 0.0, 0.0), lane(ALONG), False, 0.0),
    "1 m to the left": ((5.0, 1.0, 0.1), lane(ALONG), False, 1.0),
    "the wrong way": ((5.0, 0.5, 0.0), lane(AGAINST), True, FAR_ACROSS_M),
    "two ways overlap": ((9.0, 0.5, 0.0), lane(AGAINST, ALONG), False, 0.5),
    "across": ((10.0, 0.0, torch.pi / 2), lane(ALONG), False, FAR_ACROSS_M),
    "no lane here": ((5.0, 20.0, 0.0), lane(AGAINST), False, FAR_ACROSS_M),
    "only padding here": ((0.0, 0.0, torch.pi), lane(), False, FAR_ACROSS_M),
}


@pytest.mark.parametrize(("pose", "lanes", "against", "offset_m"), FITS.values(), ids=FITS)
def test_fit_to_lanes(pose, lanes, against, offset_m):
    fit = fit_to_lanes(tensor([[[pose]]]), lanes)
    assert fit.against.item() is against
    assert_close(fit.offset_m, tensor([[[offset_m]]]), atol=1e-5, rtol=0)


def test_the_raster_tells_the_way():
    raster = torch.zeros(1, len(RASTER_LAYERS), RASTER_SIZE, RASTER_SIZE)
    raster[:, RASTER_LAYERS.index("lane_cos"), :100] = 1.0  # y < 0 runs along x
    raster[:, RASTER_LAYERS.index("lane_cos"), 100:] = -1.0
    pose = tensor([[[(10.0, -3.0, 0.0), (10.0, 3.0, 0.0), (10.0, 3.0, torch.pi), (10.0, 3.0, torch.pi / 2)]]])
    assert against_raster(pose, raster).tolist() == [[[False, True, False, False]]]


def test_wrong_way_counts_metres():
    assert_close(wrong_way_m(tensor([[[True, False, True]]]), tensor([[[4.0, 4.0, 6.0]]])), tensor([[5.0]]))
