"""Comparison of two rows files, worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from drive_wm.benchmarks.compare import compare, shown
from drive_wm.benchmarks.planning import score_file
from drive_wm.benchmarks.plans_file import PlansFile
from drive_wm.benchmarks.rows_file import write_rows
from drive_wm.errors import InputError


def at(left_m: float) -> np.ndarray:
    """The human's own motion, 2 m ahead a step, this far to the left."""
    return np.c_[2.0 * np.arange(1, 7), np.full(6, left_m), np.zeros(6)]


@pytest.fixture
def drives(drive):
    """Four drives of the same motion with keyframes of their own."""
    return [
        replace(drive, name=name, keyframes=tuple(f"{name}{i}" for i in range(10)), location="here" if name == "a" else "there")
        for name in "abcd"
    ]


@pytest.fixture
def save(drives, tmp_path):
    """save(name, offsets to the left per drive, ...): a rows file."""

    def write(name, left_m, protocols=("strict", "stp3_vad"), logs=None):
        logs = logs or drives
        plans = {token: at(left) for log, left in zip(logs, left_m, strict=True) for token in log.keyframes}
        evaluation = score_file(PlansFile(tmp_path, "ego", name, True, "none", plans), logs, protocols)
        write_rows(tmp_path / f"{name}.parquet", evaluation)
        return tmp_path / f"{name}.parquet"

    return write


def test_a_model_against_itself(save):
    path = save("a", [0.1, 0.2, 0.3, 0.4])
    for row in compare(path, path):
        assert row["l2_avg_difference"] == row["collision_avg_difference"] == row["l2_avg_sign"] == row["nearer_b"] == 0
        assert row["hit_only_a"] == row["hit_only_b"] == 0


def test_a_constant_difference_is_certain_however_different_the_scenes(save):
    rows = compare(save("a", [0.1, 1.0, 0.3, 2.0]), save("b", [0.6, 1.5, 0.8, 2.5]))
    whole = [row for row in rows if "slice" not in row]
    assert [row["protocol"] for row in whole] == ["stp3_vad", "strict"]
    assert rows[: len(whole)] == whole
    for row in whole:
        ends = [row[f"l2_avg_difference{end}"] for end in ("", "_low", "_high")]
        assert ends == pytest.approx([0.5] * 3)
        assert (row["planner"], row["l2_avg_sign"], row["nearer_b"], row["scenes"]) == ("b - a", 1, 0.0, 4)
        assert row["n"] == {"stp3_vad": 16, "strict": 36}[row["protocol"]]


def test_a_difference_of_one_scene_is_not_certain(save):
    row = compare(
        save("a", [0.5, 0.5, 0.5, 0.5]),
        save("b", [0.0, 0.6, 0.6, 0.6]),
    )[0]
    assert row["l2_avg_difference_low"] < 0 < row["l2_avg_difference_high"]
    assert row["l2_avg_sign"] == 0


def test_collisions_of_one_alone(save):
    """6 m to the left stand agents 4 and 5, which `strict` counts."""
    rows = compare(save("a", [0.0] * 4), save("b", [6.0] * 4))
    strict = next(row for row in rows if row["protocol"] == "strict")
    assert strict["hit_only_a"] == 0
    assert strict["hit_only_b"] > 0
    assert strict["collision_avg_sign"] == 1


def test_slices_follow_the_whole(save):
    rows = compare(save("a", [0.1] * 4), save("b", [0.2] * 4))
    assert {row["slice"] for row in rows if "slice" in row} == {"straight", "0.5 to 5 m/s", "here", "there"}
    here = next(row for row in rows if row.get("slice") == "here")
    assert (here["scenes"], here["l2_avg_difference_low"]) == (1, None)


def test_only_common_samples_count(save, drives):
    rows = compare(save("a", [0.1] * 4), save("b", [0.3] * 2, logs=drives[:2], protocols=("strict",)))
    assert (rows[0]["protocol"], rows[0]["n"], rows[0]["scenes"]) == ("strict", 18, 2)


def test_nothing_in_common(save, drives):
    with pytest.raises(InputError, match="no sample of a protocol in common"):
        compare(save("a", [0.1], logs=drives[:1]), save("b", [0.1], logs=drives[1:2]))
    with pytest.raises(InputError, match=r"\(strict\).*\(stp3_vad\)"):
        compare(save("a", [0.1] * 4, protocols=("strict",)), save("b", [0.1] * 4, protocols=("stp3_vad",)))


def test_another_truth_is_refused(save, drives):
    moved = [replace(log, ego_pose=log.ego_pose * (1.0, 1.1, 1.0)) for log in drives]
    with pytest.raises(InputError, match=r"disagree by .* on what the human drove"):
        compare(save("a", [0.1] * 4), save("b", [0.1] * 4, logs=moved))


def test_shown_writes_intervals_as_text(save):
    table = shown(compare(save("a", [0.1] * 4), save("b", [0.3] * 4)))
    assert [row["l2 b-a, 95 %"] for row in table] == ["+0.20 to +0.20"] * 2
