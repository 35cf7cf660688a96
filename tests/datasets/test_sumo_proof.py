from itertools import islice

import numpy as np
import pytest
import shapely

from drive_wm.datasets.sumo import read_drives
from drive_wm.datasets.sumo_events import EVENTS, Event
from drive_wm.datasets.sumo_proof import happened
from drive_wm.datasets.sumo_simulation import Trace
from drive_wm.log import PEDESTRIAN

AHEAD_M, SIDE_LANE = 10.0, ["road_1"] * 20 + ["road_0"] * 80


def drive(speeds_mps: np.ndarray, lanes: list[str], start_m: float = 0.0) -> Trace:
    """Northwards, one speed for each step of 0.1 s."""
    along_m = start_m + np.cumsum(speeds_mps) * 0.1
    return Trace("car0", (4.0, 2.0), 0, [(0.0, float(y), 0.0) for y in along_m], lanes)


STEADY, HALTING = np.full(100, 8.0), np.concatenate([np.linspace(8, 0, 30), np.zeros(70)])
INSIDE = ["road_0"] * 30 + [":c_1_0"] * 70
CASES = {  # name: (event, actor's speeds and lanes, how far ahead it starts, whether it happened)
    "cuts in": ("cut_in", STEADY, SIDE_LANE, AHEAD_M, True),
    "stays beside": ("cut_in", STEADY, ["road_1"] * 100, AHEAD_M, False),
    "falls in behind": ("cut_in", STEADY, SIDE_LANE, -AHEAD_M, False),
    "was there already": ("cut_in", STEADY, ["road_0"] * 100, AHEAD_M, False),
    "brakes": ("hard_brake", HALTING, ["road_0"] * 100, AHEAD_M, True),
    "goes on": ("hard_brake", STEADY, ["road_0"] * 100, AHEAD_M, False),
    "stops": ("stopped_vehicle", HALTING, ["road_0"] * 100, AHEAD_M, True),
    "stood all the while": ("stopped_vehicle", 0 * STEADY, ["road_0"] * 100, AHEAD_M, False),
    "does not stop": ("stopped_vehicle", STEADY, ["road_0"] * 100, AHEAD_M, False),
    "runs the light": ("red_light_runner", STEADY, INSIDE, AHEAD_M, True),
    "waits at the light": ("red_light_runner", HALTING, ["road_0"] * 100, AHEAD_M, False),
    "walks into the road": ("jaywalker", STEADY / 8, [":1jaywalk_c0_0"] * 100, AHEAD_M, True),
    "turns back": ("jaywalker", STEADY / 8, [":1jaywalk_c0_0"] * 5 + [":1jaywalk_w0_0"] * 95, AHEAD_M, False),
}


@pytest.mark.parametrize(("kind", "speeds", "lanes", "start_m", "expected"), CASES.values(), ids=CASES)
def test_by_hand(kind, speeds, lanes, start_m, expected):
    subject = drive(STEADY, INSIDE if kind == "red_light_runner" else ["road_0"] * 100)
    traces = {"subject": subject, "actor": drive(speeds, lanes, start_m)}
    assert happened(Event(kind, 0.0, "actor", "subject"), traces) is expected
    assert not happened(Event(kind, 0.0, "gone", "subject"), traces)


@pytest.mark.slow
def test_what_a_log_says_is_seen_in_it():
    """Every event comes up, and its actor's track in the Log shows it."""
    pytest.importorskip("libsumo", reason="SUMO is not installed: pip install 'drive-wm[sumo]'")
    seen = dict.fromkeys(EVENTS, 0)
    for drives in islice(read_drives(seed=0), 21):
        signals = drives.run.roads.signals
        if drives.run.left_hand:
            signals = shapely.transform(signals, lambda points: points * (1, -1))
        for window, log in zip(drives.windows, drives.logs, strict=True):
            if not window.event:
                continue
            kind, i = window.event.kind, log.agents.index(window.event.actor)
            here = log.valid[i]
            path, speed = log.position_m[i][here], np.linalg.norm(np.diff(log.position_m[i][here], axis=0), axis=1) / 0.5
            seen[kind] += 1
            if kind == "jaywalker":
                off_paint = ~shapely.contains_xy(log.map.crosswalks, path) & shapely.contains_xy(log.map.drivable, path)
                assert log.kind[i] == PEDESTRIAN
                assert off_paint.any()
            elif kind == "stopped_vehicle":
                assert (speed < 0.3).sum() * 0.5 >= 4.0
            elif kind == "red_light_runner":
                assert shapely.LineString(path).distance(signals) < 1.0
            elif kind == "hard_brake":
                assert np.diff(speed).min() / 0.5 < -2.5
            else:
                assert kind == "cut_in"
    assert all(seen.values()), seen
