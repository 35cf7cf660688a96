"""Forecasts to look at: chosen by what a target did, and the worst of all as failures."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from drive_wm.benchmarks import forecast_gallery as gallery
from drive_wm.benchmarks.prediction_forecast import target_scenes
from drive_wm.checkpoint import Origin, save_weights
from drive_wm.config import TINY
from drive_wm.datasets.cache import open_cache, write_cache
from drive_wm.errors import InputError
from drive_wm.log import Log
from drive_wm.model.world_model import WorldModel
from drive_wm.rollouts import Rollouts
from drive_wm.scene import Future, Scene
from drive_wm.scene_at import scene_at


@pytest.fixture(scope="module")
def seen(crossroads_log: Log) -> tuple[Scene, Future, Rollouts]:
    scene, future = scene_at(crossroads_log, 6)
    with torch.inference_mode():
        return scene, future, WorldModel(TINY.model).eval().imagine(scene)


PATHS = {  # steps (12, 2) from the agent's place, what that is called
    "turn": (np.stack([np.full(12, 1.0), np.linspace(0, 2, 12)], 1), {"turn"}),
    "stop": (np.stack([np.linspace(2, 0, 12), np.zeros(12)], 1), {"stop"}),
    "set-off": (np.stack([np.linspace(0, 2, 12), np.zeros(12)], 1), {"set-off"}),
    "fast": (np.stack([np.full(12, 5.0), np.zeros(12)], 1), {"fast"}),
    "nothing": (np.stack([np.full(12, 1.0), np.zeros(12)], 1), set()),
}


@pytest.mark.parametrize(("steps_m", "called"), PATHS.values(), ids=PATHS)
def test_targets_are_called_by_what_they_do(seen, steps_m, called) -> None:
    scene, future, rollouts = seen
    position_m = future.tracks.position_m.clone()
    position_m[0, 0] = scene.tracks.position_m[0, 0, -1] + torch.from_numpy(steps_m.cumsum(0)).float()
    case = gallery.Case("", scene, replace(future, tracks=replace(future.tracks, position_m=position_m)), rollouts, 1.0)
    assert {what for what, holds in gallery.WHAT.items() if holds(case)} == called


def test_the_middle_of_each_kind_is_shown_and_the_worst(seen, monkeypatch) -> None:
    monkeypatch.setattr(gallery, "WHAT", {"any": lambda case: True})
    cases = [gallery.Case(str(i), *seen, error_m=float(i)) for i in (3, 0, 4, 1, 2, 5)]
    found = {file: case.name for file, case in gallery.chosen(cases).items()}
    assert found == {"any-1": "2", "any-2": "3"} | {f"failure-{i + 1}": str(5 - i) for i in range(5)}


@given(arrays(np.float32, (6, 2), elements=st.floats(-30, 30, width=16)))
def test_no_probability_covers_another(places_m) -> None:
    """Labels move up alone, and no more than all below them take."""
    moved = gallery.apart(places_m)
    assert (moved[:, 0] == places_m[:, 0]).all()
    assert ((moved[:, 1] >= places_m[:, 1]) & (moved[:, 1] <= places_m[:, 1] + 6 * gallery.LABEL_M[1])).all()
    for a, b in combinations(moved, 2):
        assert (abs(a - b) > gallery.LABEL_M - 1e-4).any()


def test_labels_that_stand_apart_stay_and_others_stack() -> None:
    places_m = np.array([[0, 0], [10, 0], [1, 1], [0, -9]], np.float32)
    assert gallery.apart(places_m).tolist() == pytest.approx(np.array([[0, 0], [10, 0], [1, 2.4], [0, -9]]))


def test_pictures_are_written(crossroads_log: Log, tmp_path: Path, monkeypatch, capsys) -> None:
    log = replace(crossroads_log, targets=np.array([[0, 3], [0, 4], [2, 5]]))
    write_cache(iter([log]), tmp_path / "cache", "test", "1", "all", TINY.model.scene, lambda *news: None)
    save_weights(WorldModel(TINY.model), Origin((), "", "Apache-2.0"), tmp_path / "weights.safetensors")
    arguments = ["--cache", str(tmp_path / "cache"), "--weights", str(tmp_path / "weights.safetensors"), "--every", "1"]
    monkeypatch.setattr("sys.argv", ["gallery", *arguments, "--out", str(tmp_path / "out")])
    gallery.main()
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(written) == len(capsys.readouterr().out.splitlines()) >= 3
    assert all((tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG") for name in written)


def test_a_target_is_shown_once(seen, monkeypatch) -> None:
    """Of both kinds at once, it counts for the first."""
    monkeypatch.setattr(gallery, "WHAT", {"any": lambda case: True, "all": lambda case: True})
    cases = [gallery.Case(str(i), *seen, error_m=float(i)) for i in range(3)]
    found = {file: case.name for file, case in gallery.chosen(cases).items()}
    assert {name: found[name] for name in found if "failure" not in name} == {"any-1": "0", "any-2": "1", "all-1": "2"}


def test_targets_need_six_known_seconds(crossroads_log: Log, tmp_path: Path) -> None:
    log = replace(crossroads_log, targets=np.array([[0, 3], [0, 15], [2, 5]]))  # of 24 keyframes
    write_cache(iter([log]), tmp_path, "test", "1", "all", TINY.model.scene, lambda *news: None)
    views = target_scenes(open_cache(tmp_path), 1, TINY.model.scene)
    assert [name for name, _, _ in views] == [f"{log.name}-{log.agents[0]}-3", f"{log.name}-{log.agents[2]}-5"]
    late = replace(log, name="late", targets=np.array([[0, 15]]))
    write_cache(iter([late]), tmp_path / "late", "test", "1", "all", TINY.model.scene, lambda *news: None)
    with pytest.raises(InputError, match="names no target with six seconds to come"):
        target_scenes(open_cache(tmp_path / "late"), 1, TINY.model.scene)
