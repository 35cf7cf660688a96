"""Forecasts of single agents: by the world model, and by the devkit's physics baselines."""

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
import torch
from nuscenes.eval.prediction.data_classes import Prediction
from nuscenes.prediction import PredictHelper
from nuscenes.prediction.models.physics import Baseline, ConstantVelocityHeading, PhysicsOracle
from torch import Tensor

from drive_wm.benchmarks.mode_reduction import reduce_modes
from drive_wm.benchmarks.prediction_official import SECONDS
from drive_wm.benchmarks.prediction_tables import tokens
from drive_wm.benchmarks.prediction_targets import STEPS, Target, log_targets, vehicle_targets
from drive_wm.datasets.cache import Cache
from drive_wm.errors import InputError
from drive_wm.geometry import transform
from drive_wm.log import Log
from drive_wm.mirror import mirrored
from drive_wm.model.world_model import WorldModel
from drive_wm.scene import Future, Scene, SceneConfig
from drive_wm.scene_at import SceneBuilder
from drive_wm.structs import cat
from drive_wm.viewpoint import target_view

Modes = tuple[Tensor, Tensor, Tensor, Tensor]  # as `reduce_modes` takes them
Forecast = Callable[[Log, Sequence[Target]], list[Prediction]]  # of targets of one drive

BASELINES: dict[str, type[Baseline]] = {"constant_velocity": ConstantVelocityHeading, "physics_oracle": PhysicsOracle}
MODES = 10
_DECIMALS = 4  # of a submission's metres


def known_baseline(name: str) -> type[Baseline]:
    """A physics model of the devkit; InputError for a name that is none."""
    if name not in BASELINES:
        raise InputError(f"No baseline {name!r}; known: {', '.join(BASELINES)}. Pass one with --baseline.")
    return BASELINES[name]


def baseline_forecast(named: type[Baseline], helper: PredictHelper) -> Forecast:
    """One trajectory per target, by a physics model of the devkit."""
    model = named(SECONDS, helper)

    def forecast(log: Log, targets: Sequence[Target]) -> list[Prediction]:
        return [model("_".join(tokens(log, target.agent, target.step))) for target in targets]

    return forecast


def model_forecast(model: WorldModel, batch: int = 32) -> Forecast:
    """The world model's joint modes of each target, seen from it, brought down to ten."""

    def forecast(log: Log, targets: Sequence[Target]) -> list[Prediction]:
        builder = SceneBuilder(log, model.config.scene)
        found = []
        for start in range(0, len(targets), batch):
            some = targets[start : start + batch]
            scenes, _, poses = zip(*(target_view(builder, target.agent, target.step) for target in some), strict=True)
            paths_m, likely = forecast_egos(model, cat(scenes), torch.stack(poses))
            found += [
                Prediction(*tokens(log, target.agent, target.step), np.round(path_m, _DECIMALS), p)
                for target, path_m, p in zip(some, paths_m.numpy(), likely.numpy(), strict=True)
            ]
        return found

    return forecast


def target_scenes(cache: Cache, every: int, config: SceneConfig) -> list[tuple[str, Scene, Future]]:
    """Every n-th target of a cache that six known seconds follow: its name, the scene seen from it and what then happened.

    InputError where there is none.
    """
    logs = [cache.log(i) for i in range(len(cache))]
    found = []
    for drive, targets in groupby((log_targets(logs) or vehicle_targets(logs))[::every], key=lambda target: target.drive):
        log, builder = logs[drive], SceneBuilder(logs[drive], config)
        for agent, step in ((target.agent, target.step) for target in targets):
            ahead = log.valid[agent, step : step + STEPS + 1]
            if len(ahead) == STEPS + 1 and ahead.all():
                scene, future, _ = target_view(builder, agent, step)
                found.append((f"{log.name}-{log.agents[agent]}-{step}", scene, future))
    if not found:
        raise InputError(f"{cache.path} names no target with six seconds to come. Pass another cache.")
    return found


def forecast_egos(model: WorldModel, scene: Scene, global_from_ego: Tensor) -> tuple[Tensor, Tensor]:
    """Trajectories (B, 10, T, 2) of agent 0 in the global frame, float64, and their probabilities (B, 10).

    Every scene is imagined as it is and in a mirror: twice the modes, and what only one side of the model believes counts
    half.
    """
    paths_m, likely = reduce_modes(*both_sides(model, scene), MODES)
    return transform(global_from_ego[:, None], paths_m), likely


def both_sides(model: WorldModel, scene: Scene) -> Modes:
    """The modes imagined from the scene, followed by those from its mirror image.

    Spread across is negative in the latter: left and right change sides in a tie too.
    """
    seen, turned = modes_of(model, scene), modes_of(model, mirrored(scene))
    flip = torch.tensor([1.0, -1.0])
    position_m, yaw_rad = torch.cat([seen[0], turned[0] * flip], 1), torch.cat([seen[1], -turned[1]], 1)
    return position_m, yaw_rad, torch.cat([seen[2], turned[2] * flip], 1), torch.cat([seen[3], turned[3]], 1) / 2


def modes_of(model: WorldModel, scene: Scene) -> Modes:
    """Positions (B, M, T, 2), headings (B, M, T), spreads (B, M, T, 2) of agent 0, and the modes' probabilities (B, M)."""
    with torch.inference_mode():
        imagined = model.imagine(scene.to(model.modes.device)).to("cpu")
    position_m, yaw_rad, spread_m = (x[:, 0, :, 0] for x in (imagined.position_m, imagined.yaw_rad, imagined.spread_m))
    return position_m, yaw_rad, spread_m, imagined.mode_logits.double().softmax(-1)
