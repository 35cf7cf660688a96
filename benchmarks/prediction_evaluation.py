"""The nuScenes prediction challenge, end to end: targets, forecasts, the official submission file, its scores."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from nuscenes.prediction import PredictHelper

from drive_wm.benchmarks.prediction import Bools
from drive_wm.benchmarks.prediction_forecast import Forecast
from drive_wm.benchmarks.prediction_official import Submission, official_summary, rows_of
from drive_wm.benchmarks.prediction_tables import helper_of, plain
from drive_wm.benchmarks.prediction_targets import STEPS, Target, challenge_targets, log_targets, vehicle_targets
from drive_wm.datasets.engines import Engine
from drive_wm.errors import InputError
from drive_wm.files import write_atomically
from drive_wm.log import Log

FAR_M = 50.0  # to where a scene around the ego reaches on every side but ahead
TURN_M = 2.0  # a target that ends this far beside the line of its heading turns


@dataclass(frozen=True)
class Challenge:
    """Drives, what is asked about them, and the devkit's view of them."""

    logs: Sequence[Log]
    targets: Sequence[Target]
    about: dict[str, Any]  # columns that say which targets these are
    helper: PredictHelper


def challenge(logs: Sequence[Log], root: Path | None = None, split: str | None = None) -> Challenge:
    """The official targets of a split, which a dataroot names; without one, those of the logs, or every moving vehicle.

    `split` is the official split's name, or what the logs' own targets are to be called.
    """
    named = log_targets(logs)
    if root is None:
        targets, missing = named or vehicle_targets(logs), 0
    elif split is None:
        raise InputError("Which targets? Pass the official split with --split: mini_train, mini_val, train, train_val or val.")
    else:
        targets, missing = challenge_targets(logs, root, split)
    used = sorted({target.drive for target in targets})
    about = {"targets": "challenge" if root or named else "vehicles", "split": split, "missing": missing}
    return Challenge(logs, targets, about, helper_of([logs[i] for i in used], root))


def forecast_targets(
    asked: Challenge,
    forecast: Forecast,
    progress: Callable[[int, int, str], None] = lambda *_: None,
    run: Engine = map,
) -> Submission:
    """The challenge's file: one serialised devkit Prediction per target, in their order, in the global frame.

    `run` says where drives are worked on.
    """
    found: dict[Target, dict[str, Any]] = {}
    by_drive = sorted(asked.targets, key=lambda target: target.drive)
    drives = [(asked.logs[i], list(group)) for i, group in groupby(by_drive, key=lambda target: target.drive)]
    for (log, targets), predictions in zip(drives, run(partial(_forecast_drive, forecast=forecast), drives), strict=True):
        found |= dict(zip(targets, predictions, strict=True))
        progress(len(found), len(by_drive), log.name)
    return [found[target] for target in asked.targets]


def _forecast_drive(drive: tuple[Log, list[Target]], forecast: Forecast) -> Submission:
    return [one.serialize() for one in forecast(*drive)]


def write_submission(path: Path, submission: Submission) -> None:
    write_atomically(path, json.dumps(submission))


def score_submission(asked: Challenge, submission: Submission, model: str, weights: str | None = None) -> list[dict[str, Any]]:
    """One row of the devkit's scores for all targets, then one of ours for each slice of them; all say of which weights, where
    the model has any."""
    written = json.loads(json.dumps(submission))  # what is scored is what the file says
    rows = rows_of(written, asked.helper)
    about = {"model": model, **({"weights": weights} if weights else {}), **asked.about}
    drivable = {plain(keyframe): log.map.drivable for log in asked.logs for keyframe in log.keyframes}
    table = [about | official_summary(written, asked.helper, rows, drivable)]
    for name, which in _slices(asked).items():
        if which.any():
            table.append(about | rows.take(which).summary() | {"slice": name})
    return table


def _slices(asked: Challenge) -> dict[str, Bools]:
    """Which targets (S,) go straight or turn, and which are near the ego or far, where every drive has one."""
    far, turns = [], []
    for target in asked.targets:
        log, step = asked.logs[target.drive], target.step
        position_m, yaw_rad = log.position_m[target.agent], log.yaw_rad[target.agent, step]
        far.append(np.linalg.norm(position_m[step] - log.ego_pose[step, :2]) > FAR_M)
        left = np.array([-np.sin(yaw_rad), np.cos(yaw_rad)])
        turns.append(abs((position_m[step + STEPS] - position_m[step]) @ left) >= TURN_M)
    is_far, turning = np.array(far), np.array(turns)
    slices = {"straight": ~turning, "turning": turning}
    if all(asked.logs[target.drive].has_ego for target in asked.targets):
        slices |= {"within 50 m of the ego": ~is_far, "beyond 50 m": is_far}
    return slices
