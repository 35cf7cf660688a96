"""Result files: written whole, read back, refused when damaged."""

import json

import numpy as np
import pytest
import torch

from drive_wm.benchmarks.results_file import read_results, write_results
from drive_wm.errors import InputError

ROWS = [{"planner": "p", "n": np.int64(3), "l2_avg": torch.tensor(0.5), "collision_avg": float("nan"), "ego_status": True}]


WHOLE = {"command": "c", "created": "2026", "machine": {}, "versions": {}, "seed": None, "rows": []}


def test_rows_come_back_as_plain_values(tmp_path):
    path = tmp_path / "new" / "planning.json"
    write_results(path, ROWS, seed=7, command="drive-wm evaluate planning")
    found = read_results(path)
    assert found.rows == [{"planner": "p", "n": 3, "l2_avg": 0.5, "collision_avg": None, "ego_status": True}]
    assert (found.command, found.seed) == ("drive-wm evaluate planning", 7)
    assert [p.name for p in path.parent.iterdir()] == ["planning.json"]


def test_a_file_says_where_its_numbers_come_from(tmp_path):
    write_results(tmp_path / "r.json", [], seed=None)
    found = read_results(tmp_path / "r.json")
    assert found.versions["numpy"] == np.__version__
    assert found.versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found.machine["cores"] >= 1
    assert found.machine["memory_gib"] > 0.1
    assert found.machine["cpu"]
    assert found.created.endswith("+00:00")
    assert found.command


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No results at .*none\.json"):
        read_results(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "lacks command"),
        (json.dumps({"rows": []}), "lacks command, created"),
        (json.dumps(WHOLE | {"rows": [{"a": float("inf")}]}), "Infinity is no number"),
        (json.dumps(WHOLE | {"rows": 1, "machine": "x"}), r"needed: machine \(dict\), rows \(list\)"),
        (json.dumps(WHOLE | {"rows": [{"a": {}}, {}]}), r"2 of 2 rows are not flat objects \(first: 0, 1,"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, words):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_results(path)
