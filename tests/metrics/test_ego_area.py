"""Places on the crossroads: four arms of two lanes each way, 3.5 m wide; roads end 7.25 m beside the middle."""

from math import pi

import numpy as np
import pytest
import torch
from torch import tensor

from drive_wm.boxes import Boxes
from drive_wm.geometry import compose
from drive_wm.log import empty_map
from drive_wm.metrics.ego_area import EgoAreas

FROM_JUNCTION = tensor([612.3, 1834.7, 0.3], dtype=torch.float64)  # where the crossroads lies in the global frame
PLACES = {  # name: (x, y, yaw) in the junction's own frame, (off road, straddles, against, offset, in junction)
    "outer lane westwards": ((60.0, 5.25, pi), (False, False, False, 0.0, False)),
    "outer lane, off its centre": ((60.0, 5.65, pi), (False, False, False, 0.4, False)),
    "the wrong way": ((60.0, 5.25, 0.0), (False, False, True, 3.5, False)),
    "over the lane divider": ((60.0, 3.4, pi), (False, True, False, 1.65, False)),
    "a corner on the walkway": ((60.0, 6.5, pi), (True, False, False, 1.25, False)),
    "over the middle": ((60.0, 0.3, pi), (False, True, False, 1.45, False)),
    "in the junction": ((0.0, 5.25, pi), (False, False, False, 0.0, True)),
    "on the grass": ((60.0, 30.0, pi), (True, False, False, 3.5, False)),
}


def box(pose):
    return Boxes(pose[..., :2], pose[..., 2], tensor([4.0, 1.8], dtype=torch.float64).expand(*pose.shape[:-1], 2))


@pytest.fixture(scope="module")
def areas(crossroads_log):
    return EgoAreas(crossroads_log.map)


@pytest.mark.parametrize(("place", "expected"), PLACES.values(), ids=PLACES)
def test_places(areas, place, expected):
    off_road, straddles, against, offset_m, in_junction = expected
    pose = compose(FROM_JUNCTION, tensor([place], dtype=torch.float64))
    lane = areas.on_lanes(pose)
    assert areas.off_road(box(pose)).tolist() == [off_road]
    assert areas.straddles(box(pose)).tolist() == [straddles]
    assert lane.against.tolist() == [against]
    assert lane.offset_m.tolist() == pytest.approx([offset_m], abs=0.02)
    assert lane.in_junction.tolist() == [in_junction]


def test_a_turned_world_answers_the_same(crossroads_log, areas, move_log):
    move = np.array([300.0, -80.0, 1.1])
    turned = EgoAreas(move_log(crossroads_log, move).map)
    pose = compose(FROM_JUNCTION, tensor([place for place, _ in PLACES.values()], dtype=torch.float64))
    moved = compose(torch.from_numpy(move), pose)
    assert turned.off_road(box(moved)).equal(areas.off_road(box(pose)))
    assert turned.straddles(box(moved)).equal(areas.straddles(box(pose)))
    assert turned.on_lanes(moved).against.equal(areas.on_lanes(pose).against)


def test_batches_keep_their_shape_and_a_missing_map_says_so(areas):
    none = EgoAreas(empty_map())
    pose = FROM_JUNCTION.expand(2, 3, 3)
    assert areas.off_road(box(pose)).shape == areas.straddles(box(pose)).shape == areas.on_lanes(pose).against.shape == (2, 3)
    assert not none.has_lanes
    assert not none.has_drivable
    lane = none.on_lanes(pose)
    for answer in (none.off_road(box(pose)), none.straddles(box(pose)), lane.against, lane.in_junction):
        assert not answer.any()
