"""Presets of a training run, and the `key=value` overrides of the command line."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from drive_wm.datasets.manifest import Views
from drive_wm.errors import InputError
from drive_wm.model.bev_encoder import BevConfig
from drive_wm.model.dynamics import DynamicsConfig
from drive_wm.model.scene_encoder import EncoderConfig
from drive_wm.model.world_model import ModelConfig
from drive_wm.planners.ego_history import EgoHistoryConfig

Known = TypeVar("Known", ModelConfig, EgoHistoryConfig)


@dataclass(frozen=True)
class FitConfig:
    """What every training run is told, whatever learns."""

    epochs: int = 20
    batch: int = 16
    learning_rate: float = 1e-3
    rise: float = 0.3  # share of the run in which the learning rate rises
    weight_decay: float = 1e-2
    gradient_clip: float = 1.0
    hide_ego_status: float = 0.1  # share of scenes with an ego, where it is imagined, that keep its motion back
    mirror: float = 0.5  # share of batches that are seen in a mirror
    ema: float = 0.998  # the weights kept are a moving average with this decay; 0: the last ones
    hold_out: int = 10  # every n-th log is for validation; 0: none
    processes: int = 0  # that train together on equal shares (DDP); 0: one for each GPU, or one
    own_steps: int = 1  # that each of two or more processes takes before all take the mean weights; 1: of every gradient
    seed: int = 0


@dataclass(frozen=True)
class TrainConfig(FitConfig):
    map_dropout: float = 0.1  # share of samples that lose their lanes, and share that lose their raster
    commands: float = 0.5  # share of scenes with an ego in which it is told, as a command, where it is 3 s later
    hide_others: float = 1.0  # where a target is imagined, up to this share of the others goes unseen, another in each scene
    free_ego: float = 0.5  # share of batches in which the ego is imagined too instead of following its logged path
    views: Views = "all"  # learn from scenes seen from the ego, from targets, or both
    beside: float = 0.25  # where agent 0 is imagined too, every other agent counts this much of it
    agents: int = 32  # at most this many, the nearest, are imagined
    bf16_maps: bool = True  # the map's convolutions in bfloat16, where the device can; places need the digits of float32
    compile: bool = False  # the step that is imagined, with torch.compile: meant for GPUs, on processors it is no quicker
    stride: int = 1  # learn from every n-th scene: neighbours half a second apart differ little
    ego_stride: int = 1  # and of scenes seen from the ego from every n-th alone
    workers: int = 0  # that read scenes, beside each process that trains


@dataclass(frozen=True)
class Config:
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


@dataclass(frozen=True)
class EgoTrainConfig(FitConfig):
    epochs: int = 60
    batch: int = 256
    learning_rate: float = 2e-3
    hide_ego_status: float = 0.25
    hide_command: float = 0.5  # share of samples without the command
    processes: int = 1


@dataclass(frozen=True)
class EgoConfig:
    """The baseline planner that reads nothing but the ego's past."""

    model: EgoHistoryConfig = field(default_factory=EgoHistoryConfig)
    train: EgoTrainConfig = field(default_factory=EgoTrainConfig)


TINY = Config(
    model=ModelConfig(
        bev=BevConfig(width=8, blocks=1),
        encoder=EncoderConfig(width=16, layers=2, neighbours=4),
        dynamics=DynamicsConfig(width=16, message_width=8, modes=2, neighbours=3),
    ),
    train=TrainConfig(epochs=2, batch=8),
)
BASE = Config()
# BASE for two cores: fewer passes, each as cheap as it can be without losing accuracy that counts.
CPU_HOUR = Config(
    train=TrainConfig(
        epochs=7,
        batch=16,
        learning_rate=2e-3,
        rise=0.1,
        agents=8,
        map_dropout=0.0,  # nuscenes_pred, which it is meant for, always has its raster; forecasts then learn sooner
        ema=0.999,
        hold_out=40,
        ego_stride=4,
        processes=2,
        own_steps=8,
    )
)
PRESETS: dict[str, Config | EgoConfig] = {"tiny": TINY, "base": BASE, "cpu-hour": CPU_HOUR, "ego_history": EgoConfig()}


def preset(name: str, overrides: Sequence[str] = ()) -> Config | EgoConfig:
    """A preset changed by overrides such as `model.dynamics.width=64`; raises InputError for names it does not know."""
    if name not in PRESETS:
        raise InputError(f"Unknown preset {name!r}; known: {', '.join(PRESETS)}. Pass --preset with one of them.")
    config = PRESETS[name]
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise InputError(f"{override!r} is not an override; write key=value, for example train.epochs=5.")
        config = _changed(config, key.split("."), value, override)
    return config


def _changed(config: Any, path: list[str], value: str, override: str) -> Any:
    types: dict[str, Any] = {f.name: f.type for f in fields(config)}
    if path[0] not in types:
        raise InputError(f"{override!r}: there is no {path[0]!r}; known here: {', '.join(types)}.")
    current = getattr(config, path[0])
    if is_dataclass(current):
        if len(path) == 1:
            names = ", ".join(f"{path[0]}.{f.name}" for f in fields(current))
            raise InputError(f"{override!r} names a group; known in it: {names}.")
        return replace(config, **{path[0]: _changed(current, path[1:], value, override)})
    if len(path) > 1:
        raise InputError(f"{override!r}: {path[0]!r} is a value, not a group.")
    try:
        return replace(config, **{path[0]: TypeAdapter(types[path[0]]).validate_strings(value)})
    except ValidationError as error:
        wanted = getattr(types[path[0]], "__name__", types[path[0]])
        raise InputError(f"{override!r}: {value!r} is not a valid {wanted}.") from error


def model_config_from(values: dict[str, Any]) -> ModelConfig:
    """Undo `asdict`; raises InputError when the fields are not those of this version."""
    return _config_from(ModelConfig, values)


def ego_history_config_from(values: dict[str, Any]) -> EgoHistoryConfig:
    """As `model_config_from`."""
    return _config_from(EgoHistoryConfig, values)


def _config_from(kind: type[Known], values: dict[str, Any]) -> Known:
    try:
        config = TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise InputError(f"The model configuration does not fit this version: {error.errors()[0]['loc']}.") from error
    if asdict(config) != values:
        raise InputError("The model configuration has other fields than this version's; train again or use its version.")
    return config
