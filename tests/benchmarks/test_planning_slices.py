"""Slices of drives worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from drive_wm.benchmarks.planning_slices import SLICES, slices_of

WEATHER = {  # description: slices
    "Night, after rain, many peds": {"night", "rain"},
    "Rain, big street": {"day", "rain"},
    "Parked truck, turn left": {"day", "dry"},
    "Night, difficult lighting": {"night", "dry"},
}


@pytest.mark.parametrize(("description", "expected"), WEATHER.items(), ids=WEATHER)
def test_weather_by_description(description, expected, drive):
    found = slices_of(replace(drive, source="nuscenes", description=description))
    assert all(expected == set(names) & {"night", "day", "rain", "dry"} for names in found)


def test_other_sources_have_no_weather_and_a_location(drive):
    assert slices_of(replace(drive, description="night", location="here"))[0] == ("straight", "0.5 to 5 m/s", "here")


SIDES = {"left": -3.0, "right": 3.0}


@pytest.mark.parametrize(("side", "shift_m"), SIDES.items(), ids=SIDES)
def test_sides_by_where_the_human_goes(side, shift_m, drive):
    """The ego faces global +y, so its right is global +x; it is aside from keyframe 8 on."""
    pose = drive.ego_pose.copy()
    pose[8:, 0] += shift_m
    found = slices_of(replace(drive, ego_pose=pose))
    assert [side in names for names in found] == [False] * 2 + [True] * 6 + [False] * 2
    assert all(("turning" in names) == (side in names) != ("straight" in names) for names in found)


def test_every_sample_has_one_speed(drive):
    pose = drive.ego_pose.copy()
    pose[:, 1] = 50 + np.cumsum([0, 0, 0.1, 1, 2, 4, 5, 6, 0, 0])  # 0, 0, 0.2, 2, 4, 8, 10, 12, 0, 0 m/s
    bands = [name for name in SLICES if "m/s" in name]
    found = [[band for band in bands if band in names] for names in slices_of(replace(drive, ego_pose=pose))]
    still, slow, middle, fast = bands
    assert found == [[band] for band in [still] * 3 + [slow] * 2 + [middle] + [fast] * 2 + [still] * 2]


def test_junction_by_the_nearest_lane(crossroads_log):
    """The ego comes from 58 m west of the junction, drives 4 m a step, and enters it 18 m before its middle."""
    found = slices_of(crossroads_log)
    inside = ["junction" in names for names in found]
    assert not inside[0]
    assert any(inside)
    first = inside.index(True)
    along_m = np.linalg.norm(crossroads_log.ego_pose[first, :2] - np.array([612.3, 1834.7]))
    assert 10 < along_m < 20
    assert all(("junction" in names) != ("no junction" in names) for names in found)


def test_without_a_map_there_is_no_junction_slice(drive):
    assert not {"junction", "no junction"} & {name for names in slices_of(drive) for name in names}
