"""The page of results holds every number, quotes others apart, escapes what it is given, and is written whole or not at all."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from drive_wm.benchmarks.anchors import anchors_of
from drive_wm.benchmarks.planning import score_file
from drive_wm.benchmarks.plans_file import PlansFile
from drive_wm.benchmarks.results_file import write_results
from drive_wm.benchmarks.results_report import report
from drive_wm.benchmarks.results_table import cell, is_end, is_number, span
from drive_wm.benchmarks.rows_file import write_rows
from drive_wm.cli import app
from drive_wm.errors import InputError

HOSTILE = "<script>alert('x')</script>"
CLOSED = [
    {
        "planner": planner,
        "traffic": "replayed",
        "pdms": 0.81 + i / 100,
        "pdms_low": 0.7,
        "pdms_high": 0.9,
        "novel_term": 0.333,
        "n": 8,
    }
    for i, planner in enumerate(("log", "idm"))
]
FIDELITY = [
    {"model": "world_model", "displacement_3s_m": 1.234, "nll": -0.567, "n": 500},
    {"model": "world_model", "displacement_3s_m": 2.345, "nll": 0.678, "n": 99, "slice": "pedestrian"},
]


@pytest.fixture
def planned(drive, tmp_path):
    """Results and rows of a plan through a parked car."""
    path = np.c_[3.3 * np.arange(1, 7), np.full(6, 3.0), np.zeros(6)]
    found = score_file(PlansFile(tmp_path, "ego", "left", True, "none", dict.fromkeys(drive.keyframes, path)), [drive])
    write_rows(tmp_path / "rows.parquet", found)
    write_results(tmp_path / "planning.json", found.table(), seed=0, command="drive-wm evaluate planning")
    return tmp_path / "planning.json"


def written(path, rows, command="drive-wm evaluate closed-loop"):
    write_results(path, rows, seed=0, command=command)
    return path


@pytest.fixture
def others(tmp_path):
    return [
        written(tmp_path / "closed.json", CLOSED),
        written(tmp_path / "fidelity.json", FIDELITY, "drive-wm evaluate world-model"),
        written(tmp_path / "odd.json", [{"scene": HOSTILE, "value": 1.5, HOSTILE: "key", "slice": HOSTILE, "n": 3}], HOSTILE),
    ]


def test_the_page_holds_every_rows_numbers(planned, others, tmp_path, parsed):
    page = parsed(report([planned, *others], tmp_path / "r.html"))
    for path in (planned, *others):
        for row in json.loads(path.read_text())["rows"]:
            for key, value in row.items():
                if is_number(value) and not is_end(key):
                    assert cell(key, value) in page.texts, (path.name, key)
                    assert not span(key, row) or span(key, row) in page.texts


def test_every_anchor_of_the_kinds_shown_stands_with_its_source(planned, tmp_path, parsed):
    page = parsed(report([planned], tmp_path / "r.html"))
    quoted = [anchor for anchor in anchors_of("planning") if anchor.values["protocol"] != "strict"]
    links = [link["href"] for link in page.all("a")]
    for anchor in quoted:
        assert anchor.method in page.texts
        assert f"https://{anchor.link}" in links
        assert any(text.startswith(anchor.source) for text in page.texts)
    assert len([body for body in page.all("tbody") if body.get("class") == "quoted"]) == 4


def test_strings_of_a_file_stay_text(others, tmp_path, parsed):
    page = parsed(report(others, tmp_path / "r.html", title=HOSTILE))
    assert len(page.all("script")) == 1, "the page's own"
    assert HOSTILE in page.texts
    assert "alert('x')" not in (tmp_path / "r.html").read_text().split("<script>")[1].split("</script>")[0]


def test_nothing_is_loaded_and_every_link_leads_somewhere(planned, others, tmp_path, parsed):
    page = parsed(report([planned, *others], tmp_path / "r.html", [tmp_path / "rows.parquet"], worst=1))
    places = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(places) == len(set(places))
    for tag, attributes in page.tags:
        for name in ("src", "srcset", "action"):
            assert (attributes.get(name) or "data:").startswith("data:"), tag
    for link in page.all("a"):
        assert link["href"].startswith("https://") or link["href"].removeprefix("#") in places
    assert all(picture["alt"] for picture in page.all("img"))
    assert len(page.all("img")) == 1
    assert all(drawing.get("aria-label") or drawing.get("aria-hidden") for drawing in page.all("svg"))


def test_what_was_not_measured_is_said(planned, tmp_path, parsed):
    texts = parsed(report([planned], tmp_path / "r.html")).texts
    assert "no rows file was given with --rows" in texts
    assert "no command was given to left" in texts
    assert any(text.startswith("fewer than 30 samples in the whole set") for text in texts)


def test_how_every_file_was_made_is_said(others, tmp_path, parsed):
    texts = parsed(report(others, tmp_path / "r.html")).texts
    for command in ("drive-wm evaluate closed-loop", "drive-wm evaluate world-model", HOSTILE):
        assert command in texts
    assert texts.count("Seed") == 3


def test_our_model_leads(tmp_path, parsed):
    rows = [{"model": name, "min_ade_5": value, "n": 9} for name, value in (("constant_velocity", 4.5), ("world_model", 1.25))]
    path = written(tmp_path / "p.json", rows, "drive-wm evaluate prediction")
    texts = parsed(report([path], tmp_path / "r.html")).texts
    at = texts.index("min ade 5")
    assert texts[at : at + 3] == ["min ade 5", "1.25 m", "world_model, n = 9"]


def rows_changed(**changes):
    def change(path):
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


BAD = {  # name: (damage, words)
    "absent": (lambda path: path.unlink(), "No results at"),
    "not JSON": (lambda path: path.write_text("{"), "is not JSON"),
    "bytes": (lambda path: path.write_bytes(b"\xff\xfe\x00"), "is not JSON"),
    "no number": (rows_changed(rows=[{"pdms": float("nan")}]), "NaN is no number"),
    "keys missing": (lambda path: path.write_text('{"rows": []}'), "lacks command, created"),
    "no rows": (rows_changed(rows=[]), "holds no rows"),
    "rows of another form": (rows_changed(rows={}), r"needed: rows \(list\)"),
    "nested rows": (rows_changed(rows=[{"a": 1}, {"a": [1]}, 3, {}]), r"3 of 4 rows are not flat objects \(first: 1, 2, 3"),
    "mixed rows": (rows_changed(command="cat", rows=[{"l2_avg": 1.0}, {"p99_ms": 1.0}]), "mixes rows of planning, tick"),
}


@pytest.mark.parametrize(("damage", "words"), BAD.values(), ids=BAD)
def test_one_bad_file_and_nothing_is_written(damage, words, others, tmp_path):
    damage(others[0])
    with pytest.raises((InputError, FileNotFoundError), match=words):
        report(others, tmp_path / "out" / "r.html")
    assert not (tmp_path / "out").exists()


def test_a_bad_rows_file_and_nothing_is_written(others, tmp_path):
    with pytest.raises(InputError, match="not a Parquet file"):
        report(others, tmp_path / "out" / "r.html", [others[0]])
    assert not (tmp_path / "out").exists()


def test_command(planned, tmp_path, parsed):
    out = tmp_path / "r.html"
    arguments = ["report", str(planned), "--out", str(out), "--rows", str(tmp_path / "rows.parquet"), "--worst", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "Worst of left" in parsed(out).texts
    assert CliRunner().invoke(app, ["report", str(tmp_path / "none.json"), "--out", str(out)]).exit_code == 1
