"""Averaging over time and denominators, worked by hand."""

import numpy as np
import pytest

from drive_wm.metrics.planning import PROTOCOLS, at_horizons, weights

VALUES = np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.0, 0.0, 0.0, 0.0, 0.0, 12.0]])
ALL = np.ones((2, 6), bool)
FIRST = ALL & [[True], [False]]
HIT = np.array([[False, True, False, False, False, False], [False, False, False, False, True, False]])

TIMES = {  # name: (values, weight, over_time, figures at 1, 2, 3 s)
    "at":                  (VALUES, ALL, "at", (1.0, 2.0, 9.0)),
    "mean up to":          (VALUES, ALL, "mean", (0.75, 1.25, 2.75)),
    "first sample alone":  (VALUES, FIRST, "mean", (1.5, 2.5, 3.5)),
    "hit at":              (HIT, ALL, "at", (0.5, 0.0, 0.0)),
    "share of hits":       (HIT, ALL, "mean", (0.25, 0.125, 1 / 6)),
    "any hit up to":       (HIT, ALL, "any", (0.5, 0.5, 1.0)),
}  # fmt: skip


@pytest.mark.parametrize(("values", "weight", "over_time", "expected"), TIMES.values(), ids=TIMES)
def test_at_horizons(values, weight, over_time, expected):
    assert at_horizons(values, weight, over_time) == pytest.approx(expected)


@pytest.mark.parametrize("over_time", ["at", "mean", "any"])
def test_nothing_counted_is_nan(over_time):
    assert np.isnan(at_horizons(VALUES, ~ALL, over_time)).all()


COUNTS = {"uniad": [2] * 6, "stp3_vad": [1] * 6, "bev_planner": [1] * 6, "sparsedrive": [1] * 6, "strict": [2, 2, 2, 1, 1, 1]}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_denominators(protocol):
    valid = np.array([[True] * 6, [True] * 3 + [False] * 3])
    assert weights(protocol, valid).sum(0).tolist() == COUNTS[protocol]
