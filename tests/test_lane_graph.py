"""Lane pieces, their links and their neighbours, on lanes laid out by hand."""

from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from drive_wm.errors import InputError
from drive_wm.lane_graph import build_lanes, cut, pose_along


def line(*points) -> np.ndarray:
    return np.array(points, float)


CUTS = {  # name: (polyline, lengths of its pieces)
    "short stays whole": (line((0, 0), (7, 0)), [7]),
    "exactly 20 m": (line((0, 0), (20, 0)), [20]),
    "50 m in three": (line((0, 0), (50, 0)), [50 / 3] * 3),
    "around a corner": (line((0, 0), (15, 0), (15, 15)), [15, 15]),
    "a vertex given twice": (line((0, 0), (15, 0), (15, 0), (15, 20)), [17.5, 17.5]),
}
BESIDE = {  # name: (lane, other lane, both in junction, the other is left / right / None of the first)
    "3.5 m to the left": (line((0, 0), (18, 0)), line((0, 3.5), (18, 3.5)), False, "left"),
    "3.5 m to the right": (line((0, 0), (18, 0)), line((0, -3.5), (18, -3.5)), False, "right"),
    "opposite direction": (line((0, 0), (18, 0)), line((18, 3.5), (0, 3.5)), False, None),
    "too near": (line((0, 0), (18, 0)), line((0, 1), (18, 1)), False, None),
    "too far": (line((0, 0), (18, 0)), line((0, 6), (18, 6)), False, None),
    "ahead, not abeam": (line((0, 0), (18, 0)), line((13, 3), (31, 3)), False, None),
    "shifted along but abeam": (line((0, 0), (18, 0)), line((7, 3), (25, 3)), False, "left"),
    "turned by 45 degrees": (line((0, 0), (18, 0)), line((0, -5), (18, 13)), False, None),
    "parallel in a junction": (line((0, 0), (18, 0)), line((0, 3.5), (18, 3.5)), True, "left"),
    "spreading in a junction": (line((0, 0), (18, 0)), line((0, 0), (9, 3), (18, 6)), True, None),
}


@pytest.mark.parametrize(("polyline", "lengths"), CUTS.values(), ids=CUTS)
def test_cut(polyline, lengths):
    pieces = cut(polyline, 20.0, "it")
    assert [shapely.LineString(p).length for p in pieces] == pytest.approx(lengths)
    assert np.concatenate([pieces[0][:1], *(p[-1:] for p in pieces)])[[0, -1]] == pytest.approx(polyline[[0, -1]])


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=2, max_size=8, unique=True))
def test_pieces_join_to_the_whole(points):
    whole = np.array(points)
    if shapely.LineString(whole).length < 0.1:
        return
    pieces = cut(whole, 20.0, "it")
    lengths = np.array([shapely.LineString(p).length for p in pieces])
    assert lengths.sum() == pytest.approx(shapely.LineString(whole).length, abs=1e-4)
    assert lengths.max() <= 20 + 1e-4
    assert np.ptp(lengths) < 1e-3
    for before, after in pairwise(pieces):
        np.testing.assert_array_equal(before[-1], after[0])


@pytest.mark.parametrize(("lane", "other", "in_junction", "side"), BESIDE.values(), ids=BESIDE)
def test_neighbours(lane, other, in_junction, side):
    _, _, left, right, _ = build_lanes([lane, other], [], [in_junction] * 2)
    assert (left[0], right[0]) == (1 if side == "left" else -1, 1 if side == "right" else -1)


def test_the_nearest_of_three_is_the_neighbour_and_sides_mirror():
    lanes = [line((0, y), (18, y)) for y in (0.0, 2.5, 4.9)]
    _, _, left, right, _ = build_lanes(lanes, [], [False] * 3)
    assert left.tolist() == [1, 2, -1]
    assert right.tolist() == [-1, 0, 1]


def test_junction_lanes_and_others_are_no_neighbours():
    lanes = [line((0, 0), (18, 0)), line((0, 3.5), (18, 3.5))]
    _, _, left, right, _ = build_lanes(lanes, [], [False, True])
    assert (left == -1).all()
    assert (right == -1).all()


def test_links_run_along_each_lane_and_across_to_its_successors():
    lanes = [line((0, 0), (50, 0)), line((50, 0), (75, 0)), line((50, 0), (60, 10))]
    pieces, links, _, _, in_junction = build_lanes(lanes, [(0, 1), (0, 2)], [False, False, True])
    assert len(pieces.geoms) == 3 + 2 + 1
    assert {tuple(x) for x in links.tolist()} == {(0, 1), (1, 2), (3, 4), (2, 3), (2, 5)}
    assert in_junction.tolist() == [False] * 5 + [True]
    for a, b in links:
        assert pieces.geoms[a].coords[-1] == pytest.approx(pieces.geoms[b].coords[0])


def test_no_lanes():
    pieces, links, left, right, in_junction = build_lanes([], [], [])
    assert (len(pieces.geoms), links.shape, len(left), len(right), len(in_junction)) == (0, (0, 2), 0, 0, 0)


@pytest.mark.parametrize("bad", [line((1, 1)), line((1, 1), (1, 1)), line((0, 0), (np.nan, 1))], ids=["one", "twice", "nan"])
def test_a_centreline_without_length_is_named(bad):
    with pytest.raises(InputError, match="centreline 1 has no length"):
        build_lanes([line((0, 0), (1, 0)), bad], [], [False, False])


def test_pose_along():
    bend = np.array([shapely.LineString([(0, 0), (10, 0), (10, 10)])])
    at, yaw_rad = pose_along(bend[:, None], np.array([[0.0, 5.0, 10.0, 20.0]]))
    np.testing.assert_allclose(at[0], [(0, 0), (5, 0), (10, 0), (10, 10)], atol=1e-9)
    np.testing.assert_allclose(yaw_rad[0], [0, 0, np.pi / 4, np.pi / 2], atol=1e-9)
