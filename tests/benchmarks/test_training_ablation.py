"""Every change is one that the configuration knows, changes one thing, and leads to a row."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from drive_wm.benchmarks import training_ablation
from drive_wm.benchmarks.results_file import read_results
from drive_wm.checkpoint import load_weights
from drive_wm.config import preset
from drive_wm.datasets.cache import write_cache
from drive_wm.errors import InputError
from drive_wm.log import Log
from drive_wm.scene import SceneConfig


@pytest.mark.parametrize("change", training_ablation.CHANGES)
def test_changes_are_known(change: str) -> None:
    changed = preset("cpu-hour", training_ablation.CHANGES[change])
    assert (changed == preset("cpu-hour")) == (change == "nothing")


def test_runs_are_trained_once_and_scored(crossroads_log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = replace(crossroads_log, targets=np.array([[0, 3], [0, 4]]))
    write_cache(iter([log]), tmp_path / "cache", "test", "1", "all", SceneConfig(), lambda *news: None)
    monkeypatch.setattr(training_ablation, "PRESET", "tiny")
    arguments = ["--cache", str(tmp_path / "cache"), "--val", str(tmp_path / "cache"), "--out", str(tmp_path / "runs")]
    changes = ["nothing", "3 modes", "late steps count more", "nothing limits how agents move"]
    named = [word for change in changes for word in ("--change", change)]
    choice = [*named, "--seeds", "1", "--every", "1", "--stride", "4"]
    monkeypatch.setattr(sys, "argv", ["ablation", *arguments, *choice, "--json", str(tmp_path / "a.json"), "train.epochs=1"])
    training_ablation.main()
    rows = read_results(tmp_path / "a.json").rows
    assert [(row["changed"], row["seed"], row["n"]) for row in rows] == [(change, 0, 2) for change in changes]
    runs = [f"{change.replace(' ', '-')}-0" for change in changes if change != "3 modes"]
    as_it_is, *others = (load_weights(str(tmp_path / "runs" / run))[0] for run in runs)
    assert not any(torch.equal(as_it_is.modes, other.modes) for other in others)
    weights = tmp_path / "runs" / "3-modes-0" / "weights.safetensors"
    assert load_weights(str(weights))[0].config.dynamics.modes == 3
    made = weights.stat().st_mtime_ns
    training_ablation.main()
    assert weights.stat().st_mtime_ns == made
    assert read_results(tmp_path / "a.json").rows == rows
    monkeypatch.setattr(sys, "argv", [*sys.argv[:-1], "train.epochs=2"])
    with pytest.raises(InputError, match="another --out"):
        training_ablation.main()
