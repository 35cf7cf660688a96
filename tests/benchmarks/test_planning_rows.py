"""Intervals of planning rows."""

import numpy as np
import pytest

from drive_wm.benchmarks.planning_rows import PlanRows
from drive_wm.metrics.planning import PROTOCOLS


def rows_of(protocol, l2_m, collision=None):
    l2_m = np.asarray(l2_m, float)[:, None] * np.ones(6)
    hit = np.zeros(l2_m.shape, bool) if collision is None else np.asarray(collision)[:, None] & np.ones(6, bool)
    return PlanRows(protocol, l2_m, hit, np.zeros_like(hit), np.ones_like(hit), np.ones_like(hit))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scenes_that_are_alike_leave_no_doubt(protocol):
    ends = rows_of(protocol, [1.0, 3.0, 1.0, 3.0]).intervals(np.array([0, 0, 1, 1]))
    assert ends == {"l2_avg_low": 2.0, "l2_avg_high": 2.0, "collision_avg_low": 0.0, "collision_avg_high": 0.0, "scenes": 2}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_two_scenes_range_from_one_to_the_other(protocol):
    ends = rows_of(protocol, [1.0, 3.0], [False, True]).intervals(np.array([0, 1]))
    assert (ends["l2_avg_low"], ends["l2_avg_high"]) == (1.0, 3.0)
    assert (ends["collision_avg_low"], ends["collision_avg_high"]) == (0.0, 1.0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_interval_holds_the_figure(protocol):
    rng = np.random.default_rng(2)
    rows = rows_of(protocol, rng.uniform(0, 4, 60), rng.random(60) < 0.2)
    ends, found = rows.intervals(np.arange(60) // 5), rows.summary()
    for name in ("l2_avg", "collision_avg"):
        assert ends[f"{name}_low"] < found[name] < ends[f"{name}_high"]


def test_one_scene_gives_no_interval():
    ends = rows_of("strict", [1.0, 2.0]).intervals(np.array([0, 0]))
    assert ends == {**dict.fromkeys(("l2_avg_low", "l2_avg_high", "collision_avg_low", "collision_avg_high")), "scenes": 1}
