import numpy as np
import pytest
import shapely

from drive_wm.datasets.nuscenes_streets import streets_of
from drive_wm.lane_graph import build_lanes
from drive_wm.log import LogMap


@pytest.fixture
def fork() -> LogMap:
    """Two lanes of 3 m to x = 50, a junction of 10 m; the right lane goes on straight, the left one straight and up.

    0 right, 1 left, 2 and 3 their ways straight on, 4 the left one's way up, 5 to 7 the lanes after them.
    """
    lines = [
        [(0, 1.5), (50, 1.5)], [(0, 4.5), (50, 4.5)], [(50, 1.5), (60, 1.5)], [(50, 4.5), (60, 4.5)],
        [(50, 4.5), (55, 10)], [(60, 1.5), (100, 1.5)], [(60, 4.5), (100, 4.5)], [(55, 10), (55, 40)],
    ]  # fmt: skip
    links = [(0, 2), (2, 5), (1, 3), (3, 6), (1, 4), (4, 7)]
    lanes = build_lanes([np.array(line, float) for line in lines], links, [i in (2, 3, 4) for i in range(8)])
    return LogMap(
        *lanes,
        drivable=shapely.MultiPolygon([shapely.box(0, 0, 100, 6), shapely.box(53, 6, 57, 40)]),
        crosswalks=shapely.MultiPolygon(),
        walkways=shapely.MultiPolygon(),
        stop_lines=shapely.MultiLineString(),
        lane_dividers=shapely.MultiLineString([[(0, 3), (50, 3)], [(60, 3), (100, 3)]]),
        road_dividers=shapely.MultiLineString(),
    )


def test_pieces_become_whole_lanes(fork):
    streets = streets_of(fork)
    assert [round(shapely.LineString(lane.line_m).length, 1) for lane in streets.lanes] == [50, 50, 10, 10, 7.4, 40, 40, 30]
    assert [lane.in_junction for lane in streets.lanes] == [False] * 2 + [True] * 3 + [False] * 3
    assert [lane.outgoing for lane in streets.lanes] == [(2,), (3, 4), (5,), (6,), (7,), (), (), ()]
    assert [lane.incoming for lane in streets.lanes] == [(), (), (0,), (1,), (1,), (2,), (3,), (4,)]


def test_width_reaches_from_paint_to_kerb(fork):
    widths_m = [lane.width_m for lane in streets_of(fork).lanes]
    assert widths_m == pytest.approx([3, 3, 3, 3, 3.5, 3, 3, 4], abs=0.01)  # the way up joins 3 m and 4 m


def test_lanes_side_by_side_are_a_block(fork):
    streets = streets_of(fork)
    assert streets.block.tolist() == [0, 0, -1, -1, -1, 1, 1, 2]
    assert streets.blocks[0].equals(shapely.box(0, 0, 50, 6))
    assert [lane.has_left for lane in streets.lanes[:2]] == [True, False]
    assert [lane.has_right for lane in streets.lanes[:2]] == [False, True]
    assert sorted(junction for _, junction in streets.segments) == [False, False, False, True]


def test_a_circle_is_one_lane():
    lines = [np.array(line, float) for line in ([(0, 0), (9, 0)], [(9, 0), (9, 9)], [(9, 9), (0, 0)])]
    lanes = build_lanes(lines, [(0, 1), (1, 2), (2, 0)], [False] * 3)
    none, lines_none = shapely.MultiPolygon(), shapely.MultiLineString()
    ring = LogMap(*lanes, none, none, none, lines_none, lines_none, lines_none)
    (lane,) = streets_of(ring).lanes
    assert len(lane.line_m) == 4
    assert lane.outgoing == lane.incoming == (0,)
