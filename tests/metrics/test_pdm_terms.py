"""Driving direction, lane keeping and progress, worked by hand at 10 Hz."""

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm.metrics.pdm_terms import driving_direction, ego_progress, ego_progress_v1, lane_keeping

DIRECTIONS = {  # name: (speed, first and last step against the traffic, expected)
    "never": (10.0, 0, 0, 1.0),
    "1.9 m": (1.9, 5, 15, 1.0),
    "2.5 m in a quarter second": (10.0, 10, 13, 0.5),
    "8 m in 4 s": (2.0, 1, 41, 0.5),
    "1 m a second throughout": (1.0, 1, 41, 1.0),
    "8 m in 0.8 s": (10.0, 10, 18, 0.0),
    "what lies more than a second apart adds up to nothing": (9.0, 3, 5, 1.0),
}


@pytest.mark.parametrize(("speed", "first", "last", "expected"), DIRECTIONS.values(), ids=DIRECTIONS)
def test_driving_direction(speed, first, last, expected):
    step = torch.arange(41)
    centre_m = torch.stack([0.1 * speed * step, torch.zeros(41)], -1)[None].double()
    assert driving_direction(centre_m, ((first <= step) & (step < last))[None]).tolist() == [expected]


KEEPING = {  # name: (offsets, steps in a junction, expected)
    "on the centre": ([0.0] * 41, [], 1.0),
    "0.6 m beside it for 2 s": ([0.0] * 10 + [0.6] * 20 + [0.0] * 11, [], 0.0),
    "0.6 m beside it for 1.9 s": ([0.0] * 10 + [0.6] * 19 + [0.0] * 12, [], 1.0),
    "0.5 m beside it": ([0.5] * 41, [], 1.0),
    "back once": ([0.6] * 15 + [0.4] + [0.6] * 19 + [0.0] * 6, [], 1.0),
    "a junction joins before and after": ([0.6] * 10 + [3.5] * 11 + [0.6] * 10 + [0.0] * 10, range(10, 21), 0.0),
    "in a junction": ([3.5] * 41, range(41), 1.0),
}


@pytest.mark.parametrize(("offsets", "junction", "expected"), KEEPING.values(), ids=KEEPING)
def test_lane_keeping(offsets, junction, expected):
    inside = torch.zeros(1, 41, dtype=torch.bool)
    inside[0, list(junction)] = True
    assert lane_keeping(tensor([offsets], dtype=torch.float64), inside).tolist() == [expected]


PROGRESS = {  # name: (metres, the reference's, kept, the reference's, v2, v1)
    "half as far": (20.0, 40.0, 1.0, 1.0, 0.5, 0.5),
    "farther than the reference": (50.0, 40.0, 1.0, 1.0, 1.0, 1.0),
    "nobody gets far": (1.0, 4.9, 1.0, 1.0, 1.0, 1.0),
    "backwards": (-3.0, 40.0, 1.0, 1.0, 0.0, 0.0),
    "hits a cone on the way": (40.0, 40.0, 0.5, 1.0, 1.0, 0.5),
    "crashes": (40.0, 40.0, 0.0, 1.0, 1.0, 0.0),
    "crashes where nobody gets far": (3.0, 4.0, 0.0, 1.0, 1.0, 0.0),
    "the reference crashes": (10.0, 40.0, 1.0, 0.0, 1.0, 1.0),
}


@pytest.mark.parametrize(("gained", "reference", "kept", "other", "v2", "v1"), PROGRESS.values(), ids=PROGRESS)
def test_ego_progress(gained, reference, kept, other, v2, v1):
    given = [tensor([x]) for x in (gained, reference, kept, other)]
    assert_close(ego_progress(*given), tensor([v2]))
    assert_close(ego_progress_v1(*given), tensor([v1]))
