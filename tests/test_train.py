"""Training from a cache: it learns, it resumes exactly after kill -9, it needs no devkit, and mistakes are named."""

import os
import re
import signal
import subprocess
import sys
import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch.testing import assert_close

from drive_wm.checkpoint import load_weights
from drive_wm.config import TINY
from drive_wm.datasets.cache import open_cache, write_cache
from drive_wm.errors import InputError
from drive_wm.log import Log
from drive_wm.losses import Losses, rollout_losses
from drive_wm.model.dynamics import Dynamics
from drive_wm.model.world_model import WorldModel
from drive_wm.samples import EpochBatches, Samples
from drive_wm.scene import Scene, SceneConfig
from drive_wm.scene_at import SceneBuilder, scene_at
from drive_wm.told import without_agents
from drive_wm.train import Training, logged_plan, optimizer_of, train, with_commands, without_map, without_some

OVERRIDES = ["train.epochs=3", "train.stride=4", "train.batch=4"]
SMALL = SceneConfig(agents=8, lanes=24, elements=12)
SIZES = ["model.scene.agents=8", "model.scene.lanes=24", "model.scene.elements=12"]


@pytest.fixture(scope="module")
def cache(crossroads_log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("train") / "cache"
    logs = iter([replace(crossroads_log, name=f"crossroads-{i}") for i in range(2)])
    write_cache(logs, out, "test", "1", "all", SMALL, lambda done, total, note: None)
    return out


def run(cache: Path, out: Path, *flags: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "drive_wm.cli", "train", "--cache", str(cache), "--preset", "tiny", "--out", str(out)]
    log = out.with_suffix(".log").open("ab")
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*command, *flags, *OVERRIDES, *SIZES], stdout=log, stderr=log, env=env, start_new_session=True)


def run_whole(cache: Path, out: Path, *flags: str) -> None:
    """To the end; one process trains here, which spares the time to start it, and without flags: they change nothing for it."""
    if any(flag.startswith("train.processes") for flag in flags):
        assert run(cache, out, *flags).wait(300) == 0, out.with_suffix(".log").read_text()
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train([cache], "tiny", out, [*OVERRIDES, *SIZES], resume="--resume" in flags)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags", [("train.own_steps=3",), ("train.processes=2", "train.own_steps=3")], ids=["one process", "two processes"]
)
def test_a_killed_run_resumes_as_if_nothing_had_happened(cache: Path, tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Two processes that step alone agree on weights and momenta before the run is saved; to one that is nothing."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run_whole(cache, whole, *flags)
    first = run(cache, killed, *flags)
    deadline = time.monotonic() + 300
    while not (killed / "checkpoints" / "last.ckpt").exists():
        assert first.poll() is None, killed.with_suffix(".log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not (killed / "weights.safetensors").exists(), "the run ended before it could be killed"
    run_whole(cache, killed, *flags, "--resume")
    expected, resumed = (load_weights(str(path))[0].state_dict() for path in (whole, killed))
    for name, value in expected.items():
        assert_close(resumed[name], value, atol=0, rtol=0, msg=name)


@pytest.mark.slow
def test_two_processes_train_one_model(cache: Path, tmp_path: Path) -> None:
    """Gloo: both step with the same mean gradient, so that one file says what both hold."""
    out = tmp_path / "run"
    assert run(cache, out, "train.processes=2").wait(300) == 0, out.with_suffix(".log").read_text()
    assert out.with_suffix(".log").read_text().count("Weights:") == 1
    start, trained = WorldModel(load_weights(str(out))[0].config), load_weights(str(out))[0]
    assert all(x.isfinite().all() for x in trained.state_dict().values())
    assert not torch.equal(start.rank[0].weight, trained.rank[0].weight)


def test_a_scene_whose_loss_is_not_finite_is_named(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second scene of the first batch."""

    def broken(*arguments: Any) -> Losses:
        losses = rollout_losses(*arguments)
        return replace(losses, joint=torch.where(torch.arange(len(losses.joint)) == 1, torch.nan, losses.joint))

    monkeypatch.setattr("drive_wm.train.rollout_losses", broken)
    samples = Samples([open_cache(cache)], held_out=False, stride=4)
    wrong = samples.name(next(iter(EpochBatches(samples.kinds, 4, 0)))[1])
    with pytest.raises(InputError, match=f"at step 0 for {re.escape(wrong)}. Look at these scenes"):
        train([cache], "tiny", tmp_path / "run", [*OVERRIDES, *SIZES])


def set_up(device: str, **settings: Any) -> Training:
    """A learner as Lightning readies it for this device."""
    config = replace(TINY, train=replace(TINY.train, **settings))
    learner = Training(config, WorldModel(config.model))
    strategy = SingleDeviceStrategy(torch.device(device))
    learner.trainer = SimpleNamespace(strategy=strategy)  # type: ignore[assignment]
    learner.setup("fit")
    return learner


@pytest.mark.parametrize(
    ("can", "expected"), [({"avx2": True, "avx512_bf16": False}, False), ({"amx_bf16": True}, True), ({"bf16": True}, True)]
)
@pytest.mark.parametrize("asked", [True, False])
def test_maps_are_bfloat16_where_the_device_multiplies_it(
    can: dict[str, bool], expected: bool, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the processor can says nothing of a GPU beside it."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can)
    assert set_up("cpu", bf16_maps=asked).model.bev.bf16 is (asked and expected)
    for gpu_can in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, can=gpu_can: can)
        assert set_up("cuda", bf16_maps=asked).model.bev.bf16 is (asked and gpu_can)


def test_the_step_is_compiled_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []
    monkeypatch.setattr(Dynamics, "compile", lambda self: compiled.append(self))
    set_up("cpu")
    assert not compiled
    learner = set_up("cpu", compile=True)
    assert compiled == [learner.model.dynamics]


@pytest.mark.parametrize("seed", [0, 1])  # the ego follows its path; it is imagined too
@pytest.mark.parametrize("from_ego", [True, False])
def test_a_step_elsewhere_is_the_step_here(crossroads_log: Log, elsewhere: torch.device, seed: int, from_ego: bool) -> None:
    """As on a GPU, nothing that lies elsewhere meets what was left on the processor; loss and every gradient are the same."""
    scene, future = SceneBuilder(crossroads_log).over(range(9, 12))
    scene = replace(scene, has_ego=torch.full((3,), from_ego))
    torch.manual_seed(0)
    here = Training(TINY, WorldModel(TINY.model))
    drawn = here.varied(scene, future, torch.Generator().manual_seed(seed))
    assert drawn[2] is (seed == 1)
    expected = here.losses(*drawn).total.mean()
    expected.backward()
    there = deepcopy(here).to(elsewhere)
    there.zero_grad()
    found = there.losses(drawn[0].to(elsewhere), drawn[1].to(elsewhere), drawn[2]).total.mean()
    found.backward()
    assert found.device == elsewhere
    assert_close(found.cpu(), expected)
    for name, weight in here.named_parameters():
        gradient = there.get_parameter(name).grad
        assert (gradient is None) == (weight.grad is None)
        if gradient is not None:
            assert_close(gradient.cpu(), weight.grad, msg=name)


def test_elsewhere_is_not_here(elsewhere: torch.device) -> None:
    """What the device of other tests is for: to refuse what a GPU refuses, and to allow what it allows."""
    there = torch.arange(3.0).to(elsewhere)
    with pytest.raises(RuntimeError, match="two devices"):
        there + torch.ones(3)
    with pytest.raises(RuntimeError, match="two devices"):
        torch.ones(3)[there.long()]
    scaled = there * torch.tensor(2.0) + there.new_tensor([1.0, 1.0, 1.0])
    moved = torch.where(there > 0, scaled, torch.zeros(3, device=elsewhere))
    assert moved[torch.tensor([1])].cpu().tolist() == [3.0]
    assert moved.cpu().tolist() == [0.0, 3.0, 5.0]


def test_muon_never_iterates_in_the_bfloat16_of_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def recorded(matrix: torch.Tensor, **settings: Any) -> torch.Tensor:
        seen.append(settings.get("dtype", torch.bfloat16))
        return matrix

    for module in ("drive_wm.train", "pytorch_optimizer.optimizer.muon.base"):
        monkeypatch.setattr(f"{module}.zero_power_via_newton_schulz_5", recorded)
    model = WorldModel(TINY.model)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer_of(model, TINY.train).step()
    assert set(seen) == {torch.float32}


def test_muon_steps_what_turns_features_into_features() -> None:
    """Every weight is stepped once; biases, and what reads numbers or says some, by AdamW."""
    model = WorldModel(TINY.model)
    hidden, rest = (group["params"] for group in optimizer_of(model, TINY.train).param_groups)
    assert sorted(map(id, [*hidden, *rest])) == sorted(map(id, model.parameters()))
    assert {id(model.bev.shrink.weight), id(model.dynamics.refine.layers[1].weight)} <= set(map(id, hidden))
    assert {id(model.dynamics.act.weight), id(model.modes), id(model.scene.agents[0].weight)} <= set(map(id, rest))
    assert all(weight.ndim > 1 for weight in hidden)


@pytest.fixture(scope="module")
def trained(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    train([cache], "tiny", out, [*OVERRIDES, *SIZES], leave_out=["crossroads-1"], command="drive-wm train ...")
    return out


def test_weights_tell_where_they_come_from(trained: Path) -> None:
    origin = load_weights(str(trained))[1]
    assert origin.trained_on == ("test 1 all (1 logs)",)
    assert origin.command == "drive-wm train ..."
    assert origin.licence == "Apache-2.0"
    assert list((trained / "log").glob("events.*")), "TensorBoard log"


def test_a_run_is_not_overwritten(trained: Path, cache: Path) -> None:
    with pytest.raises(InputError, match="--resume"):
        train([cache], "tiny", trained, [*OVERRIDES, *SIZES])


MISTAKES = {  # keyword arguments, what the message must name
    "unknown drive": ({"leave_out": ["scene-9999"]}, "scene-9999"),
    "nothing left": ({"leave_out": ["crossroads-0", "crossroads-1"]}, "is left"),
    "other sizes": ({"overrides": ["train.epochs=1"]}, "agents"),
}


@pytest.mark.parametrize(("arguments", "named"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_named(cache: Path, tmp_path: Path, arguments: dict[str, list[str]], named: str) -> None:
    with pytest.raises(InputError, match=named):
        train([cache], "tiny", tmp_path / "run", **({"overrides": [*OVERRIDES, *SIZES]} | arguments))
    assert not (tmp_path / "run").exists()


def test_every_tenth_log_is_held_out_and_stride_thins(cache: Path) -> None:
    opened = open_cache(cache)
    assert len(Samples([opened] * 5, held_out=True, stride=1)) == 23  # the tenth of ten drives; its last step has no future
    assert len(Samples([opened] * 5, held_out=False, stride=1)) == 9 * 23
    assert len(Samples([opened], held_out=False, stride=4)) == 2 * 6


def test_views_choose_whose_scenes_are_learnt_from(crossroads_log: Log, tmp_path: Path) -> None:
    """24 keyframes, the last without a future, and 3 targets."""
    log = replace(crossroads_log, targets=np.array([[0, 3], [0, 4], [2, 5]]))
    write_cache(iter([log]), tmp_path, "test", "1", "all", SMALL, lambda done, total, note: None)
    opened = [open_cache(tmp_path)]
    found = {views: Samples(opened, held_out=False, stride=1, views=views) for views in ("ego", "targets", "all")}
    assert {views: len(samples) for views, samples in found.items()} == {"ego": 23, "targets": 3, "all": 26}
    assert [bool(found["targets"][i][0].has_ego) for i in range(3)] == [False] * 3
    assert bool(found["ego"][22][0].has_ego)
    assert len(Samples(opened, held_out=False, stride=2, views="targets")) == 2


def test_views_of_egos_are_thinned_by_themselves(crossroads_log: Log, tmp_path: Path) -> None:
    """Of 23 keyframes with a future the 1st, 6th, 11th, 16th and 21st, and all 3 targets."""
    log = replace(crossroads_log, targets=np.array([[0, 3], [0, 4], [2, 5]]))
    write_cache(iter([log]), tmp_path, "test", "1", "all", SMALL, lambda done, total, note: None)
    samples = Samples([open_cache(tmp_path)], held_out=False, stride=1, ego_stride=5)
    assert [place for _, place in samples.places] == [0, 5, 10, 15, 20, 24, 25, 26]


def test_others_are_hidden_where_a_target_is_seen_from(crossroads_batch: Scene) -> None:
    """Half of those who may be hidden are, at even odds, and neither agent 0 nor anybody around an ego."""
    from_target = torch.tensor([True, True, False])
    scene = replace(crossroads_batch, has_ego=~from_target)
    random = torch.Generator().manual_seed(0)
    gone = torch.stack([scene.tracks.valid & ~without_some(scene, 1.0, random).tracks.valid for _ in range(200)])[..., -1]
    there = scene.tracks.valid[..., -1]
    assert not gone[:, :, 0].any()
    assert not gone[:, ~from_target].any()
    assert 0.4 < gone[:, from_target, 1:].float().mean() / there[from_target, 1:].float().mean() < 0.6
    assert torch.equal(without_some(scene, 0.0, random).tracks.valid, scene.tracks.valid)


def test_who_is_hidden_is_as_if_not_there(crossroads_batch: Scene) -> None:
    """What others do does not depend on where the hidden ones are."""
    torch.manual_seed(0)
    model = WorldModel(TINY.model)
    hidden = torch.zeros(crossroads_batch.tracks.kind.shape, dtype=torch.bool)
    hidden[:, 1] = True
    elsewhere = replace(
        crossroads_batch,
        tracks=replace(
            crossroads_batch.tracks,
            position_m=torch.where(hidden[..., None, None], 7.0, crossroads_batch.tracks.position_m),
        ),
    )
    with torch.no_grad():
        one, other = (model.imagine(without_agents(scene, hidden)) for scene in (crossroads_batch, elsewhere))
    assert not one.valid[:, 1].any()
    assert torch.equal(one.position_m[:, :, :, 2:], other.position_m[:, :, :, 2:])
    assert torch.equal(one.position_m[:, :, :, 0], other.position_m[:, :, :, 0])


def test_the_logged_plan_drives_where_the_ego_drove(crossroads_log: Log) -> None:
    scene, future = scene_at(crossroads_log, 4)
    plans = logged_plan(scene, future)
    assert_close(plans.pose[:, 0, :, :2], future.ego_pose[..., :2], atol=0.3, rtol=0)


def test_the_logged_plan_stays_where_the_log_ends(crossroads_log: Log) -> None:
    scene, future = scene_at(crossroads_log, len(crossroads_log.keyframes) - 3)
    assert future.ego_valid.sum() == 2
    plans = logged_plan(scene, future)
    assert_close(plans.pose[0, 0, 4:, :2], plans.pose[0, 0, 4:5, :2].expand(8, 2), atol=0.5, rtol=0)


def test_map_dropout_takes_all_or_nothing(crossroads_batch: Scene) -> None:
    random = torch.Generator().manual_seed(0)
    bare = without_map(crossroads_batch, 1.0, random)
    assert not bare.has_lanes.any()
    assert not bare.has_raster.any()
    assert not bare.lanes.valid.any()
    same = without_map(crossroads_batch, 0.0, random)
    assert same.has_lanes.all()
    assert torch.equal(same.lanes.valid, crossroads_batch.lanes.valid)


SIDES = {"left": (3.0, 0), "just left": (2.0, 0), "straight": (1.9, 1), "slightly right": (-1.9, 1), "right": (-2.0, 2)}


@pytest.mark.parametrize(("left_m", "command"), SIDES.values(), ids=SIDES)
def test_commands_say_on_which_side_the_path_ends(crossroads_log: Log, left_m: float, command: int) -> None:
    scene, future = scene_at(crossroads_log, 4)
    position_m = future.tracks.position_m.clone()
    position_m[:, 0, 5, 1] = left_m
    future = replace(future, tracks=replace(future.tracks, position_m=position_m))
    told = with_commands(scene, future, 1.0, torch.Generator().manual_seed(0))
    assert (told.command.item(), told.command_origin.item()) == (command, 2)
    assert with_commands(scene, future, 0.0, torch.Generator()).command_origin.item() == 0
    assert with_commands(replace(scene, has_ego=~scene.has_ego), future, 1.0, torch.Generator()).command_origin.item() == 0
