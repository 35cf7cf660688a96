"""Label files that are not as they should be: the message names the file and the line."""

import numpy as np
import pytest

from drive_wm.datasets.nuscenes_pred_rows import read_rows
from drive_wm.errors import InputError


def changed(line, column, value):
    def change(rows):
        words = rows[line - 1].split()
        words[column] = value
        return [*rows[: line - 1], " ".join(words), *rows[line:]]

    return change


BAD = {  # name: (change of the rows: odd lines are the ego's, even ones the car's, a target at frame 1; parts of the message)
    "too few columns": (lambda rows: [*rows[:4], "2.0 99.0 Car", *rows[5:]], ["line 5", "3 columns", "18", "20"]),
    "a word for a number": (changed(3, 13, "here"), ["line 3", "no number", "'here'"]),
    "not a number": (changed(4, 16, "nan"), ["line 4", "nan", "finite"]),
    "no size": (changed(6, 10, "0.0"), ["line 6", "sizes above 0"]),
    "half a frame": (changed(2, 0, "0.5"), ["line 2", "frame 0.5", "whole numbers"]),
    "an unknown class": (changed(2, 2, "Tram"), ["line 2", "'Tram'", "Car, Truck"]),
    "an unknown flag": (changed(2, 17, "-1.0"), ["line 2", "-1 in column 17"]),
    "twice": (lambda rows: [*rows, rows[1]], ["line 29", "vehicle 7 at frame 0 a second time", "line 2"]),
    "no ego": (lambda rows: rows[:6] + rows[7:], ["line 7", "frame 3", "no row of the ego"]),
    "no future": (lambda rows: rows[:-1], ["line 4", "a target, vehicle 7 at frame 1", "12 rows"]),
    "nothing": (lambda rows: [], ["is empty"]),
}


@pytest.mark.parametrize(("change", "parts"), BAD.values(), ids=BAD)
def test_bad_rows(tmp_path, pred_rows, change, parts):
    path = tmp_path / "scene-0001.txt"
    path.write_text("\n".join(change(pred_rows(range(14), targets=(1,)))))
    with pytest.raises(InputError) as error:
        read_rows(path)
    assert all(part in str(error.value) for part in ["scene-0001.txt", *parts]), str(error.value)


def test_no_text(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"x\.txt is not text"):
        read_rows(tmp_path / "x.txt")


def test_the_egos_flag_asks_for_nothing(tmp_path, pred_rows):
    path = tmp_path / "scene-0001.txt"
    path.write_text("\n".join(pred_rows(range(14), targets=(1,))))
    rows = read_rows(path)
    assert np.flatnonzero(rows.asked).tolist() == [3]
    assert rows.has_ego


def test_runs(tmp_path, pred_rows):
    path = tmp_path / "scene-0001.txt"
    path.write_text("\n".join(pred_rows([0, 1, 2, 5, 8, 9], ego=False)))
    assert [run.tolist() for run in read_rows(path).runs] == [[0, 1, 2], [5], [8, 9]]
