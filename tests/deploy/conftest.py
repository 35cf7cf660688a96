"""A planner that looks less far ahead: every operator of the whole one, in a fraction of the time."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from drive_wm.config import TINY
from drive_wm.model.world_model import ModelConfig
from drive_wm.planners.lattice import LatticeConfig
from drive_wm.scene import SceneConfig


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
