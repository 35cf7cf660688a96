import numpy as np
import pytest
import shapely
from nuscenes.utils.map_mask import MapMask

from drive_wm.datasets import nuscenes_mask
from drive_wm.datasets.nuscenes_mask import write_mask


def test_devkit_finds_ground_and_hole(tmp_path, monkeypatch):
    """A 40 m square with a 10 m hole on a canvas of 100 x 60 m, in bands that cut it."""
    monkeypatch.setattr(nuscenes_mask, "BAND_ROWS", 97)
    square = shapely.box(10, 10, 50, 50) - shapely.box(20, 20, 30, 30)
    write_mask(tmp_path / "mask.png", [square], (100.0, 60.0))
    mask = MapMask(str(tmp_path / "mask.png"))
    assert mask.mask().shape == (600, 1000)
    x, y = np.array([11.0, 49.0, 25.0, 60.0, 40.0]), np.array([11.0, 49.0, 25.0, 30.0, 5.0])
    assert mask.is_on_mask(x, y).tolist() == [True, True, False, False, False]
    assert np.count_nonzero(mask.mask()) * 0.01 == pytest.approx(1500, abs=15)  # m2
