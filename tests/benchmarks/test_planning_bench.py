"""The planning metrics' own speed."""

import numpy as np
import pytest

from drive_wm.benchmarks.planning_bench import BOXES, bench_planning, planning_input


def test_input_is_the_same_on_every_call():
    for first, second in zip(planning_input(5), planning_input(5), strict=True):
        np.testing.assert_array_equal(first, second)
    assert planning_input(5)[2].shape == (5, 6, BOXES, 5)


@pytest.mark.slow  # starts a process that imports everything
def test_a_row_is_measured_in_a_process_of_its_own():
    seen = []
    (row,) = bench_planning(20, ["strict"], lambda done, of, note: seen.append((done, of, note)))
    assert (row["metric"], row["protocol"], row["n"], row["boxes_per_step"]) == ("planning", "strict", 20, 30)
    assert row["seconds"] > 0
    assert row["peak_mib"] >= row["start_mib"] > 0
    assert seen == [(1, 1, "strict")]
