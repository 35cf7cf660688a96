"""Weights survive the disk, and a file that is not ours is refused by name."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from drive_wm.checkpoint import Origin, load_weights, save_weights
from drive_wm.config import BASE, TINY
from drive_wm.errors import InputError
from drive_wm.model.world_model import WorldModel

ORIGIN = Origin(("sumo 1.28 train (3 logs)",), "drive-wm train --preset tiny", "Apache-2.0")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_weights(WorldModel(TINY.model), ORIGIN, tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_weights_and_origin_come_back(weights: Path) -> None:
    torch.manual_seed(0)
    written = WorldModel(TINY.model).state_dict()
    model, origin = load_weights(str(weights))
    assert origin == ORIGIN
    assert model.config == TINY.model
    assert not model.training
    assert all(torch.equal(value, written[name]) for name, value in model.state_dict().items())


def test_a_run_folder_stands_for_its_weights(weights: Path) -> None:
    assert load_weights(str(weights.parent))[1] == ORIGIN


def test_another_configuration_is_named(weights: Path) -> None:
    with pytest.raises(InputError, match=r"model.bev.width is 8, needed 32"):
        load_weights(str(weights), expected=BASE.model)


def test_bad_files_are_named(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="synthetic"):
        load_weights(str(tmp_path / "nothing.safetensors"))
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(weights.read_bytes()[:2000])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load_weights(str(cut))
    other = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(3)}, other)
    with pytest.raises(InputError, match="weights version none"):
        load_weights(str(other))


def test_tensors_of_another_model_are_named(weights: Path) -> None:
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as file:
        header = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    tensors["modes"] = torch.zeros(7, 16)
    save_file(tensors, weights, header)
    with pytest.raises(InputError, match=r"'modes' is \(7, 16\)"):
        load_weights(str(weights))
