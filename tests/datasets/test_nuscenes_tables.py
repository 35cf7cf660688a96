"""What the tables of a dataroot say before the devkit reads them."""

import pytest

from drive_wm.datasets.nuscenes_tables import split_samples
from drive_wm.errors import InputError


def test_samples_of_a_split_in_time(dataroot, edit):
    edit(dataroot / "v1.0-mini" / "sample.json", lambda rows: rows.reverse())
    assert split_samples(dataroot, "v1.0-mini", "mini_train") == {
        "scene-0061": tuple(f"scene-0061/{i}" for i in range(3)),
        "scene-0553": tuple(f"scene-0553/{i}" for i in range(4)),
    }


def test_an_unknown_split_is_named(dataroot):
    with pytest.raises(InputError, match="No split 'half'"):
        split_samples(dataroot, "v1.0-mini", "half")
