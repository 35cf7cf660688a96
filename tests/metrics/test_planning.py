"""Averaging over time and denominators, worked by hand."""

import numpy as np
import pytest

from drive_wm.metrics.planning import PROTOCOLS, at_horizons, footprints, hits, weights

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


STRAIGHT = np.array([[0.0, 3.0 * step] for step in range(1, 7)])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("path", [STRAIGHT, STRAIGHT[:, ::-1] * (1.0, 0.0)], ids=["ahead", "to the right"])
def test_a_box_hits_within_the_footprint_and_not_beyond(protocol, path):
    """Cells and rounding move an edge by less than 0.7 m: boxes of 0.2 m stand that far inside and outside each edge."""
    valid = np.ones(6, bool)
    x, y, length, width, yaw = footprints(protocol, path, valid)[3]
    for half, turned in ((length / 2, yaw), (width / 2, yaw + np.pi / 2)):
        for at_m, expected in ((half - 0.7, True), (half + 1.0, False)):
            for side in (1, -1):
                box = [[x + side * at_m * np.cos(turned), y + side * at_m * np.sin(turned), 0.2, 0.2, 0.0]]
                found = hits(protocol, path[None, None], valid[None], np.array(box), np.array([3]))
                assert found[0, 0].tolist() == [False] * 3 + [expected] + [False] * 2, (half, at_m, side)
