"""Polylines by arc length."""

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm.planners.polyline import arc_length_m, project_origin, sample, sample_even, tangents

CORNER = tensor([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]])
ENDED = torch.cat([CORNER, CORNER[-1:], CORNER[-1:]])  # as a route is padded

SAMPLES = {  # name: (points, arc length, expected)
    "a vertex": (CORNER, 4.0, (4.0, 0.0)),
    "within a segment": (CORNER, 5.5, (4.0, 1.5)),
    "beyond the end": (CORNER, 9.0, (4.0, 5.0)),
    "before the start": (CORNER, -2.0, (-2.0, 0.0)),
    "beyond a repeated end": (ENDED, 8.0, (4.0, 4.0)),
}


@pytest.mark.parametrize(("points", "at_m", "expected"), SAMPLES.values(), ids=SAMPLES)
def test_sample(points, at_m, expected):
    assert_close(sample(points, tensor([at_m])), tensor([expected]))


PROJECTIONS = {  # name: (shift of the corner, arc length nearest to the origin)
    "beside the first segment": ((-1.0, 2.0), 1.0),
    "beside the second segment": ((-5.0, -1.0), 5.0),
    "before the start": ((3.0, 1.0), -3.0),
    "past the end": ((-4.0, -5.0), 7.0),
}


@pytest.mark.parametrize(("shift", "expected"), PROJECTIONS.values(), ids=PROJECTIONS)
def test_project_origin(shift, expected):
    assert_close(project_origin(CORNER + tensor(shift)), tensor(expected))


def test_arc_length_of_a_corner():
    assert_close(arc_length_m(CORNER), tensor([0.0, 4.0, 7.0]))


def test_even_sampling_equals_sampling():
    points = torch.stack([torch.arange(10) * 1.5, torch.zeros(10)], dim=-1)
    at_m = tensor([0.0, 0.7, 6.0, 13.5, 20.0])
    assert_close(sample_even(points, at_m, 1.5), sample(points, at_m))


def test_tangents_have_length_one():
    assert_close(tangents(CORNER).norm(dim=-1), torch.ones(3))
