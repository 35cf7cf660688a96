"""Forecasts against what happened, as the nuScenes prediction challenge scores them, all targets at once.

Definitions: nuscenes-devkit 1.2.0, nuscenes/eval/prediction/metrics.py, whose numbers these are.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drive_wm.errors import InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MISS_M = 2.0  # a mode that is ever this far off is a miss; the challenge's text says "more than", its code "at least"
MAX_MODES = 25  # more are refused in a submission
SUM_TOLERANCE = 1e-3  # rounded files add up to 1 within this
SHOWN = 3  # a message names this many of the faults
_BLOCK = 256  # targets


@dataclass(frozen=True)
class ForecastRows:
    """Distances of every mode from the truth; modes of a target from its most to its least likely."""

    mean_m: Floats  # (S, M) over the steps
    max_m: Floats  # (S, M)
    final_m: Floats  # (S, M)

    def take(self, which: Bools) -> "ForecastRows":
        """The rows of these targets (S,)."""
        return replace(self, mean_m=self.mean_m[which], max_m=self.max_m[which], final_m=self.final_m[which])

    def min_ade_m(self, k: int) -> Floats:
        """Mean displacement (S,) of the best of the k likeliest modes."""
        return np.asarray(self.mean_m[:, :k].min(1))

    def missed(self, k: int) -> Bools:
        """Which targets (S,) each of the k likeliest modes misses."""
        return np.asarray((self.max_m[:, :k] >= MISS_M).all(1))

    def min_fde_m(self, k: int) -> Floats:
        """Final displacement (S,) of the best of the k likeliest modes."""
        return np.asarray(self.final_m[:, :k].min(1))

    def summary(self) -> dict[str, float]:
        """Means over the n targets, metres and fractions; nan where n is 0. With fewer than k modes, k is what there is."""
        values = {
            "min_ade_5": self.min_ade_m(5), "min_ade_10": self.min_ade_m(10),
            "miss_rate_5": self.missed(5), "miss_rate_10": self.missed(10),
            "min_fde_1": self.min_fde_m(1),
        }  # fmt: skip
        n = len(self.mean_m)
        return {name: float(value.mean()) if n else float("nan") for name, value in values.items()} | {"n": n}


def score_forecasts(forecasts_m: ArrayLike, probabilities: ArrayLike, truths_m: ArrayLike) -> ForecastRows:
    """Score forecasts (S, M, T, 2) with mode probabilities (S, M) against true positions (S, T, 2), any one frame per target.

    Raises InputError for anything of another form.
    """
    forecasts, likely, truths = (
        _numbers(name, value)
        for name, value in (("forecasts_m", forecasts_m), ("probabilities", probabilities), ("truths_m", truths_m))
    )
    _check(forecasts, likely, truths)
    # The devkit's own ranking, flipped ascending order: it decides which of equally likely modes comes first.
    rank = np.flip(likely.argsort(axis=-1), axis=-1)
    distance_m = _distance_m(forecasts, truths)
    per_mode = distance_m.mean(-1), distance_m.max(-1), distance_m[..., -1]
    return ForecastRows(*(np.take_along_axis(values, rank, axis=1) for values in per_mode))


def _distance_m(forecasts: Floats, truths: Floats) -> Floats:
    """Distances (S, M, T), rounded as the devkit's, since a miss is decided at 2.0 m exactly."""
    distance_m = np.empty(forecasts.shape[:3])
    for start in range(0, len(truths), _BLOCK):  # what fits a processor's cache is several times as fast
        block = slice(start, start + _BLOCK)
        away = forecasts[block] - truths[block, None]
        away *= away
        np.sqrt(away[..., 0] + away[..., 1], out=distance_m[block])
    return distance_m


def _numbers(name: str, values: ArrayLike) -> Floats:
    try:
        return np.ascontiguousarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} cannot be read as numbers ({error}); needed: rows of equal length.") from error


def _check(forecasts: Floats, likely: Floats, truths: Floats) -> None:
    shape = forecasts.shape
    _need(len(shape) == 4 and shape[-1] == 2, "forecasts_m", f"shape {shape}", "(S, M, T, 2) targets, modes, steps, x and y")
    _need(1 <= shape[1] <= MAX_MODES, "forecasts_m", f"{shape[1]} modes", f"1 to {MAX_MODES}, as the challenge allows")
    _need(shape[2] >= 1, "forecasts_m", "0 steps", "at least 1")
    _need(likely.shape == shape[:2], "probabilities", f"shape {likely.shape}", f"{shape[:2]}, one per mode")
    needed = (shape[0], *shape[2:])
    _need(truths.shape == needed, "truths_m", f"shape {truths.shape}", f"{needed}, one path per target")
    for name, values in (("forecasts_m", forecasts), ("probabilities", likely), ("truths_m", truths)):
        finite = np.isfinite(values)
        _need(bool(finite.all()), name, f"{(~finite).sum()} not finite at {_places(~finite)}", "finite numbers")
    negative = likely < 0
    _need(not negative.any(), "probabilities", f"{negative.sum()} below 0 at {_places(negative)}", "0 to 1")
    total = likely.sum(1)
    off = np.flatnonzero(np.abs(total - 1) > SUM_TOLERANCE)
    if len(off):
        some = ", ".join(f"of target {i} add up to {total[i]:.6g}" for i in off[:SHOWN])
        raise InputError(
            f"probabilities {some}{_more(len(off))} ({len(off)} of {len(total)} targets); needed: 1 within {SUM_TOLERANCE:g}. "
            "Divide them by their sum."
        )


def _places(which: Bools) -> str:
    """Where the first true values stand."""
    places = np.argwhere(which)
    return ", ".join(str(tuple(place.tolist())) for place in places[:SHOWN]) + _more(len(places))


def _more(count: int) -> str:
    return ", ..." if count > SHOWN else ""


def _need(ok: bool, name: str, found: str, needed: str) -> None:
    if not ok:
        raise InputError(f"{name} has {found}; needed: {needed}.")
