"""Areas and lines traced from a picture of them, in pixels: row, then column, whole numbers at the middle of a pixel.

Both undo OpenCV's drawing, which the nuScenes devkit uses: fillPoly also paints the pixels that the border runs through, so
that a border runs through the middle of the outermost painted pixels; a line of thickness 2 comes out three pixels wide.
"""

from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from drive_wm.log import Bools, Floats

# What a border, and a line, may be off by when corners are left out. A border keeps its staircase, to which it is true to a
# hundredth of the area; a line loses it, and with it a tenth of its length.
AREA_TOLERANCE_PX, LINE_TOLERANCE_PX = 0.5, 0.9
_NEIGHBOURS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))  # clockwise from above


def trace_areas(painted: Bools) -> shapely.MultiPolygon:
    """Polygons with holes of the painted pixels (X, Y); what is a single pixel wide has no area and is left out."""
    rings, family = cv2.findContours(painted.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not rings:
        return shapely.MultiPolygon()
    corners, parents = [ring[:, 0, ::-1] for ring in rings], family[0][:, 3].tolist()
    holes: dict[int, list[NDArray[Any]]] = {i: [] for i, parent in enumerate(parents) if parent < 0}
    for ring, parent in zip(corners, parents, strict=True):
        if parent >= 0:
            holes[parent].append(ring)
    areas = [shapely.Polygon(corners[i], inner) for i, inner in holes.items() if len(corners[i]) > 3]
    whole = shapely.union_all(shapely.make_valid(np.array(areas, object)))
    return _polygons(shapely.make_valid(shapely.simplify(whole, AREA_TOLERANCE_PX)))


def _polygons(area: shapely.Geometry) -> shapely.MultiPolygon:
    parts = shapely.get_parts(shapely.get_parts(area))
    return shapely.multipolygons(parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON])


def trace_lines(painted: Bools) -> shapely.MultiLineString:
    """Middle lines of the painted strokes (X, Y), joined up to where they cross; specks of one pixel are left out."""
    pixels = np.argwhere(thin(painted))
    if not len(pixels):
        return shapely.MultiLineString()
    pieces = shapely.linestrings(pixels[_links(pixels)])
    joined = shapely.simplify(shapely.line_merge(shapely.multilinestrings(pieces)), LINE_TOLERANCE_PX)
    return shapely.multilinestrings(shapely.get_parts(joined))


def _links(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Neighbouring pixels (E, 2), corner to corner only where no third pixel joins the two."""
    width = int(pixels[:, 1].max()) + 3
    at = (pixels[:, 0] + 1) * width + pixels[:, 1] + 1
    index = np.full((int(pixels[:, 0].max()) + 3) * width, -1)
    index[at] = np.arange(len(at))
    links = []
    for row, column in ((0, 1), (1, 0), (1, 1), (1, -1)):
        other = index[at + row * width + column]
        apart = (index[at + row * width] < 0) & (index[at + column] < 0)
        found = (other >= 0) & (apart if row and column else True)
        links.append(np.stack([np.flatnonzero(found), other[found]], axis=1))
    return np.concatenate(links)


def thin(painted: Bools) -> Bools:
    """Strokes (X, Y) worn down to one pixel by Zhang and Suen, "A fast parallel algorithm for thinning", CACM 27(3), 1984."""
    kept = np.pad(painted, 1)
    while True:
        before = int(kept.sum())
        for first, second in (((0, 2, 4), (2, 4, 6)), ((0, 2, 6), (0, 4, 6))):
            row, column = np.nonzero(kept)
            ring = np.stack([kept[row + r, column + c] for r, c in _NEIGHBOURS])
            count = ring.sum(axis=0)
            rises = (~ring & np.roll(ring, -1, axis=0)).sum(axis=0)
            gone = (count >= 2) & (count <= 6) & (rises == 1)
            gone &= ~ring[list(first)].all(axis=0) & ~ring[list(second)].all(axis=0)
            kept[row[gone], column[gone]] = False
        if int(kept.sum()) == before:
            return kept[1:-1, 1:-1]


def placed(traced: shapely.Geometry, origin_m: Floats, pixels_per_m: float) -> shapely.Geometry:
    """Traced geometry in metres: the middle of pixel (0, 0) lies at origin_m (2,)."""
    return shapely.transform(traced, lambda pixels: origin_m + pixels / pixels_per_m)
