"""Areas and lines come back from the picture that OpenCV makes of them."""

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_wm.datasets.map_tracing import placed, thin, trace_areas, trace_lines

SIZE = (240, 300)
ISLAND = shapely.box(90, 120, 110, 150)
ROADS = [  # overlapping parts, as lanes and road segments are: a ring road with an island in it, and an arm; rows, columns
    shapely.box(30, 40, 60, 260), shapely.box(170, 40, 200, 260), shapely.box(30, 40, 200, 80), shapely.box(30, 220, 200, 260),
    ISLAND, shapely.Polygon([(60, 90), (90, 120), (100, 120), (60, 80)]), shapely.Polygon([(5, 5), (45, 60), (45, 40)]),
]  # fmt: skip


def painted(polygons, outline_holes=False):
    """As the devkit's mask_for_polygons paints; or with what surrounds a hole kept, as where no single polygon has the hole."""
    picture = np.zeros(SIZE, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(picture, [pixels(polygon.exterior)], 1)
    for ring in (ring for polygon in polygons for ring in polygon.interiors):
        cv2.fillPoly(picture, [pixels(ring)], 0)
        cv2.polylines(picture, [pixels(ring)], True, int(outline_holes), 1)
    return picture > 0


def pixels(line):
    return np.round(np.array(line.coords))[:, ::-1].astype(np.int32)


def strokes(lines):
    picture = np.zeros(SIZE, np.uint8)
    for line in lines:
        cv2.polylines(picture, [pixels(line)], False, 1, 2)
    return picture > 0


def iou(one, other):
    return one.intersection(other).area / one.union(other).area


def test_areas_come_back_with_holes_and_the_island_in_one():
    traced = trace_areas(painted(ROADS))
    truth = shapely.union_all(ROADS)
    assert traced.is_valid
    assert iou(traced, truth) > 0.99
    assert traced.area == pytest.approx(truth.area, rel=0.005)  # neither half a pixel in nor out
    assert traced.contains(ISLAND.buffer(-1))
    assert not traced.intersects(shapely.box(120, 100, 150, 200))


def test_drawn_again_the_areas_give_the_picture():
    picture = painted(ROADS)
    apart = painted([area for area in trace_areas(picture).geoms if area.interiors], outline_holes=True)
    again = apart | painted([area for area in trace_areas(picture).geoms if not area.interiors])
    assert (again & picture).sum() / (again | picture).sum() > 0.99


def test_a_hole_that_the_source_drew_is_a_pixel_wider():
    """fillPoly takes a hole's border pixels away, which nothing in the picture tells: the hole grows on every side."""
    road = shapely.box(20, 20, 120, 120).difference(shapely.box(50, 50, 80, 90))
    hole = shapely.Polygon(trace_areas(painted([road])).geoms[0].interiors[0])
    assert hole.bounds == (49, 49, 81, 91)


NOTHING = {"empty": shapely.box(0, 0, 0, 0), "a line of single pixels": shapely.box(10, 10, 10, 90)}


@pytest.mark.parametrize("shape", NOTHING.values(), ids=NOTHING)
def test_no_area(shape):
    assert trace_areas(painted([shape]) & (shape.length > 0)).is_empty


LINES = {
    "straight": [[(20, 30), (200, 30)]],
    "slanted": [[(20, 30), (200, 95)]],
    "bent": [[(20, 30), (120, 60), (150, 150), (140, 280)]],
    "two": [[(20, 30), (200, 95)], [(60, 200), (180, 200)]],
    "crossing": [[(20, 30), (200, 230)], [(20, 200), (200, 60)]],
}


@pytest.mark.parametrize("corners", LINES.values(), ids=LINES)
def test_lines_come_back(corners):
    truth = shapely.MultiLineString(corners)
    traced = trace_lines(strokes(truth.geoms))
    assert traced.hausdorff_distance(truth) < 3  # pixels: strokes end round, and a crossing is a blot
    along = shapely.line_interpolate_point(truth.geoms[0], np.arange(10, 170))
    assert np.mean(shapely.distance(traced, along)) < 0.5
    assert traced.length == pytest.approx(truth.length, rel=0.03)


def test_a_line_is_one_piece():
    (line,) = trace_lines(strokes(shapely.MultiLineString(LINES["bent"]).geoms)).geoms
    assert len(line.coords) < 12  # of which staircases have hundreds


def test_no_line():
    assert trace_lines(np.zeros(SIZE, bool)).is_empty


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(5, 230), st.integers(5, 290)), min_size=2, max_size=5, unique=True))
def test_thinning_keeps_what_hangs_together(corners):
    """One pixel wide, inside the strokes, and as many pieces as before."""
    picture = strokes([shapely.LineString(corners)])
    thinned = thin(picture)
    assert not (thinned & ~picture).any()
    pieces = [cv2.connectedComponents(x.astype(np.uint8), connectivity=8)[0] for x in (picture, thinned)]
    assert pieces[0] == pieces[1]
    assert not cv2.erode(thinned.astype(np.uint8), np.ones((3, 3), np.uint8)).any()


def test_places_in_metres():
    """Pixel (3, 6) at 3 pixels per metre lies 1 m and 2 m from the middle of the first."""
    assert placed(shapely.Point(3, 6), np.array([100.0, 50.0]), 3.0) == shapely.Point(101, 52)
