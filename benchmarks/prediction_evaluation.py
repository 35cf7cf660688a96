"""The nuScenes prediction challenge, end to end: targets, forecasts, the official submission file, its scores."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from nuscenes.prediction import PredictHelper

from drive_wm.benchmarks.prediction_forecast import Forecast
from drive_wm.benchmarks.prediction_official import Submission, official_summary, rows_of
from drive_wm.benchmarks.prediction_tables import helper_of
from drive_wm.benchmarks.prediction_targets import Target, challenge_targets, vehicle_targets
from drive_wm.errors import InputError
from drive_wm.files import write_atomically
from drive_wm.log import Log


@dataclass(frozen=True)
class Challenge:
    """Drives and what is asked about them."""

    logs: Sequence[Log]
    helper: PredictHelper
    targets: Sequence[Target]
    about: dict[str, Any]  # columns that say which targets these are


def challenge(logs: Sequence[Log], root: Path | None, split: str | None) -> Challenge:
    """The official targets of a split, which a dataroot names; without one, every moving vehicle."""
    if root is None:
        targets, missing, kind = vehicle_targets(logs), 0, "vehicles"
    else:
        if split is None:
            raise InputError(
                "Which targets? Pass the official split with --split: mini_train, mini_val, train, train_val or val."
            )
        targets, missing = challenge_targets(logs, root, split)
        kind = "challenge"
    used = sorted({target.drive for target in targets})
    about = {"targets": kind, "split": split or "", "missing": missing}
    return Challenge(logs, helper_of([logs[i] for i in used], root), targets, about)


def evaluate_prediction(
    asked: Challenge, forecast: Forecast, model: str, progress: Callable[[int, int, str], None] = lambda *_: None
) -> tuple[list[dict[str, Any]], Submission]:
    """One row of the devkit's scores for all targets, and the submission that they were computed from."""
    found: dict[Target, dict[str, Any]] = {}
    in_drives = sorted(asked.targets, key=lambda target: target.drive)
    for drive, group in groupby(in_drives, key=lambda target: target.drive):
        log, targets = asked.logs[drive], list(group)
        found |= dict(zip(targets, (one.serialize() for one in forecast(log, targets)), strict=True))
        progress(len(found), len(in_drives), log.name)
    # Through text, since the file is what is scored.
    submission = json.loads(json.dumps([found[target] for target in asked.targets]))
    scores = official_summary(submission, asked.helper, rows_of(submission, asked.helper))
    return [{"model": model, **asked.about, **scores}], submission


def write_submission(path: Path, submission: Submission) -> None:
    """The challenge's file: one devkit Prediction per target, in the global frame."""
    write_atomically(path, json.dumps(submission))
