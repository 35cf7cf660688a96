"""Means and intervals from sums and counts, by hand."""

import numpy as np
import pytest
import torch

from drive_wm.benchmarks.drive_sums import WHOLE, joined, mean_rows, ratio_interval, summed


def drive(values: list[float], near: list[bool]) -> dict:
    value = torch.tensor(values)
    return summed({"error": value}, {WHOLE: torch.ones_like(value).bool(), "near": torch.tensor(near)})


def test_rows_by_hand():
    """(1 + 2 + 3 + 6) / 4 for all; (1 + 3) / 2 near."""
    rows = mean_rows([drive([1.0, 2.0, 3.0], [True, False, True]), drive([6.0], [False])], {"model": "one"}, ["error"])
    assert rows[0]["error"] == 3.0
    assert rows[0]["n"] == 4
    assert "slice" not in rows[0]
    assert (rows[1]["slice"], rows[1]["error"], rows[1]["n"], rows[1]["model"]) == ("near", 2.0, 2, "one")
    assert 2.0 <= rows[0]["error_low"] <= 3.0 <= rows[0]["error_high"] <= 6.0  # from the first drive alone to the second


def test_slices_without_anything_are_left_out():
    rows = mean_rows([drive([1.0], [False])], {}, ["error"])
    assert [row.get("slice") for row in rows] == [None]
    assert rows[0]["error_low"] is None


def test_figures_of_two_sums_meet_in_their_slice():
    one, other = {"a": {"x": (1.0, 2.0)}}, {"a": {"y": (3.0, 4.0)}, "b": {"y": (5.0, 6.0)}}
    assert joined(one, other) == {"a": {"x": (1.0, 2.0), "y": (3.0, 4.0)}, "b": {"y": (5.0, 6.0)}}


def test_drives_weigh_by_what_they_count():
    """Drives that all have the same mean leave nothing uncertain, however long each is."""
    low, high = ratio_interval(np.array([2.0, 20.0, 60.0]), np.array([1.0, 10.0, 30.0]))
    assert low == pytest.approx(2.0)
    assert high == pytest.approx(2.0)
