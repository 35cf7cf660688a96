"""Map pictures of nuscenes_pred, 3 pixels per metre: drivable area and dividers as vectors, no lanes.

A picture's rows run along x, its columns along y. It ends 75 m beside the labelled rows, and so does the drivable area.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from drive_wm.datasets.map_tracing import placed, trace_areas, trace_lines
from drive_wm.errors import InputError
from drive_wm.log import Bools, Floats, LogMap, empty_map

FOLDER = "map_0.1"  # a version, not a resolution
LANE_DIVIDER, ROAD_DIVIDER, DRIVABLE = range(3)  # red, green, blue


@dataclass(frozen=True)
class MapPicture:
    """One scene's map as it is stored."""

    painted: Bools  # (X, Y, 3)
    origin_m: Floats  # (2,) the middle of pixel (0, 0), global frame
    pixels_per_m: float

    def inside(self, points_m: Floats) -> Bools:
        """Which points (..., 2), global frame, lie on the picture."""
        pixels = (points_m - self.origin_m) * self.pixels_per_m
        return np.asarray(((pixels >= -0.5) & (pixels < np.array(self.painted.shape[:2]) - 0.5)).all(-1))

    @property
    def extent(self) -> shapely.Polygon:
        """All that it shows, to the middles of its outermost pixels, where traced areas end too; global frame."""
        last_m = self.origin_m + (np.array(self.painted.shape[:2]) - 1) / self.pixels_per_m
        return shapely.box(*self.origin_m, *last_m)


def vector_map(picture: MapPicture) -> LogMap:
    """The picture as vectors in the global frame, within half a pixel (17 cm)."""

    def lines(channel: int) -> object:
        return placed(trace_lines(picture.painted[..., channel]), picture.origin_m, picture.pixels_per_m)

    drivable = placed(trace_areas(picture.painted[..., DRIVABLE]), picture.origin_m, picture.pixels_per_m)
    return replace(
        empty_map(),
        drivable=drivable,
        lane_dividers=lines(LANE_DIVIDER),
        road_dividers=lines(ROAD_DIVIDER),
        extent=picture.extent,
    )


def read_picture(root: Path, scene: str) -> MapPicture:
    """A scene's picture and where it lies; FileNotFoundError or InputError names the file."""
    image, meta = map_files(root, scene)
    for path in (image, meta):
        if not path.is_file():
            raise FileNotFoundError(f"No {path}. Each scene of nuscenes_pred has one; copy the folder {FOLDER} whole.")
    try:
        *origin_m, pixels_per_m = (float(word) for word in meta.read_text().split())
    except ValueError as error:
        raise InputError(f"{meta} is damaged ({error}). Copy it again.") from error
    if len(origin_m) != 2 or not np.isfinite(origin_m).all() or not 0 < pixels_per_m < np.inf:
        raise InputError(f"{meta} holds {[*origin_m, pixels_per_m]}; needed: x and y in metres, and pixels per metre.")
    return MapPicture(_pixels(image) > 0, np.array(origin_m), pixels_per_m)


def map_files(root: Path, scene: str) -> tuple[Path, Path]:
    """Picture and place of a scene's map."""
    return root / FOLDER / f"{scene}.png", root / FOLDER / f"meta_{scene}.txt"


def _pixels(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{path} is damaged ({error}). Copy it again.") from error
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise InputError(f"{path} has shape {pixels.shape}; needed: a picture of red, green and blue.")
    return pixels
