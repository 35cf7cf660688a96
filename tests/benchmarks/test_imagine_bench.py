"""Imagination is timed beside the same futures imagined plan by plan, and both give the same."""

import pytest
import torch

from drive_wm.benchmarks.imagine_bench import bench_imagine, fullest, scenes_to_imagine
from drive_wm.config import TINY
from drive_wm.errors import InputError
from drive_wm.model.world_model import WorldModel
from drive_wm.scene import Scene


def test_rows_say_how_fast_and_how_equal(crossroads_scene: Scene) -> None:
    torch.manual_seed(0)
    model = WorldModel(TINY.model).eval()
    threads = torch.get_num_threads()
    ours, peer = bench_imagine(model, [crossroads_scene], runs=2, peer_runs=1, threads=1)
    assert torch.get_num_threads() == threads
    assert (ours["plans"], ours["modes"], ours["steps"], ours["agents"]) == (64, 2, 12, 32)
    for row in (ours, peer):
        imagined_s = 64 * 2 * 12 * 0.5
        assert row["scene_seconds_per_second"] == pytest.approx(1e3 * imagined_s / row["p50_ms"])
    assert ours["ratio_to_naive"] == pytest.approx(peer["p50_ms"] / ours["p50_ms"])
    assert ours["max_difference_m"] < 1e-3
    assert 0 < ours["share_of_ceiling"] < 1
    assert (ours["n"], peer["n"], peer["slice"]) == (2, 1, "plan by plan")


def test_nothing_to_imagine_is_an_error() -> None:
    with pytest.raises(InputError, match="0 scenes"):
        bench_imagine(WorldModel(TINY.model), [], 1, 1, 1)


def test_the_fullest_scenes_of_the_samples_come_first() -> None:
    counts = [int(scene.tracks.valid[..., -1].sum()) for scene in fullest(scenes_to_imagine(TINY.model.scene, []), 3)]
    assert counts == sorted(counts, reverse=True)
    assert len(counts) == 3
