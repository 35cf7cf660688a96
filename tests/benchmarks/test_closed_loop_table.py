"""Rows of closed-loop results, worked by hand."""

from dataclasses import fields, replace

import pytest
import torch
from torch import nan, tensor

from drive_wm.benchmarks.closed_loop_table import ClosedLoop, DriveTerms
from drive_wm.metrics.pdm_score import PdmTerms


def terms(count, **values):
    perfect = PdmTerms(**{f.name: torch.ones(count, dtype=torch.float64) for f in fields(PdmTerms)})
    return replace(perfect, **{name: tensor(value, dtype=torch.float64) for name, value in values.items()})


FOUND = ClosedLoop(
    "mine",
    "replay",
    4.0,
    (
        DriveTerms("a", (3, 4), ("t3", "t4"), (("left",), ("left", "day")), terms(2, drivable_area=[0.0, 1.0]), terms(2)),
        DriveTerms("b", (3,), ("u3",), (("straight",),), terms(1, extended_comfort=[nan]), terms(1)),
    ),
)


def test_the_whole_comes_first_then_slices():
    table = FOUND.table()
    assert [row.get("slice") for row in table] == [None, "left", "straight", "day"]
    assert [row["n"] for row in table] == [3, 2, 1, 1]
    assert [row["scenes"] for row in table] == [2, 1, 1, 1]
    assert table[0]["pdms"] == table[0]["drivable_area"] == pytest.approx(2 / 3)
    assert table[1]["pdms"] == pytest.approx(1 / 2)
    assert table[0]["extended_comfort"] == 1.0  # of the two that have one
    assert (table[2]["extended_comfort"], table[2]["without"]) == (None, "extended_comfort")


def test_intervals_are_by_scene():
    whole, left = FOUND.table()[:2]
    assert (whole["pdms_low"], whole["pdms_high"]) == (0.5, 1.0)  # drive a alone, drive b alone
    assert left["pdms_low"] is None


def test_rows_per_start():
    rows = FOUND.rows()
    assert [(row["scene"], row["step"], row["sample"], row["pdms"]) for row in rows] == [
        ("a", 3, "t3", 0.0),
        ("a", 4, "t4", 1.0),
        ("b", 3, "u3", 1.0),
    ]
    assert rows[1]["slices"] == ["left", "day"]
    assert rows[2]["extended_comfort"] is None
