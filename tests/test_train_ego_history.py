"""The baseline planner's training: from logs alone, exact after a stop, its mistakes named."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from drive_wm.checkpoint import load_ego_history, load_weights
from drive_wm.datasets.cache import write_cache
from drive_wm.ego_past import ego_pasts_of
from drive_wm.errors import InputError
from drive_wm.log import Log
from drive_wm.planners import constant_velocity
from drive_wm.rollouts import Trajectory
from drive_wm.scene import SceneConfig
from drive_wm.scene_at import scenes_of
from drive_wm.train import train
from drive_wm.train_ego_history import path_loss_m

OVERRIDES = ["train.batch=8", "train.ema=0", "model.width=32"]


@pytest.fixture(scope="module")
def cache(crossroads_log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ego") / "cache"
    logs = iter([replace(crossroads_log, name=f"crossroads-{i}") for i in range(2)])
    write_cache(logs, out, "nuscenes_pred", "1", "all", SceneConfig(agents=4, lanes=4, elements=4), lambda *_: None)
    for scenes in out.glob("*.scenes.safetensors"):
        scenes.write_bytes(b"x" * scenes.stat().st_size)  # whoever reads them fails
    return out


@pytest.fixture(scope="module")
def trained(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    by_heart = ["train.epochs=60", "train.mirror=0", "train.hide_ego_status=0", "train.learning_rate=1e-2"]
    train([cache], "ego_history", out, [*OVERRIDES, *by_heart], command="drive-wm train ...")
    return out


def test_it_learns_the_drive_from_logs_alone(trained: Path, crossroads_log: Log) -> None:
    model, origin = load_ego_history(str(trained))
    assert origin.trained_on == ("nuscenes_pred 1 all (2 logs)",)
    assert origin.licence == "CC BY-NC-SA 4.0"
    scene, future = scenes_of(crossroads_log)
    steps = slice(4, 18)
    with torch.inference_mode():
        learnt, kept = (path_loss_m(plan(scene[steps]), future[steps]) for plan in (model.plan, constant_velocity.plan))
    assert learnt < 0.5 * kept


def test_a_stopped_run_resumes_as_if_nothing_had_happened(cache: Path, tmp_path: Path) -> None:
    """The schedule spans the whole run, so that the first part stops where an exception stops it."""
    from drive_wm import train_ego_history

    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train([cache], "ego_history", whole, [*OVERRIDES, "train.epochs=4"])

    def stop(self: train_ego_history.EgoTraining) -> None:
        if self.current_epoch == 2:
            raise RuntimeError("stopped")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_ego_history.EgoTraining, "on_train_epoch_start", stop)
        with pytest.raises(RuntimeError, match="stopped"):
            train([cache], "ego_history", stopped, [*OVERRIDES, "train.epochs=4"])
    assert not (stopped / "weights.safetensors").exists()
    train([cache], "ego_history", stopped, [*OVERRIDES, "train.epochs=4"], resume=True)
    expected, resumed = (load_ego_history(str(path))[0].state_dict() for path in (whole, stopped))
    for name, value in expected.items():
        assert_close(resumed[name], value, atol=0, rtol=0, msg=name)


def test_loss_by_hand(crossroads_log: Log) -> None:
    """Half a metre aside at every step that exists, heading kept: both points are 0.5 m off."""
    _, future = ego_pasts_of(crossroads_log, 5, 12)
    aside = Trajectory(future.ego_pose + torch.tensor([0.3, 0.4, 0.0]), torch.zeros(23, 12))
    assert_close(path_loss_m(aside, future), torch.tensor(0.5), atol=1e-3, rtol=0)


MISTAKES = {  # keyword arguments of train, what the message must name
    "init": ({"init": "synthetic"}, "--init"),
    "other model's setting": ({"overrides": ["model.bev.width=8"]}, "known here: width, layers"),
    "nothing left": ({"leave_out": ["crossroads-0", "crossroads-1"]}, "is left"),
    "all held out": ({"overrides": ["train.hold_out=1"]}, "No drive with an ego"),
}


@pytest.mark.parametrize(("arguments", "named"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_named(cache: Path, tmp_path: Path, arguments: dict[str, list[str]], named: str) -> None:
    with pytest.raises(InputError, match=named):
        train([cache], "ego_history", tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_weights_of_one_model_are_not_taken_for_the_other(trained: Path) -> None:
    with pytest.raises(InputError, match=r"holds weights of ego_history; needed: those of world_model"):
        load_weights(str(trained))
    with pytest.raises(InputError, match=r"holds weights of world_model; .*--preset ego_history"):
        load_ego_history("synthetic")
