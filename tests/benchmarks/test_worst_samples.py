"""The worst come first, and no scene crowds the others out."""

import numpy as np
import pytest

from drive_wm.benchmarks.planning import score_file
from drive_wm.benchmarks.planning_rows import PlanRows
from drive_wm.benchmarks.plans_file import PlansFile
from drive_wm.benchmarks.rows_file import SavedRows, write_rows
from drive_wm.benchmarks.worst_samples import ranking, worst_of


def saved(scenes: str, l2_m, hits) -> SavedRows:
    """A sample each of these one-letter scenes, all steps at one distance and the first few in collision."""
    count = len(scenes)
    yes = np.ones((count, 6), bool)
    collision = np.arange(6) < np.array(hits)[:, None]
    rows = PlanRows("strict", np.repeat(np.array(l2_m, float)[:, None], 6, 1), collision, ~yes, yes, yes)
    names = tuple(f"{scene}{i}" for i, scene in enumerate(scenes))
    return SavedRows(rows, names, tuple(scenes), ((),) * count, np.zeros((count, 6, 2)))


RANKS = {  # name: (scenes, mean distance, steps in collision, order)
    "hits before distance": ("abc", [9.0, 1.0, 2.0], [0, 1, 2], ["c2", "b1", "a0"]),
    "then distance": ("abc", [1.0, 3.0, 2.0], [1, 1, 1], ["b1", "c2", "a0"]),
    "each scene before any scene's second": ("aaab", [4.0, 3.0, 2.0, 1.0], [6, 6, 6, 0], ["a0", "b3", "a1", "a2"]),
}


@pytest.mark.parametrize(("scenes", "l2_m", "hits", "order"), RANKS.values(), ids=RANKS)
def test_ranking(scenes, l2_m, hits, order):
    assert [bad.sample for bad in ranking(saved(scenes, l2_m, hits))] == order


def test_steps_that_do_not_count_or_exist_are_left_out():
    one = saved("a", [2.0], [6])
    one.rows.counted[0, 3:] = False
    one.rows.valid[0, 5] = False
    one.rows.l2_m[0, 5] = 100.0
    assert [(bad.hits, bad.l2_m) for bad in ranking(one)] == [(3, 2.0)]


def test_pictures_and_scenes_of_a_rows_file(drive, tmp_path):
    path = np.c_[3.3 * np.arange(1, 7), np.full(6, 3.0), np.zeros(6)]
    plans = PlansFile(tmp_path, "ego", "left", True, "none", dict.fromkeys(drive.keyframes, path))
    write_rows(tmp_path / "rows.parquet", score_file(plans, [drive]))
    told = []
    found = worst_of(tmp_path / "rows.parquet", 2, lambda *report: told.append(report))
    assert (found.planner, found.protocol) == ("left", "strict")
    assert [(scene["scene"], scene["samples"]) for scene in found.scenes] == [("drive", 10)]
    assert [picture.data[:4] for picture in found.pictures] == [b"\x89PNG"] * 2
    assert all(picture.dark and picture.dark != picture.data for picture in found.pictures)
    assert found.pictures[0].caption.startswith(f"drive, sample {found.scenes[0]['worst_sample']}: ")
    assert told == [(1, 2, "worst samples of left"), (2, 2, "worst samples of left")]
