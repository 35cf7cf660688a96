"""What `drive-wm evaluate prediction` runs: caches and a dataroot in, rows and a submission file out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from drive_wm.benchmarks.prediction_evaluation import challenge, forecast_targets, score_submission, write_submission
from drive_wm.benchmarks.prediction_forecast import baseline_forecast, known_baseline, model_forecast
from drive_wm.benchmarks.prediction_targets import SPLITS
from drive_wm.checkpoint import load_weights
from drive_wm.datasets.cache import open_caches
from drive_wm.datasets.engines import here_or


def run_prediction(
    caches: Sequence[Path],
    weights: str,
    baseline: str | None = None,
    root: Path | None = None,
    split: str | None = None,
    submission: Path | None = None,
    only: Sequence[str] = (),
    progress: Callable[[int, int, str], None] = lambda *_: None,
    engine: str = "local",
) -> list[dict[str, Any]]:
    """Rows of `score_submission`. The world model forecasts, or the baseline where one is named.

    `root` names the official targets of `split`, by default the caches' own; without it the drives' own targets are asked
    for, and where they name none, every moving vehicle.
    `only` names the drives to take, all by default. The engine says where drives are forecast.
    """
    named = known_baseline(baseline) if baseline else None
    opened = open_caches(caches, only)
    own = {cache.manifest.settings.split for cache in opened}
    official = split or (own.pop() if len(own) == 1 and own <= set(SPLITS) else None)
    logs = [cache.log(i) for cache in opened for i in range(len(cache))]
    # The folders of nuscenes_pred are not named as the official splits are: its "val" is their train_val.
    folders = ", ".join(f"{c.manifest.settings.source} {c.manifest.settings.split}" for c in opened)
    own_targets = any(len(log.targets) for log in logs)
    asked = challenge(logs, root, official if root else folders if own_targets else None)
    forecast = baseline_forecast(named, asked.helper) if named else model_forecast(load_weights(weights)[0])
    found = forecast_targets(asked, forecast, progress, here_or(engine))
    if submission:
        write_submission(submission, found)
    return score_submission(asked, found, baseline or "world_model", None if baseline else weights)
