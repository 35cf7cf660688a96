"""Planners by name: shipped ones, a user's file, and what is said about anything else."""

import pytest

from drive_wm.benchmarks.planner_named import planner_named
from drive_wm.errors import InputError
from drive_wm.planners import constant_velocity


def test_shipped_name():
    assert planner_named("constant_velocity", "no weights are read") is constant_velocity.plan


def test_ego_history_needs_its_own_weights():
    with pytest.raises(InputError, match=r"drive-wm train --preset ego_history"):
        planner_named("ego_history", "synthetic")


def test_own_file(tmp_path):
    (tmp_path / "mine.py").write_text("def plan(scene):\n    return scene + 1\n")
    assert planner_named(f"{tmp_path}/mine.py:plan", "")(1) == 2


MISTAKES = {  # name: error, message
    "magic": (InputError, "known: world_model, ego_history, constant_velocity"),
    "nowhere.py:plan": (FileNotFoundError, "No file nowhere.py"),
    f"{__file__}:missing": (InputError, "has no function 'missing'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_explained(name):
    error, message = MISTAKES[name]
    with pytest.raises(error, match=message):
        planner_named(name, "")
