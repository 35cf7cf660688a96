from collections.abc import Callable
from dataclasses import replace

import numpy as np
import shapely

from drive_wm.datasets.sumo_cut import mirrored
from drive_wm.datasets.sumo_map import crop
from drive_wm.log import Log


def test_crop_renumbers_links(make_log: Callable[..., Log]) -> None:
    street = replace(make_log().map, lane_left=np.array([-1, 2, 0]), lane_right=np.array([2, -1, 1]))
    part = crop(street, shapely.box(1, -10, 39, 10))  # touches pieces 1 and 2
    assert len(part.lanes.geoms) == 2
    assert part.lane_successors.tolist() == [[0, 1]]
    assert part.lane_left.tolist() == [1, -1]
    assert part.lane_right.tolist() == [-1, 0]
    assert part.drivable.area == 38 * 10
    assert part.lane_dividers.length == 38
    assert part.extent.bounds == (1, -10, 39, 10)


def test_mirror_swaps_left_and_right_and_undoes_itself(make_log: Callable[..., Log]) -> None:
    log = make_log()
    log = replace(
        log,
        yaw_rad=log.yaw_rad + 0.3,
        position_m=log.position_m + [0, 2],
        map=replace(log.map, lane_left=np.array([2, -1, -1])),
    )
    flipped = mirrored(log)
    assert flipped.map.lane_right.tolist() == [2, -1, -1]
    assert flipped.yaw_rad[0, 0] == -0.3
    assert flipped.position_m[0, 0].tolist() == [15, -2]
    assert flipped.map.lane_dividers.bounds == (-20, -2, 40, -2)
    again = mirrored(flipped)
    np.testing.assert_array_equal(again.position_m, log.position_m)
    assert again.map.lanes == log.map.lanes
    assert again.map.lane_left.tolist() == log.map.lane_left.tolist()
