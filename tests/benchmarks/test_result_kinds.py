"""Rows tell what a file is about."""

import pytest

from drive_wm.benchmarks.result_kinds import read_kind
from drive_wm.benchmarks.results_file import write_results
from drive_wm.errors import InputError

KINDS = {  # name: (command, row)
    "planning": ("drive-wm evaluate planning", {"planner": "p", "protocol": "strict", "l2_avg": 1.0}),
    "comparison": ("drive-wm compare", {"planner": "b - a", "protocol": "strict", "l2_avg_difference": 1.0}),
    "prediction": ("drive-wm evaluate prediction", {"model": "m", "min_ade_5": 1.0}),
    "closed_loop": ("drive-wm evaluate closed-loop", {"planner": "p", "traffic": "idm", "pdms": 0.5}),
    "world_model": ("drive-wm evaluate world-model --cache c", {"model": "m", "min_ade_5": 1.0}),
    "tick": ("drive-wm bench tick", {"runtime": "r", "p99_ms": 1.0}),
    "speed": ("drive-wm bench imagine", {"scene_seconds_per_second": 1e4}),
    "metrics": ("drive-wm bench metrics", {"metric": "planning", "protocol": "strict", "seconds": 1.0}),
    "other": ("another tool", {"thing": 1.0}),
}


@pytest.mark.parametrize(("name", "command", "row"), [(name, *case) for name, case in KINDS.items()], ids=KINDS)
def test_kind(name, command, row, tmp_path):
    write_results(tmp_path / "r.json", [row, {**row, "slice": "left"}], seed=0, command=command)
    assert read_kind(tmp_path / "r.json").kind.name == name


def test_no_rows(tmp_path):
    write_results(tmp_path / "r.json", [], seed=0)
    with pytest.raises(InputError, match="holds no rows"):
        read_kind(tmp_path / "r.json")


def test_rows_of_two_kinds(tmp_path):
    write_results(tmp_path / "r.json", [KINDS["planning"][1], KINDS["tick"][1]], seed=0, command="cat")
    with pytest.raises(InputError, match="mixes rows of planning, tick; needed: one kind"):
        read_kind(tmp_path / "r.json")
