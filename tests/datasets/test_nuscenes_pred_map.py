"""Pictures of a map: where they lie, which way they face, and what is wrong with those that cannot be read."""

import numpy as np
import pytest
import shapely
from PIL import Image

from drive_wm.datasets.nuscenes_pred_map import read_picture, vector_map
from drive_wm.errors import InputError


@pytest.fixture
def root(pred_folder):
    return pred_folder("train", "scene-0001", [])


def test_rows_of_a_picture_run_along_x(root):
    """60 m along x, 20 m along y; pixel 60 of 3 per metre lies 20 m from x_min 350."""
    drawn = vector_map(read_picture(root, "scene-0001"))
    assert drawn.drivable.bounds == pytest.approx((370, 990, 430, 1010))
    assert drawn.road_dividers.length == pytest.approx(60, abs=1)
    assert drawn.extent.bounds == pytest.approx((350, 950, 450, 1050))


def test_inside(root):
    picture = read_picture(root, "scene-0001")
    points_m = np.array([[400, 1000], [349.9, 1000], [349.8, 1000], [450.1, 1050.1], [450.2, 1000]])
    assert picture.inside(points_m).tolist() == [True, True, False, True, False]


def test_nothing_painted(root):
    Image.fromarray(np.zeros((30, 30, 3), np.uint8)).save(root / "map_0.1" / "scene-0001.png")
    drawn = vector_map(read_picture(root, "scene-0001"))
    assert drawn.drivable == shapely.MultiPolygon()
    assert drawn.lane_dividers == shapely.MultiLineString()


BAD = {  # name: (file, its content, kind of error, message)
    "no picture": ("scene-0001.png", None, FileNotFoundError, r"scene-0001\.png.*map_0\.1 whole"),
    "no place": ("meta_scene-0001.txt", None, FileNotFoundError, r"meta_scene-0001\.txt"),
    "damaged picture": ("scene-0001.png", b"\x89PNG\r\n\x1a\nxxxx", InputError, r"scene-0001\.png is damaged"),
    "two numbers": ("meta_scene-0001.txt", b"350.00\n950.00\n", InputError, "needed: x and y in metres"),
    "no number": ("meta_scene-0001.txt", b"350.00\nnorth\n3", InputError, "north"),
    "scale 0": ("meta_scene-0001.txt", b"350.00\n950.00\n0", InputError, "pixels per metre"),
}


@pytest.mark.parametrize(("name", "content", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_files(root, name, content, kind, message):
    path = root / "map_0.1" / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(kind, match=message):
        read_picture(root, "scene-0001")


def test_a_picture_without_colours(root):
    Image.fromarray(np.zeros((30, 30), np.uint8)).save(root / "map_0.1" / "scene-0001.png")
    with pytest.raises(InputError, match="red, green and blue"):
        read_picture(root, "scene-0001")


def test_a_picture_cut_off(root):
    path = root / "map_0.1" / "scene-0001.png"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="damaged"):
        read_picture(root, "scene-0001")
