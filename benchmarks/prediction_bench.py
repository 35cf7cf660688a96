"""Speed of `score_forecasts` against the devkit's metrics, on the same random forecasts in the same process."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from nuscenes.eval.prediction.data_classes import Prediction

from drive_wm.benchmarks.prediction import Floats, score_forecasts
from drive_wm.benchmarks.prediction_official import challenge_metrics, named

STEPS = 12
REPEATS = 3  # the best time of each counts


def bench_forecasts(targets: int = 9000, modes: int = 10, seed: int = 0) -> list[dict[str, Any]]:
    """One row: seconds of both over all targets, their ratio, and the largest difference of any metric."""
    case = _random_forecasts(targets, modes, seed)
    ours, seconds = _timed(lambda: score_forecasts(*case).summary())
    theirs, devkit_seconds = _timed(lambda: _devkit_summary(*case))
    return [
        {
            "metric": "forecasts",
            "n": targets,
            "modes": modes,
            "seconds": seconds,
            "devkit_seconds": devkit_seconds,
            "ratio": devkit_seconds / seconds,
            "largest_difference": max(abs(ours[name] - value) for name, value in theirs.items()),
        }
    ]


def _timed(run: Callable[[], dict[str, float]]) -> tuple[dict[str, float], float]:
    """What it gives, and the seconds of the fastest of several runs."""
    seconds = []
    for _ in range(REPEATS):
        start = perf_counter()
        found = run()
        seconds.append(perf_counter() - start)
    return found, min(seconds)


def _random_forecasts(targets: int, modes: int, seed: int) -> tuple[Floats, Floats, Floats]:
    random = np.random.default_rng(seed)
    truths_m = random.normal(0, 3, (targets, STEPS, 2)).cumsum(1)
    forecasts_m = truths_m[:, None] + random.normal(0, 1, (targets, modes, STEPS, 2)).cumsum(2)
    return forecasts_m, random.dirichlet(np.ones(modes), targets), truths_m


def _devkit_summary(forecasts_m: Floats, probabilities: Floats, truths_m: Floats) -> dict[str, float]:
    """As the devkit's compute_metrics goes: one target at a time, then the mean."""
    metrics = challenge_metrics()
    values = {metric.name: np.zeros((len(truths_m), metric.shape)) for metric in metrics}
    for i, truth_m in enumerate(truths_m):
        prediction = Prediction("instance", "sample", forecasts_m[i], probabilities[i])
        for metric in metrics:
            values[metric.name][i] = metric(truth_m, prediction)
    return named({metric.name: {"RowMean": metric.aggregators[0](values[metric.name])} for metric in metrics})
