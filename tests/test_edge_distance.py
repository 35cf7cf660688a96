"""Distance to a border by hand, and against shapely on shapes with many small segments."""

from math import sqrt

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_wm.coverage import Grid
from drive_wm.edge_distance import edge_distance
from drive_wm.log import Floats
from drive_wm.map_outlines import area_outlines
from drive_wm.scene import CELL_M

GRID = Grid(-60, -100, 230, 200, CELL_M)  # 115 m by 100 m, no whole number of blocks


def border(area: shapely.MultiPolygon) -> Floats:
    return area_outlines(area)[0]


DISTANCES = {  # cell centre (x m, y m): distance to the square from (0, 0) to (12, 12)
    "middle": ((6.25, 6.25), 5.75),
    "inside by the left side": ((0.25, 6.25), 0.25),
    "outside by the left side": ((-0.25, 6.25), -0.25),
    "outside at the corner": ((12.75, 12.75), -sqrt(2) * 0.75),
    "inside at the corner": ((11.75, 11.25), 0.25),
    "clipped": ((30.25, 6.25), -10.0),
}


@pytest.mark.parametrize(("centre_m", "expected"), DISTANCES.values(), ids=DISTANCES)
def test_edge_distance(centre_m, expected):
    edge_m = edge_distance(border(shapely.MultiPolygon([shapely.box(0, 0, 12, 12)])), GRID)
    assert edge_m[int((centre_m[1] + 50) / CELL_M), int((centre_m[0] + 30) / CELL_M)] == pytest.approx(expected)


coordinate = st.floats(-120, 120).map(lambda x: round(x, 2))


@settings(max_examples=25)
@given(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=40, unique=True), st.floats(0.05, 30))
def test_it_is_exact(corners, width_m):
    """Any blots, near and far: every cell to a micrometre."""
    blots = shapely.union_all(shapely.buffer(shapely.points(corners), width_m, quad_segs=12))
    area = shapely.multipolygons(shapely.get_parts(blots))
    at_m = np.stack(np.meshgrid(*GRID.centres_m()), axis=-1)[::7, ::7]
    away_m = shapely.distance(area.boundary, shapely.points(at_m)).clip(max=10)
    inside = shapely.contains_xy(area, at_m[..., 0], at_m[..., 1])
    found = edge_distance(border(area), GRID)[::7, ::7]
    np.testing.assert_allclose(found, np.where(inside, away_m, -away_m), atol=1e-6)
