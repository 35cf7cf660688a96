from dataclasses import replace

import numpy as np
import pytest

from drive_wm.datasets.sumo_visibility import visibility_of
from drive_wm.log import PEDESTRIAN, VEHICLE, Log

FAR_CAR = (40.0, 0.0)
CASES = {  # name: (where the other one stands, its kind, visibility of the far car, and of the other one)
    "beside": ((20.0, 6.0), VEHICLE, 4, 4),
    "right before it": ((20.0, 0.0), VEHICLE, 1, 4),
    "before its left half": ((20.0, 1.0), VEHICLE, 2, 4),  # hides 1 m of 2 m and a bit, seen from 20 m and 38 m
    "a walker before it": ((20.0, 0.0), PEDESTRIAN, 4, 4),
    "behind it": ((55.0, 0.0), VEHICLE, 4, 1),
    "behind the ego, where angles jump": ((-20.0, 0.0), VEHICLE, 4, 4),
}


@pytest.mark.parametrize(("at", "kind", "far", "other"), CASES.values(), ids=CASES)
def test_by_hand(make_log, at, kind, far, other):
    """The ego stands at the origin, a car of 4 x 2 m 40 m ahead of it, another road user of 2 x 2 m somewhere."""
    log: Log = make_log(steps=2)
    log = replace(
        log,
        agents=("far", "other"),
        categories=("vehicle.car", ""),
        kind=np.array([VEHICLE, kind]),
        ego_pose=np.zeros((2, 3)),
        ego_from_lidar=np.zeros(3),
        position_m=np.repeat(np.array([FAR_CAR, at])[:, None], 2, axis=1),
        yaw_rad=np.zeros((2, 2)),
        size_m=np.repeat(np.array([(4.0, 2.0), (2.0, 2.0)])[:, None], 2, axis=1),
        valid=np.array([[True, True], [True, True]]),
    )
    assert visibility_of(log)[:, 0].tolist() == [far, other]
    absent = replace(log, valid=np.array([[True, True], [False, True]]))
    assert visibility_of(absent)[:, 0].tolist() == [4, 0]
