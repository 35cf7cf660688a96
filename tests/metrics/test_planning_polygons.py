"""Headings and rectangles of the `sparsedrive` and `strict` protocols."""

import json
from math import atan2, pi

import numpy as np
import pytest
import shapely

from drive_wm.metrics.planning_grid import box_corners_m
from drive_wm.metrics.planning_polygons import sparsedrive_hits, sparsedrive_yaw_rad, strict_hits, strict_yaw_rad

ALL = (True,) * 6
AHEAD = [(0.0, y) for y in range(2, 14, 2)]
RIGHT = [(x, 0.0) for x in range(2, 14, 2)]
PARKED = [(0.0, 0.0)] * 6
STOPS_RIGHT = [(2.0, 0.0), *[(4.0, 0.0)] * 5]
QUARTER = pi / 2

YAWS = {  # name: (path, sparsedrive's headings, strict's headings)
    "ahead":          (AHEAD, [QUARTER] * 6, [QUARTER] * 6),
    "to the right":   (RIGHT, [0.0] * 6, [0.0] * 6),
    "parked":         (PARKED, [QUARTER] * 6, [QUARTER] * 6),
    "starts and stops": ([(0.0, 2.0), *[(0.0, 4.0)] * 5], [QUARTER] * 2 + [0.0] * 4, [QUARTER] * 6),
    "stops, right":   (STOPS_RIGHT, [0.0] * 6, [0.0] * 6),
    "lane change":    ([(0.0, 2.0), (1.0, 4.0), (2.0, 6.0), (2.0, 8.0), (2.0, 10.0), (2.0, 12.0)],
                       [atan2(4, 1), atan2(4, 2), atan2(4, 1), QUARTER, QUARTER, QUARTER],
                       [atan2(4, 1), atan2(4, 2), atan2(4, 1), QUARTER, QUARTER, QUARTER]),
}  # fmt: skip


@pytest.mark.parametrize(("path", "sparsedrive", "strict"), YAWS.values(), ids=YAWS)
def test_headings(path, sparsedrive, strict):
    path = np.array(path)
    np.testing.assert_allclose(sparsedrive_yaw_rad(path), sparsedrive, atol=1e-6)
    np.testing.assert_allclose(strict_yaw_rad(path, np.array(ALL)), strict, atol=1e-12)


def test_headings_equal_the_golden_ones(outside_data):
    cases = json.loads(outside_data("golden/planning_metrics.json").read_text())["cases"]
    cases = [case for case in cases if "sparsedrive" in case]
    yaw_rad = sparsedrive_yaw_rad(np.array([case["pred"] for case in cases]))
    golden = np.array([case["sparsedrive"]["yaw_pred"] for case in cases])
    np.testing.assert_allclose(np.exp(1j * yaw_rad), np.exp(1j * golden), atol=1e-6)


def test_strict_headings_never_read_a_missing_step():
    valid = np.array([True, True, True, False, False, True])
    path = np.array(AHEAD)
    path[3:] = 0.0
    yaw_rad = strict_yaw_rad(path, valid)
    np.testing.assert_allclose(yaw_rad, [QUARTER] * 6)


EGO_REACHES_M = 4.084 / 2 + 0.5
TOUCH = {  # name: (metres between the ego's front and the box, hit)
    "overlap by a centimetre": (-0.01, True),
    "clear by a centimetre": (0.01, False),
}


@pytest.mark.parametrize(("gap_m", "hit"), TOUCH.values(), ids=TOUCH)
def test_the_front_of_the_ego_meets_a_box_ahead(gap_m, hit):
    box = np.array([[0.0, 12.0 + EGO_REACHES_M + gap_m + 1.0, 2.0, 2.0, 0.0]])
    path = np.array(AHEAD, float)[None, None]
    expected = [False] * 5 + [hit]
    owner = np.array([5])
    assert sparsedrive_hits(path, box, owner)[0, 0].tolist() == expected
    assert strict_hits(path, np.ones((1, 6), bool), box, owner)[0, 0].tolist() == expected


def test_touching_counts_as_a_sparsedrive_hit():
    path = np.array(RIGHT, float)[None, None]  # headings are exactly 0; the ego's left side is at 0.925
    box = np.array([[2.5, 1.85, 2.0, 1.85, 0.0]])
    owner = np.array([0])
    assert sparsedrive_hits(path, box, owner)[0, 0, 0]
    clear = np.array([[2.5, 1.850001, 2.0, 1.85, 0.0]])
    assert not sparsedrive_hits(path, clear, owner).any()


def test_strict_agrees_with_shapely():
    rng = np.random.default_rng(5)
    path = np.cumsum(rng.normal((0, 2), 1, (1, 300, 6, 2)), axis=2)
    owner = np.arange(1800)
    centre = path.reshape(-1, 2) + rng.normal(0, 2.5, (1800, 2))
    boxes = np.c_[centre, rng.uniform(0.5, 5, (1800, 2)), rng.uniform(-4, 4, 1800)]
    valid = np.ones((300, 6), bool)
    yaw_rad = strict_yaw_rad(path, valid[None])[..., None]
    ego_centre = path + 0.5 * np.concatenate([np.cos(yaw_rad), np.sin(yaw_rad)], -1)
    size = np.broadcast_to((4.084, 1.85), ego_centre.shape)
    ego = np.concatenate([ego_centre, size, yaw_rad], -1).reshape(-1, 5)
    expected = shapely.intersects(*(shapely.polygons(box_corners_m(b)) for b in (ego, boxes)))
    found = strict_hits(path, valid, boxes, owner).ravel()
    assert 300 < expected.sum() < 1500
    np.testing.assert_array_equal(found, expected)
