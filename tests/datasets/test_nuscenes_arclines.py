import math
from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st
from nuscenes.map_expansion.arcline_path_utils import discretize_lane

from drive_wm.datasets.nuscenes_arclines import RADII_M, fit_arclines


def circle(start_m: np.ndarray, yaw_rad: float, length_m: float, curvature_per_m: float) -> np.ndarray:
    """Points (P, 2) half a metre apart along an arc."""
    s = np.linspace(0.0, length_m, max(2, round(2 * length_m)))
    half = 0.5 * s * curvature_per_m
    return start_m + (s * np.sinc(half / np.pi))[:, None] * np.stack([np.cos(yaw_rad + half), np.sin(yaw_rad + half)], 1)


CASES = {  # name: (polyline, arcline paths, length of all)
    "straight": (np.array([[0.0, 0.0], [10.0, 0.0], [25.0, 0.0]]), 1, 25.0),
    "quarter of a circle": (circle(np.zeros(2), 0.3, 30 * math.pi / 2, 1 / 30), 1, 30 * math.pi / 2),
    "corner": (np.array([[0.0, 0.0], [8.0, 0.0], [8.0, 6.0]]), 2, 14.0),
}


def apart_m(line_m: np.ndarray) -> float:
    """Largest distance between a polyline and what the devkit makes of its arcline paths."""
    points = np.array(discretize_lane(fit_arclines(line_m), 0.25))[:, :2]
    return float(shapely.LineString(line_m).hausdorff_distance(shapely.LineString(points)))


@pytest.mark.parametrize(("line_m", "paths", "length_m"), CASES.values(), ids=CASES)
def test_by_hand(line_m, paths, length_m):
    fitted = fit_arclines(line_m)
    assert len(fitted) == paths
    assert sum(sum(path["segment_length"]) for path in fitted) == pytest.approx(length_m, rel=0.005)
    np.testing.assert_allclose(fitted[0]["start_pose"][:2], line_m[0], atol=1e-6)
    np.testing.assert_allclose(fitted[-1]["end_pose"][:2], line_m[-1], atol=1e-6)


def test_left_straight_right_is_one_path():
    radius_m = RADII_M[11] * 1.001
    left = circle(np.zeros(2), 0.0, 0.5 * radius_m, 1 / radius_m)
    middle = circle(left[-1], 0.5, 15.0, 0.0)
    right = circle(middle[-1], 0.5, 0.5 * radius_m, -1 / radius_m)
    (path,) = fit_arclines(np.concatenate([left, middle[1:], right[1:]]))
    assert path["shape"] == "LSR"
    assert path["segment_length"] == pytest.approx([0.5 * radius_m, 15.0, 0.5 * radius_m], abs=1.0)


@example(bends=[(18.0, 0.09375), (25.0, 0.09375), (25.0, 0.09375)], yaw_rad=0.0)  # once round, and a metre more
@given(
    st.lists(st.tuples(st.floats(2.0, 25.0), st.floats(-0.12, 0.12)), min_size=1, max_size=6),
    st.floats(-math.pi, math.pi),
)
def test_paths_stay_within_a_tenth_of_a_metre(bends, yaw_rad):
    """Whatever the bends, up to a radius of 8 m: the devkit's own points are near, and paths follow one another."""
    parts, at_m = [], np.array([3000.0, 1200.0])
    for length_m, curvature_per_m in bends:
        parts.append(circle(at_m, yaw_rad, length_m, curvature_per_m)[bool(parts) :])
        at_m, yaw_rad = parts[-1][-1], yaw_rad + length_m * curvature_per_m
    line_m = np.concatenate(parts)
    assert apart_m(line_m) < 0.1
    fitted = fit_arclines(line_m)
    for one, after in pairwise(fitted):
        np.testing.assert_allclose(one["end_pose"][:2], after["start_pose"][:2], atol=1e-6)
