"""One thing is taken away at a time, and nothing else changes."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from drive_wm.benchmarks import ablation
from drive_wm.benchmarks.results_file import read_results
from drive_wm.checkpoint import Origin, save_weights
from drive_wm.config import TINY
from drive_wm.datasets.cache import write_cache
from drive_wm.log import Log
from drive_wm.model.world_model import WorldModel
from drive_wm.scene import Scene
from drive_wm.structs import tensors


def changed(scene: Scene, other: Scene) -> set[str]:
    after = tensors(other)
    return {name for name, x in tensors(scene).items() if not torch.equal(x, after[name])}


def test_inputs_are_taken_away_one_by_one(crossroads_batch: Scene) -> None:
    assert changed(crossroads_batch, ablation.INPUTS["nothing"](crossroads_batch)) == set()
    assert changed(crossroads_batch, ablation.INPUTS["raster"](crossroads_batch)) == {"has_raster", "raster", "edge_m"}
    assert changed(crossroads_batch, ablation.INPUTS["lanes"](crossroads_batch)) == {
        "lanes.valid", "elements.valid", "has_lanes",
    }  # fmt: skip
    alone = ablation.without_others(crossroads_batch)
    assert not alone.tracks.valid[:, 1:].any()
    assert torch.equal(alone.tracks.position_m[:, 0], crossroads_batch.tracks.position_m[:, 0])
    alone.check()
    now = ablation.with_past(0)(crossroads_batch)
    now.check()
    assert not now.tracks.valid[..., :-1].any()
    assert torch.equal(now.tracks.velocity_mps[..., -1, :], crossroads_batch.tracks.velocity_mps[..., -1, :])
    assert ablation.with_past(1)(crossroads_batch).tracks.valid[0, 0].tolist() == [False, False, False, True, True]


def test_a_table_is_written(crossroads_log: Log, tmp_path: Path, monkeypatch) -> None:
    log = replace(crossroads_log, targets=np.array([[0, 3], [0, 4]]))
    write_cache(iter([log]), tmp_path / "cache", "test", "1", "all", TINY.model.scene, lambda *news: None)
    save_weights(WorldModel(TINY.model), Origin((), "", "Apache-2.0"), tmp_path / "weights.safetensors")
    arguments = ["--cache", str(tmp_path / "cache"), "--weights", str(tmp_path / "weights.safetensors"), "--every", "1"]
    monkeypatch.setattr(sys, "argv", ["ablation", *arguments, "--json", str(tmp_path / "a.json")])
    ablation.main()
    rows = read_results(tmp_path / "a.json").rows
    assert [row["without"] for row in rows] == [
        "nothing", "mirrored half", "spread: modes alone", "spread across", "ranks of modes",
        "raster", "lanes", "others", "past beyond 0.5 s", "all past but velocity",
    ]  # fmt: skip
    assert {row["n"] for row in rows} == {2}
