"""Result files as one Markdown table."""

import pytest

from drive_wm.benchmarks.results_file import write_results
from drive_wm.benchmarks.results_table import cell, heading, markdown_table, span

ROW = {
    "planner": "ours", "protocol": "strict", "n": 5869, "l2_1s": 0.12345, "collision_avg": 0.00049, "truth_collision": None,
    "ego_status": True, "frames": 5,
}  # fmt: skip

TABLE = """\
| planner | protocol | n | L2 1 s, m | collision avg, % | human collides, % | ego status | scene seconds per second |
| :-- | :-- | --: | --: | --: | --: | :-- | --: |
| ours | strict | 5,869 | 0.12 | 0.05 | – | yes | – |
| log | strict | 5,869 | 0.00 | 0.00 | 0.00 | no | – |
| fast | – | – | – | – | – | – | 12,346 |
"""


def test_table(tmp_path):
    human = {**ROW, "planner": "log", "l2_1s": 0.0, "collision_avg": 0.0, "truth_collision": 0.0, "ego_status": False}
    write_results(tmp_path / "a.json", [ROW, human, {**ROW, "slice": "turning"}], seed=0, command="drive-wm a")
    write_results(tmp_path / "b.json", [{"planner": "fast", "scene_seconds_per_second": 12345.6}], seed=0, command="drive-wm b")
    table, footnotes = markdown_table([tmp_path / "a.json", tmp_path / "b.json"]).split("\n\n")
    assert table + "\n" == TABLE
    first, second = footnotes.splitlines()
    assert first.startswith("`drive-wm a`, 20")
    assert second.startswith("`drive-wm b`, 20")


def test_an_interval_stands_beside_its_figure(tmp_path):
    row = {"planner": "ours", "collision_avg": 0.0123, "collision_avg_low": 0.005, "collision_avg_high": 0.02, "n": 3}
    alone = {"planner": "one scene", "collision_avg": 0.5, "collision_avg_low": None, "collision_avg_high": None, "n": 1}
    write_results(tmp_path / "a.json", [row, alone], seed=0, command="drive-wm a")
    lines = markdown_table([tmp_path / "a.json"]).splitlines()
    assert lines[0] == "| planner | collision avg, % | n |"
    assert lines[2:4] == ["| ours | 1.23 (0.50–2.00) | 3 |", "| one scene | 50.00 | 1 |"]


HEADINGS = {
    "l2_avg": "L2 avg, m", "collision_1s": "collision 1 s, %", "p99_ms": "p99, ms", "displacement_3s_m": "displacement 3 s, m",
    "l2_avg_difference": "L2 avg difference, m", "l2_avg_sign": "L2 avg sign", "truth_collision": "human collides, %",
    "peak_mib": "peak, MiB", "speed_mps": "speed, m/s", "pdms": "PDMS", "never_seen_before": "never seen before", "n": "n",
}  # fmt: skip


@pytest.mark.parametrize(("key", "text"), HEADINGS.items(), ids=HEADINGS)
def test_heading(key, text):
    assert heading(key) == text


@pytest.mark.parametrize(
    ("low", "high", "text"), [(0.5, 1.0, "0.50–1.00"), (-0.5, -0.25, "-0.50 to -0.25"), (0, 1, "0.00–1.00"), (None, 1.0, "")]
)
def test_span(low, high, text):
    assert span("l2_avg", {"l2_avg": 0.5, "l2_avg_low": low, "l2_avg_high": high}) == text


def test_a_small_number_is_not_shown_as_none():
    assert (cell("largest_difference", 2e-15), cell("l2_avg", 2e-15), cell("largest_difference", 0.0)) == (
        "2.0e-15",
        "0.00",
        "0.00",
    )
