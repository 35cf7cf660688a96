"""Batches of one kind, the same in every run, and what trimming leaves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from drive_wm.config import TINY
from drive_wm.datasets.cache import open_cache, write_cache
from drive_wm.log import Log
from drive_wm.model.world_model import WorldModel
from drive_wm.samples import BRANCHES, EpochBatches, Samples, trimmed
from drive_wm.scene import SceneConfig
from drive_wm.scene_at import scene_at
from drive_wm.structs import tensors

KINDS = [0] * 7 + [3] * 5 + [1]


def test_batches_hold_every_sample_once_and_one_kind_each() -> None:
    batches = EpochBatches(KINDS, batch=4, seed=0)
    found = list(batches)
    assert sorted(i for batch in found for i in batch) == list(range(len(KINDS)))
    assert all(len({KINDS[i] for i in batch}) == 1 and len(batch) <= 4 for batch in found)
    assert len(batches) == len(found) == 2 + 2 + 1


def test_the_epoch_alone_decides_the_order() -> None:
    def order(epoch: int, seed: int = 0) -> list[list[int]]:
        batches = EpochBatches(KINDS, batch=4, seed=seed)
        batches.set_epoch(epoch)
        return list(batches)

    assert order(3) == order(3)
    assert order(3) != order(4)
    assert order(3) != order(3, seed=1)


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_the_batches_evenly(monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    """Together they read all that one would, and some again where a kind does not come out even; one kind at a time."""
    whole = list(EpochBatches(KINDS, batch=4, seed=0))
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: processes)
    shares = []
    for rank in range(processes):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        batches = EpochBatches(KINDS, batch=4, seed=0)
        shares.append(list(batches))
        assert len(batches) == len(shares[-1]) == 3  # two batches of two kinds, one of the third
    assert {tuple(batch) for share in shares for batch in share} == {tuple(batch) for batch in whole}
    for together in zip(*shares, strict=True):
        assert len({KINDS[i] for batch in together for i in batch}) == 1


def test_what_told_egos_did_is_not_learnt_from(crossroads_log: Log, tmp_path: Path) -> None:
    for source in ("sumo", BRANCHES):
        write_cache(iter([crossroads_log]), tmp_path / source, source, "1", "all", SceneConfig(), lambda *news: None)
    told, free = (Samples([open_cache(tmp_path / source)], held_out=False, stride=1)[5][1] for source in (BRANCHES, "sumo"))
    assert free.tracks.valid[0, 0].all()
    assert not told.tracks.valid[0, 0].any()
    assert torch.equal(told.tracks.valid[0, 1:], free.tracks.valid[0, 1:])
    assert torch.equal(told.ego_valid, free.ego_valid)


def test_a_scene_has_a_name(crossroads_log: Log, tmp_path: Path) -> None:
    log = replace(crossroads_log, targets=np.array([[0, 3]]))
    write_cache(iter([log]), tmp_path, "test", "1", "all", SceneConfig(), lambda *news: None)
    samples = Samples([open_cache(tmp_path)], held_out=False, stride=1)
    assert samples.name(3) == f"{log.name!r} (keyframe 3)"
    assert samples.name(len(samples) - 1) == f"{log.name!r} (target 0)"


def test_trimming_takes_only_what_nobody_fills(crossroads_log: Log) -> None:
    """What is imagined of those who stay is unchanged."""
    scene, future = scene_at(crossroads_log, 6)
    there = int(scene.tracks.valid[..., -1].sum())
    cut, then = trimmed(scene, future, agents=32)
    assert cut.tracks.kind.shape == then.tracks.kind.shape == (1, there)
    assert cut.lanes.valid.all()
    torch.manual_seed(0)
    model = WorldModel(TINY.model).eval()
    torch.nn.init.normal_(model.dynamics.act.weight, std=0.5)
    with torch.no_grad():
        whole, short = model.imagine(scene), model.imagine(cut)
    assert_close(short.position_m, whole.position_m[:, :, :, :there], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("agents", [1, 3])
def test_trimming_keeps_the_nearest(crossroads_log: Log, agents: int) -> None:
    scene, future = scene_at(crossroads_log, 6)
    cut, then = trimmed(scene, future, agents)
    for short, whole in ((cut.tracks, scene.tracks), (then.tracks, future.tracks)):
        for name, value in tensors(short).items():
            assert torch.equal(value, tensors(whole)[name][:, :agents]), name


def test_an_empty_map_keeps_one_place(crossroads_log: Log) -> None:
    scene, future = scene_at(crossroads_log, 6)
    bare = replace(scene, lanes=replace(scene.lanes, valid=torch.zeros_like(scene.lanes.valid)))
    assert trimmed(bare, future, 32)[0].lanes.valid.shape == (1, 1)
