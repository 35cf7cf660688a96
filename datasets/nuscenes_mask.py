"""The map mask of a nuScenes location: where people drive and walk is 255, at 0.1 m a pixel, north up."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

PIXEL_M = 0.1
BAND_ROWS = 1024  # drawn and written at a time, since a mask holds hundreds of millions of pixels
FOREGROUND = 255


def write_mask(path: Path, grounds: list[shapely.Polygon], edge_m: tuple[float, float]) -> None:
    """Write the grey PNG of a canvas that reaches `edge_m` metres east and north of the origin."""
    width, height = (round(edge / PIXEL_M) for edge in edge_m)
    packer = zlib.compressobj(1)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.write(_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)))
        for band in _bands(grounds, width, height):
            # Each row begins with the number of its filter, 0 for none.
            file.write(_chunk(b"IDAT", packer.compress(np.pad(band, ((0, 0), (1, 0))).tobytes())))
        file.write(_chunk(b"IDAT", packer.flush()))
        file.write(_chunk(b"IEND", b""))


def _bands(grounds: list[shapely.Polygon], width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    """Rows of pixels from north to south."""
    tree = shapely.STRtree(grounds)
    for first in range(0, height, BAND_ROWS):
        band = np.zeros((min(BAND_ROWS, height - first), width), np.uint8)
        north_m = (height - first) * PIXEL_M
        for i in np.sort(tree.query(shapely.box(0.0, north_m - len(band) * PIXEL_M, width * PIXEL_M, north_m))):
            rings = [shapely.get_coordinates(ring) for ring in (grounds[i].exterior, *grounds[i].interiors)]
            pixels = [np.rint((ring * (1, -1) + (0.0, north_m)) / PIXEL_M).astype(np.int32) for ring in rings]
            cv2.fillPoly(band, pixels, (FOREGROUND,))
        yield band


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
