"""What is missing is read from the results."""

from pathlib import Path

import pytest

from drive_wm.benchmarks.planning_slices import SLICES
from drive_wm.benchmarks.result_kinds import KINDS, OTHER, ResultFile
from drive_wm.benchmarks.results_file import Results
from drive_wm.benchmarks.unmeasured import gaps

KIND = {kind.name: kind for kind in (*KINDS, OTHER)}
WHOLE = {"planner": "p", "command_origin": "route", "n": 300, "scenes": 20}
EVERY_SLICE = [{**WHOLE, "slice": name} for name in SLICES]

CASES = {  # name: (kind, rows, machine, versions, what, why)
    "a note": ("prediction", [{"off_road_rate": None, "off_road_note": "no map of x"}], {}, {}, "off road", "no map of x"),
    "no value": ("prediction", [{"ade": None}], {}, {}, "ade", "no value in the whole set"),
    "few samples": ("prediction", [{"n": 12, "slice": "night"}], {}, {}, "slices told apart", "in night (12)"),
    "few scenes": ("prediction", [{"n": 99, "scenes": 2}], {}, {}, "chance over scenes", "in the whole set (2)"),
    "targets outside": ("prediction", [{"missing": 7}], {}, {}, "7 targets of the split", "outside the data"),
    "no command": (
        "planning", [{**WHOLE, "command_origin": "none"}, *EVERY_SLICE], {}, {}, "how well a command is followed", "given to p",
    ),
    "no slice": ("planning", [WHOLE, *EVERY_SLICE[:-1]], {}, {}, "slices rain", "no map or no description"),
    "no GPU": ("tick", [{"p99_ms": 1.0}], {"gpu": "none"}, {}, "speed on a GPU", "the machine had none"),
    "no package": ("prediction", [{"ade": 1.0}], {}, {"shapely": "absent"}, "what needs shapely", "not installed"),
    "unknown file": ("other", [{"x": 1}], {}, {}, "meaning of this file", "its command: drive-wm odd"),
}  # fmt: skip


def found(kind, rows, machine, versions):
    return gaps(ResultFile(Path("r.json"), KIND[kind], Results("drive-wm odd", "2026", machine, versions, None, rows)))


@pytest.mark.parametrize(("kind", "rows", "machine", "versions", "what", "why"), CASES.values(), ids=CASES)
def test_gap(kind, rows, machine, versions, what, why):
    (gap,) = found(kind, rows, machine, versions)
    assert (gap.file, gap.what) == ("r.json", what)
    assert why in gap.why


def test_a_complete_file_leaves_nothing_open():
    assert found("planning", [WHOLE, *EVERY_SLICE], {"gpu": "H100"}, {"numpy": "1.26.4"}) == []


def test_the_human_leaves_nothing_open():
    assert found("planning", [WHOLE, *EVERY_SLICE, {"planner": "log", "command_origin": "none", "n": 1}], {}, {}) == []
