"""Drivable area of a straight road along x, 8 m wide."""

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm.boxes import Boxes
from drive_wm.metrics.drivable import excursion_m, offroad_m, sample_raster
from drive_wm.scene import RASTER_SIZE

CENTRES_M = (torch.arange(RASTER_SIZE) + 0.5) * 0.5
EDGE_M = (4.0 - (CENTRES_M - 50).abs())[None, :, None].expand(1, RASTER_SIZE, RASTER_SIZE)


def box(x, y, yaw=0.0):
    return Boxes(tensor([[[[x, y]]]]), tensor([[[yaw]]]), tensor([[[[4.0, 2.0]]]]))


EXCURSIONS = {  # name: (box, metres outside)
    "inside": (box(10.0, 1.0), 0.0),
    "left wheels 0.5 m outside": (box(10.0, 3.5), 0.5),
    "right of the road": (box(10.0, -6.0), 3.0),
    "across the road": (box(10.0, 3.0, torch.pi / 2), 1.0),
    "beyond the raster": (box(100.0, 30.0), 0.0),
}


@pytest.mark.parametrize(("ego", "expected"), EXCURSIONS.values(), ids=EXCURSIONS)
def test_excursion(ego, expected):
    assert_close(excursion_m(EDGE_M, ego), tensor([[[expected]]]), atol=1e-4, rtol=0)


def test_sampling_is_exact_on_a_plane():
    x_m, y_m = CENTRES_M - 30, CENTRES_M - 50
    plane = torch.stack([x_m.expand(RASTER_SIZE, -1), y_m[:, None].expand(-1, RASTER_SIZE)])[None]
    points = tensor([[[0.0, 0.0], [12.3, -7.7], [-29.0, 49.0]]])
    values, inside = sample_raster(plane, points)
    assert_close(values, points.mT, atol=1e-4, rtol=0)
    assert inside.all()


def test_offroad_is_the_mean_beyond_the_tolerance():
    ego = Boxes(tensor([[[[5.0, 0.0], [5.0, 4.0]]]]), torch.zeros(1, 1, 2), tensor([[[[4.0, 2.0]]]]))
    assert_close(offroad_m(EDGE_M, ego), tensor([[0.5]]), atol=1e-4, rtol=0)
    assert_close(offroad_m(EDGE_M, ego, tolerance_m=0.4), tensor([[0.3]]), atol=1e-4, rtol=0)
