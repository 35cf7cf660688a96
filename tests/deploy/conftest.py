"""A planner that looks less far ahead: every operator of the whole one, in a fraction of the time."""

import fcntl
from collections.abc import Iterator
from dataclasses import replace

import onnx
import pytest
import torch
from torch import Tensor

from drive_wm.checkpoint import Origin, save_weights
from drive_wm.config import TINY
from drive_wm.deploy import export as exporting
from drive_wm.deploy.export import ExportReport, export
from drive_wm.deploy.golden import golden_scenes
from drive_wm.deploy.onnx_graph import lower
from drive_wm.model.world_model import ModelConfig, WorldModel
from drive_wm.planners.lattice import LatticeConfig
from drive_wm.scene import Scene, SceneConfig


@pytest.fixture(scope="module")
def lattice() -> Iterator[LatticeConfig]:
    """Plans of three steps instead of twelve, commands read at the last of them; the demo's test exports twelve."""
    short = LatticeConfig(steps=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drive_wm.planners.score.COMMAND_STEP", short.steps - 1)
        yield short


@pytest.fixture(scope="module")
def model(lattice: LatticeConfig) -> ModelConfig:
    return replace(TINY.model, scene=SceneConfig(future=lattice.steps))


@pytest.fixture(scope="module")
def weights(model: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_weights(WorldModel(model), Origin(("hand (1 logs)",), "by hand", "Apache-2.0"), path)
    return str(path)


@pytest.fixture(scope="module")
def golden(model: ModelConfig) -> list[Scene]:
    return golden_scenes(model.scene, per_log=1)


@pytest.fixture(scope="module")
def report(
    weights: str, golden: list[Scene], lattice: LatticeConfig, testrun_uid: str, tmp_path_factory: pytest.TempPathFactory
) -> ExportReport:
    """The planner traced once for all processes that run tests, which takes half a minute; exported once in each module."""
    traced = tmp_path_factory.getbasetemp().parent / f"planner-{testrun_uid}.onnx"

    def lowered_once(planner: torch.nn.Module, inputs: dict[str, Tensor]) -> onnx.ModelProto:
        with traced.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not traced.exists():
                onnx.save(lower(planner, inputs), traced)
            return onnx.load(traced)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "lower", lowered_once)
        return export(weights, tmp_path_factory.mktemp("export") / "bundle", golden, lattice)
