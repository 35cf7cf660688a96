"""Intervals by resampling whole scenes: samples of one scene are alike, so drawing samples would promise too much.

Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 (clustered data) and 13 (percentiles).
"""

from functools import lru_cache

import numpy as np

from drive_wm.benchmarks.planning_input import Floats, Ints

RESAMPLES = 1000
SEED = 0
_PERCENT = (2.5, 97.5)


@lru_cache(maxsize=64)
def draws(scenes: int) -> Floats:
    """How often each scene is drawn (1000, G) when G are drawn from G with replacement; the same on every call."""
    rng = np.random.default_rng(SEED)
    return rng.multinomial(scenes, np.full(scenes, 1 / scenes), RESAMPLES).astype(np.float64)


def sums_by_scene(values: Floats, scene: Ints) -> Floats:
    """Sums (G, ...) of values (S, ...) over the samples of each scene; scene (S,) counts from 0."""
    total = np.zeros((scene.max(initial=-1) + 1, *values.shape[1:]))
    np.add.at(total, scene, values)
    return total


def interval(resampled: Floats) -> tuple[float, float] | tuple[None, None]:
    """The middle 95 % of figures (1000,); resamples in which nothing is counted are left out. None where all are."""
    known = resampled[np.isfinite(resampled)]
    if not len(known):
        return None, None
    low, high = np.percentile(known, _PERCENT)
    return float(low), float(high)
