"""Tables, labels and plots of rows worked by hand."""

from pathlib import Path

from drive_wm.benchmarks.dot_plot import SERIES, Dot
from drive_wm.benchmarks.result_kinds import KINDS, OTHER, Kind, ResultFile
from drive_wm.benchmarks.result_sections import by_label, columns, figures, own_rows, section_of, slices_plots
from drive_wm.benchmarks.results_file import Results

KIND = {kind.name: kind for kind in (*KINDS, OTHER)}


def file(name: str, kind: Kind, rows) -> ResultFile:
    return ResultFile(Path(f"{name}.json"), kind, Results("drive-wm", "2026-01-01", {}, {}, None, rows))


def planning(planner: str, protocol: str, l2_avg: float, part: str = "", **more):
    row = {"planner": planner, "protocol": protocol, "ego_status": planner != "log", "l2_avg": l2_avg, "n": 3, **more}
    return row | ({"slice": part} if part else {})


def test_planning_has_a_table_for_each_protocol_beside_its_anchors():
    rows = [planning("p", "uniad", 1.0), planning("p", "strict", 2.0), planning("p", "uniad", 3.0, "left")]
    section = section_of(KIND["planning"], [file("a", KIND["planning"], rows)])
    assert [(table.title, table.rows) for table in section.tables] == [("uniad", rows[:1]), ("strict", rows[1:2])]
    assert [anchor.method for anchor in section.tables[0].quoted] == ["UniAD"]
    assert section.tables[1].quoted == ()
    assert section.slices is not None
    assert section.slices.rows == rows[2:]
    assert [plot.title for plot in section.plots] == ["L2 avg, m, uniad"]


def test_what_anchors_measure_has_a_column_too():
    section = section_of(KIND["tick"], [file("t", KIND["tick"], [{"runtime": "onnx", "p99_ms": 1.0, "slice": "torch"}])])
    (table,) = section.tables
    assert table.columns == ["runtime", "p99_ms", "hardware", "mean_ms"]
    assert len(table.rows) == 1, "a tick's slice is no part of another row"


def test_a_row_that_two_files_hold_stands_once():
    human = planning("log", "strict", 0.0)
    files = [file(name, KIND["planning"], [planning(name, "strict", 1.0), human]) for name in ("a", "b")]
    assert [(row["planner"], row["file"]) for row in own_rows(files)] == [("a", "a"), ("log", "a"), ("b", "b")]
    assert "file" not in own_rows(files[:1])[0]


def test_labels_are_what_differs():
    rows = [{"planner": p, "traffic": t, "split": "val", "n": 1, "ego_status": True} for p in "ab" for t in ("idm", "log")]
    assert list(by_label(rows)) == ["a, idm", "a, log", "b, idm", "b, log"]
    assert list(by_label(rows[:1])) == ["a"]
    same = [{"planner": "p", "file": "first"}, {"planner": "p", "file": "second"}]
    assert list(by_label(same)) == ["first", "second"]


def test_notes_and_ends_are_no_columns():
    row = {"model": "m", "off_road_rate": None, "off_road_note": "no map", "ade": 1.0, "ade_low": 0.5, "ade_high": 2.0, "n": 3}
    assert columns([row]) == ["model", "off_road_rate", "ade", "n"]
    assert figures([row]) == ["ade"]


def test_slices_come_in_their_order_with_intervals_and_counts():
    rows = [
        planning("p", "strict", 0.5, "left", l2_avg_low=0.25, l2_avg_high=1.0),
        planning("log", "strict", 0.0, "left"),
        planning("p", "strict", 1.5, "right", l2_avg_low=None, l2_avg_high=None),
    ]
    (plot,) = slices_plots("strict", "l2_avg", rows)
    assert (plot.lines, plot.notes) == (["left", "right"], ["n = 3", "n = 3"])
    assert plot.series == {"p": [Dot(0.5, 0.25, 1.0), Dot(1.5)]}, "the human's distance to itself is left out"


def test_shares_are_drawn_in_percent():
    (plot,) = slices_plots("", "collision_avg", [{"planner": "p", "collision_avg": 0.25, "slice": "left"}])
    assert plot.series == {"p": [Dot(25.0)]}


def test_no_series_is_dropped():
    rows = [{"planner": f"p{i}", "pdms": i / 10, "comfort": 1.0, "n": 8} for i in range(SERIES + 2)]
    section = section_of(KIND["closed_loop"], [file("c", KIND["closed_loop"], rows)])
    assert [len(plot.series) for plot in section.plots] == [SERIES, 2]
    assert section.plots[0].lines == ["PDMS", "comfort"]
    assert section.plots[1].series["p7"] == [Dot(0.7), Dot(1.0)]


def test_a_file_of_no_known_kind_is_shown_whole():
    rows = [{"thing": "a", "weird": 1.5}, {"thing": "b", "weird": 2.5, "slice": "left"}]
    section = section_of(OTHER, [file("o", OTHER, rows)])
    assert section.tables[0].rows == rows[:1]
    assert section.slices is not None
    assert section.slices.rows == rows[1:]
    assert [plot.title for plot in section.plots] == ["weird"]
