"""Rasters and footprints against the published programs' outputs, and against a plain loop that draws everything."""

import json

import cv2
import numpy as np
import pytest

from drive_wm.metrics.planning import hits
from drive_wm.metrics.planning_grid import (
    GRIDS,
    bev_planner_cells,
    uniad_cells,
    uniad_polygons,
    vad_cells,
    vad_polygons,
)


def runs(canvas: np.ndarray) -> list[list[int]]:
    """Filled cells as [row, first column, last column]."""
    edges = np.diff(np.pad(canvas.astype(int), ((0, 0), (1, 1))), axis=1)
    return [
        [row, int(first), int(last) - 1]
        for row, line in enumerate(edges)
        for first, last in zip(np.flatnonzero(line == 1), np.flatnonzero(line == -1), strict=True)
    ]


@pytest.mark.parametrize(("key", "polygons"), [("uniad_runs", uniad_polygons), ("vad_runs", vad_polygons)])
def test_rasters_equal_the_golden_ones(outside_data, key, polygons):
    golden = json.loads(outside_data("golden/planning_metrics.json").read_text())["raster"]
    assert len(golden) > 40
    for case in golden:
        canvas = np.zeros((200, 200), np.uint8)
        cv2.fillPoly(canvas, list(polygons(np.array([case["box"]]))), 1)
        assert runs(canvas) == case[key]


def block(rows: range, columns: range, size: int = 200) -> set[int]:
    return {row * size + column for row in rows for column in columns}


FOOTPRINTS = {  # name: (cells, point, rows, columns) worked by hand
    "uniad at the origin":        (uniad_cells, (0.0, 0.0), range(97, 105), range(98, 102)),
    "uniad snaps down":           (uniad_cells, (0.49, 0.99), range(98, 106), range(98, 102)),
    "uniad snaps down to the left": (uniad_cells, (-0.01, -0.01), range(96, 104), range(97, 101)),
    "uniad squashed at the front": (uniad_cells, (0.0, 80.0), range(199, 200), range(98, 102)),
    "vad at the origin":          (vad_cells, (0.0, 0.0), range(96, 104), range(98, 102)),
    "vad snaps up":               (vad_cells, (0.0, 0.3), range(95, 103), range(98, 102)),
    "vad squashed at the front":  (vad_cells, (0.0, 80.0), range(0, 1), range(98, 102)),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "point", "rows", "columns"), FOOTPRINTS.values(), ids=FOOTPRINTS)
def test_footprint(cells, point, rows, columns):
    assert set(cells(np.tile(point, (6, 1)))[0].tolist()) == block(rows, columns)


def test_bev_planner_footprint_straight_and_turned():
    path = np.array([(0.0, 0.5), (0.0, 0.9), (5.0, 0.9), (5.0, 0.9), (5.0, 5.9), (5.0, 5.9)])  # x right, y forward
    cells = bev_planner_cells(path)
    straight = block(range(491, 509), range(503, 544), 1000)  # 494 to 534 moved 0.9 m forward; columns run forward
    assert cells.shape == (6, 738)
    assert set(cells[1].tolist()) == straight
    # A step of 5 m to the right turns the footprint: its length now lies along the rows, which run left.
    rows, columns = np.divmod(cells[2], 1000)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (415, 455, 500, 517)
    # The next step is below 1 m: straight again, 5 m to the right.
    assert set(cells[3].tolist()) == {cell - 50 * 1000 for cell in straight}


@pytest.fixture
def crowd() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paths (2, 40, 6, 2), some beyond the grid, with boxes (n, 5) close by and at the border, and their steps."""
    rng = np.random.default_rng(3)
    start = np.repeat(rng.choice([0.0, 30.0, 48.0, 60.0, -49.0, -70.0], (1, 40, 1, 2)), 2, axis=0)
    paths = start + np.cumsum(rng.normal(0, 1.2, (2, 40, 6, 2)), axis=2)
    owner = np.repeat(np.arange(240), rng.integers(0, 9, 240))
    centre = np.clip(paths[0].reshape(-1, 2), -52, 52)[owner] + rng.normal(0, 3.5, (len(owner), 2))
    boxes = np.c_[centre, rng.uniform(0.3, 9, len(owner)), rng.uniform(0.3, 3, len(owner)), rng.uniform(-4, 4, len(owner))]
    return paths, boxes, owner


@pytest.mark.parametrize("protocol", GRIDS)
def test_drawing_only_what_is_near_changes_nothing(protocol, crowd):
    paths, boxes, owner = crowd
    grid = GRIDS[protocol]
    cells = grid.cells(paths).reshape(2, 240, -1)
    expected = np.zeros((2, 240), bool)
    for step in range(240):
        canvas = np.zeros((grid.size, grid.size), np.uint8)
        for polygon in grid.polygons(boxes[owner == step]):
            cv2.fillPoly(canvas, [polygon], 1)
        expected[:, step] = canvas.ravel()[cells[:, step]].any(-1)
    found = hits(protocol, paths, np.ones((40, 6), bool), boxes, owner)
    assert 20 < expected.sum() < 460
    np.testing.assert_array_equal(found.reshape(2, 240), expected)
