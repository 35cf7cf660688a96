"""Repeated drives add up to the sizes asked for, and are what they were but for the agents left out."""

from types import SimpleNamespace

import numpy as np
import pytest
import shapely

from drive_wm.benchmarks import trainval_size
from drive_wm.benchmarks.trainval_size import Size, busy_places, repeated, shortened, thinned
from drive_wm.datasets.nuscenes_write import Place
from drive_wm.errors import InputError


@pytest.fixture
def places(crossroads_log):
    """Two, of one drive each, 24 keyframes with 6.5 boxes each."""
    return [Place(crossroads_log.map, shapely.MultiLineString(), False, (crossroads_log,)) for _ in range(2)]


def test_default_size_is_trainvals():
    assert Size() == Size(scenes=850, samples=34_149, boxes=1_166_187, places=17)


def test_scenes_and_samples_are_exact_and_boxes_never_too_many(places, crossroads_log):
    size = Size(scenes=7, samples=150, boxes=700, places=2)
    made = list(repeated(places, size))
    logs = [log for place in made for log in place.logs]
    assert [len(place.logs) for place in made] == [4, 3]
    assert sum(len(log.keyframes) for log in logs) == 150
    assert {len(log.keyframes) for log in logs} == {21, 22}
    boxes = sum(int(log.valid.sum()) for log in logs)
    assert 700 - 24 < boxes <= 700, "short of less than one agent's drive"
    for log in logs:
        log.check()


def test_of_twice_as_many_places_the_busier_ones_stay_in_order(monkeypatch, crossroads_log):
    few = thinned(crossroads_log, 60)
    traffic = [few, crossroads_log, few, crossroads_log]
    drives = [SimpleNamespace(logs=(log,)) for log in traffic]
    monkeypatch.setattr(trainval_size, "read_drives", lambda seed: iter(drives))
    monkeypatch.setattr(trainval_size, "place_of", lambda drive, logs: drive)
    assert busy_places(0, 2) == [drives[1], drives[3]]


def test_a_shorter_drive_forgets_who_comes_later(crossroads_log):
    short = shortened(crossroads_log, 4)
    short.check()
    assert "barrier" not in short.agents, "first seen at step 5"
    np.testing.assert_array_equal(short.ego_pose, crossroads_log.ego_pose[:4])
    with pytest.raises(InputError, match="24 keyframes; needed: 41"):
        shortened(crossroads_log, 41)


def test_the_farthest_are_left_out_first(crossroads_log):
    few = thinned(crossroads_log, 60)
    assert int(few.valid.sum()) <= 60
    apart_m = {
        name: np.linalg.norm(crossroads_log.position_m[i] - crossroads_log.ego_pose[:, :2], axis=-1)[
            crossroads_log.valid[i]
        ].min()
        for i, name in enumerate(crossroads_log.agents)
    }
    out = set(crossroads_log.agents) - set(few.agents)
    assert max(apart_m[name] for name in few.agents) <= min(apart_m[name] for name in out)
