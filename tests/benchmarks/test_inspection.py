"""Pictures of single samples."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from PIL import Image

from drive_wm.benchmarks.inspection import HIT, inspect, inspection_figure
from drive_wm.benchmarks.planning import score_file
from drive_wm.benchmarks.plans_file import PlansFile
from drive_wm.benchmarks.rows_file import read_sample, write_rows
from drive_wm.errors import InputError
from drive_wm.metrics.planning import PROTOCOLS


@pytest.fixture
def rows(drive, tmp_path):
    """Rows of a plan through agent 0, 3 m to the left."""
    path = np.c_[3.3 * np.arange(1, 7), np.full(6, 3.0), np.zeros(6)]
    plans = PlansFile(tmp_path, "ego", "left", True, "none", dict.fromkeys(drive.keyframes, path))
    write_rows(tmp_path / "rows.parquet", score_file(plans, [drive]))
    return tmp_path / "rows.parquet"


def red(axes) -> int:
    """Boxes filled in the colour of a hit."""
    filled = [c for c in axes.collections if isinstance(c, PolyCollection) and len(c.get_facecolor())]
    return sum(len(c.get_paths()) for c in filled if np.allclose(c.get_facecolor()[0, :3], to_rgb(HIT)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_panel_per_step_highlights_what_was_hit(protocol, rows):
    steps = read_sample(rows, "2")[protocol]
    figure = inspection_figure(protocol, steps, "left")
    assert [red(axes) for axes in figure.axes] == [len(row["hit"]) for row in steps]
    assert sum(len(row["hit"]) for row in steps) > 0
    assert all(axes.get_aspect() == 1 for axes in figure.axes)
    assert protocol in figure.get_suptitle()
    assert [axes.get_title(loc="left").split(",")[0] for axes in figure.axes] == [f"{k / 2:.1f} s" for k in range(1, 7)]
    hit = next(axes for axes, row in zip(figure.axes, steps, strict=True) if row["hit"])
    assert "plan hits car agent 0" in hit.get_title(loc="left")


def test_steps_past_the_end_say_so(rows):
    figure = inspection_figure("uniad", read_sample(rows, "8")["uniad"], "left")
    assert [axes.get_title(loc="left").endswith(": past the end of the scene\n") for axes in figure.axes] == [False] + [
        True
    ] * 5


def test_the_picture_is_written_where_told(rows, tmp_path, monkeypatch):
    assert inspect(rows, "2", "strict", tmp_path / "one.png") == tmp_path / "one.png"
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.size == (1485, 1056)
    monkeypatch.chdir(tmp_path)
    assert inspect(rows, "2").name == "2-uniad.png"
    assert (tmp_path / "2-uniad.png").exists()


def test_a_protocol_that_does_not_hold_the_sample(rows):
    with pytest.raises(InputError, match="'9' under uniad, strict, not 'stp3_vad'"):
        inspect(rows, "9", "stp3_vad")
