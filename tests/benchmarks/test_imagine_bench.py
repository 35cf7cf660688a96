"""Imagination is timed beside the same futures imagined plan by plan, and both give the same."""

import pytest
import torch

from drive_wm.benchmarks.imagine_bench import bench_imagine, fullest, scenes_to_imagine
from drive_wm.config import TINY
from drive_wm.errors import InputError
from drive_wm.model.dynamics import Dynamics
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


def test_what_is_compiled_has_a_row_of_its_own(crossroads_scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """One model's step alone is compiled, and both are held to the same peer."""
    compiled: list[Dynamics] = []
    monkeypatch.setattr(Dynamics, "compile", lambda self: compiled.append(self))
    rows = bench_imagine(WorldModel(TINY.model).eval(), [crossroads_scene], runs=2, peer_runs=1, threads=1, compiled=True)
    assert len(compiled) == 1
    assert [row["runtime"] for row in rows] == ["shared", "shared, compiled", "plan by plan"]
    assert [row["n"] for row in rows] == [2, 2, 1]
    assert rows[0]["max_difference_m"] == rows[1]["max_difference_m"] > 0


def test_a_machine_that_cannot_compile_says_what_to_install(crossroads_scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found in torch._inductor.config.cpp.cxx")

    monkeypatch.setattr(Dynamics, "compile", lambda self: self.register_forward_pre_hook(fails))
    with pytest.raises(InputError, match=r"Install g\+\+, or leave --compile out"):
        bench_imagine(WorldModel(TINY.model).eval(), [crossroads_scene], 1, 1, 1, compiled=True)


def test_nothing_to_imagine_is_an_error() -> None:
    with pytest.raises(InputError, match="0 scenes"):
        bench_imagine(WorldModel(TINY.model), [], 1, 1, 1)


def test_a_device_that_is_not_there_is_an_error(crossroads_scene: Scene) -> None:
    """A GPU that no machine has, and a name that torch does not know."""
    for device in ("cuda:99", "gpu"):
        with pytest.raises(InputError, match=f"--device {device}: .*Pass --device cpu"):
            bench_imagine(WorldModel(TINY.model), [crossroads_scene], 1, 1, 1, device=device)


def test_the_fullest_scenes_of_the_samples_come_first() -> None:
    counts = [int(scene.tracks.valid[..., -1].sum()) for scene in fullest(scenes_to_imagine(TINY.model.scene, []), 3)]
    assert counts == sorted(counts, reverse=True)
    assert len(counts) == 3
