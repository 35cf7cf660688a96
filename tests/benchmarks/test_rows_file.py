"""Rows files: what is written comes back, every collision has its boxes, other files are refused."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drive_wm.benchmarks.planning import score_file
from drive_wm.benchmarks.plans_file import PlansFile
from drive_wm.benchmarks.rows_file import SCHEMA, read_about, read_rows, read_sample, write_rows
from drive_wm.errors import InputError
from drive_wm.metrics.planning import PROTOCOLS


@pytest.fixture
def evaluation(drive, tmp_path):
    """A file's plans, 3 m to the left of the human and faster, through the car that stands there."""
    path = np.c_[3.3 * np.arange(1, 7), np.full(6, 3.0), np.zeros(6)]
    return score_file(PlansFile(tmp_path, "ego", "left", True, "none", dict.fromkeys(drive.keyframes, path)), [drive])


@pytest.fixture
def written(evaluation, tmp_path):
    write_rows(tmp_path / "rows.parquet", evaluation)
    return tmp_path / "rows.parquet"


def test_what_is_written_comes_back(written, evaluation):
    saved = read_rows(written)
    assert tuple(saved) == PROTOCOLS
    for protocol, (drive,) in evaluation.scores.items():
        back = saved[protocol]
        for name in ("l2_m", "collision", "truth_collision", "counted", "valid"):
            np.testing.assert_array_equal(getattr(back.rows, name), getattr(drive.rows, name))
        assert (back.samples, back.slices, set(back.scene)) == (drive.samples, drive.slices, {"drive"})
        assert back.rows.summary() == drive.rows.summary()
        np.testing.assert_array_equal(np.isnan(back.truths_m).any(-1), ~drive.rows.valid)
    assert read_about(written)["planner"] == "left"


def test_every_collision_names_its_boxes(written):
    rows = pq.read_table(written).to_pylist()
    assert len(rows) == 6 * (10 + 4 + 4 + 4 + 10)
    for row in rows:
        near = {box["instance"] for box in row["boxes"]}
        assert set(row["hit"]) | set(row["truth_hit"]) <= near
        if row["valid"]:
            assert bool(row["hit"]) == row["collision"]
            assert row["truth_x_m"] is not None
        else:
            assert (row["hit"], row["truth_x_m"]) == ([], None)
    first = next(row for row in rows if row["protocol"] == "strict" and row["collision"])
    (hit,) = (box for box in first["boxes"] if box["instance"] in first["hit"])
    assert (hit["instance"], hit["category"]) == ("agent 0", "vehicle.car")


def test_one_sample(written):
    found = read_sample(written, "2")
    assert tuple(found) == PROTOCOLS
    assert [[row["step"] for row in steps] for steps in found.values()] == [[1, 2, 3, 4, 5, 6]] * 5
    assert tuple(read_sample(written, "9")) == ("uniad", "strict")
    with pytest.raises(InputError, match=r"no sample 'x'; it holds 0, 1, 2 and others"):
        read_sample(written, "x")


def other_version(path):
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"drive_wm_rows"]) | {"version": 0}
    pq.write_table(table.replace_schema_metadata({b"drive_wm_rows": json.dumps(about)}), path)


BAD = {  # name: (damage, words)
    "not Parquet": (lambda path: path.write_text("no"), "is not a Parquet file"),
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:500]), "is not a Parquet file"),
    "other Parquet": (lambda path: pq.write_table(pa.table({"x": [1]}), path), r"not a rows file .* columns x"),
    "no note": (lambda path: pq.write_table(pq.read_table(path).replace_schema_metadata(None), path), "found version None"),
    "other version": (other_version, "found version 0"),
}


@pytest.mark.parametrize(("damage", "words"), BAD.values(), ids=BAD)
def test_other_files_are_refused(damage, words, written):
    damage(written)
    with pytest.raises(InputError, match=words):
        read_rows(written)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="--rows"):
        read_about(tmp_path / "rows.parquet")


def test_the_module_describes_every_column():
    from drive_wm.benchmarks import rows_file

    table = [line for line in rows_file.__doc__.splitlines() if line.startswith("| ")]
    named = {name.strip() for line in table for name in line.split("|")[1].split(",")}
    assert named - {"column"} == set(SCHEMA.names)
