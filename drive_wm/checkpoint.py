"""Weights on disk: safetensors with the model's configuration and origin in the header; nothing is unpickled."""

import json
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from drive_wm.config import ego_history_config_from, model_config_from
from drive_wm.errors import InputError
from drive_wm.files import write_atomically
from drive_wm.model.world_model import ModelConfig, WorldModel
from drive_wm.planners.ego_history import EgoHistory

WEIGHTS_VERSION = 2
SHIPPED = ("synthetic", "nuscenes")
WORLD_MODEL, EGO_HISTORY = "world_model", "ego_history"  # what weights are of; files that do not say so hold a world model
Network = TypeVar("Network", WorldModel, EgoHistory)


@dataclass(frozen=True)
class Origin:
    """Where weights come from; travels with them into every export."""

    trained_on: tuple[str, ...]  # caches as "source version split (n logs)"
    command: str
    licence: str


def save_weights(model: WorldModel | EgoHistory, origin: Origin, path: Path) -> None:
    """Write weights whole or not at all."""
    header = {
        "drive_wm_weights": str(WEIGHTS_VERSION),
        "model": EGO_HISTORY if isinstance(model, EgoHistory) else WORLD_MODEL,
        "config": json.dumps(asdict(model.config)),
        "origin": json.dumps(asdict(origin)),
    }
    write_atomically(path, save({k: v.contiguous().cpu() for k, v in model.state_dict().items()}, header))


def weights_path(weights: str) -> Path:
    """A shipped name (`synthetic`, `nuscenes`) or a path; raises FileNotFoundError that lists what there is."""
    if weights in SHIPPED:
        return Path(str(resources.files("drive_wm.weights") / f"{weights}.safetensors"))
    path = Path(weights)
    if path.is_dir():
        path = path / "weights.safetensors"
    if not path.is_file():
        raise FileNotFoundError(
            f"No weights at {path}. Pass --weights {' or '.join(SHIPPED)} (shipped), a run folder or a .safetensors file."
        )
    return path


def load_weights(weights: str, expected: ModelConfig | None = None) -> tuple[WorldModel, Origin]:
    """The model in evaluation mode and its origin.

    Raises FileNotFoundError, or InputError for a damaged file, another version's, or a configuration that differs from
    `expected`.
    """
    path = weights_path(weights)
    header, tensors = _read(path, WORLD_MODEL)
    config = model_config_from(json.loads(header["config"]))
    if expected is not None and config != expected:
        raise InputError(
            f"{path} was trained with another configuration: {_difference(config, expected)}. Pass the same preset."
        )
    return _filled(WorldModel(config), tensors, path), _origin(header)


def load_ego_history(weights: str) -> tuple[EgoHistory, Origin]:
    """The planner `ego_history` in evaluation mode and its origin; raises as `load_weights` does."""
    path = weights_path(weights)
    header, tensors = _read(path, EGO_HISTORY)
    return _filled(EgoHistory(ego_history_config_from(json.loads(header["config"]))), tensors, path), _origin(header)


def _read(path: Path, needed: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors of a file that holds weights of the model needed."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path} is not a whole safetensors file ({error}). Copy it again or train anew.") from error
    if header.get("drive_wm_weights") != str(WEIGHTS_VERSION):
        found = header.get("drive_wm_weights", "none")
        raise InputError(f"{path} holds weights version {found}; needed: {WEIGHTS_VERSION}. Train again with `drive-wm train`.")
    found = header.get("model", WORLD_MODEL)
    if found != needed:
        how = f"`drive-wm train --preset {EGO_HISTORY}` makes them" if needed == EGO_HISTORY else "see --preset"
        raise InputError(f"{path} holds weights of {found}; needed: those of {needed}, {how}. Pass them with --weights.")
    return header, tensors


def _filled(model: Network, tensors: dict[str, Tensor], path: Path) -> Network:
    shapes = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    found_shapes = {k: tuple(v.shape) for k, v in tensors.items()}
    if shapes != found_shapes:
        name = next(k for k in sorted(shapes | found_shapes) if shapes.get(k) != found_shapes.get(k))
        raise InputError(
            f"{path}: tensor {name!r} is {found_shapes.get(name, 'absent')}, its own configuration needs "
            f"{shapes.get(name, 'none')}. The file is from another model; train again with `drive-wm train`."
        )
    model.load_state_dict(tensors)
    return model.eval()


def _origin(header: dict[str, str]) -> Origin:
    text = json.loads(header["origin"])
    return Origin(tuple(text["trained_on"]), text["command"], text["licence"])


def _difference(found: ModelConfig, needed: ModelConfig) -> str:
    """The first setting in which two configurations differ."""
    flat_found, flat_needed = _flat(asdict(found)), _flat(asdict(needed))
    key = next(k for k in flat_needed if flat_found[k] != flat_needed[k])
    return f"model.{key} is {flat_found[key]}, needed {flat_needed[key]}"


def _flat(values: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
