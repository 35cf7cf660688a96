"""Outlines by hand: which way they run, what strips share, how they turn with the frame."""

from math import pi, sqrt

import numpy as np
import pytest
import shapely

from drive_wm.map_outlines import area_outlines, seen_from, strip_outlines, strip_quads


def test_strips_join_without_gap_or_overlap():
    quads, direction = strip_quads(shapely.MultiLineString([[[0, 0], [5, 0], [5, 0], [8, 3]], [[0, 9], [1, 9]]]), 2.0)
    assert len(quads) == 3
    np.testing.assert_allclose(quads[0, 1:3], quads[1, [0, 3]])
    np.testing.assert_allclose(direction[1], [sqrt(0.5), sqrt(0.5)])


def test_what_two_quads_of_a_straight_strip_share_is_no_border():
    edges, weight = strip_outlines(shapely.MultiLineString([[[0, 0], [4, 0], [9, 0]]]), 2.0)
    assert len(edges) == 6, "four sides along, two ends"
    np.testing.assert_allclose(weight, [[1, 1, 0]] * 6, atol=1e-12)


@pytest.mark.parametrize("backward", [False, True])
def test_an_outline_has_its_inside_to_the_left(backward):
    box = shapely.box(0, 0, 2, 1, ccw=not backward)
    edges, _ = area_outlines(shapely.MultiPolygon([box]))
    area = 0.5 * (edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]).sum()
    assert area == pytest.approx(2.0)


def test_directions_turn_with_the_frame():
    edges, weight = seen_from((np.array([[[3.0, 1.0], [3.0, 2.0]]]), np.array([[1.0, 0.0, 1.0]])), np.array([3.0, 1.0, pi / 2]))
    np.testing.assert_allclose(edges, [[[0, 0], [1, 0]]], atol=1e-12)
    np.testing.assert_allclose(weight, [[1, 1, 0]], atol=1e-12)
