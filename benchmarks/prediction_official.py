"""The devkit's own prediction metrics, run on a submission: what the challenge's leaderboard computes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from nuscenes.eval.prediction.compute_metrics import compute_metrics
from nuscenes.eval.prediction.config import PredictionConfig
from nuscenes.eval.prediction.data_classes import Prediction
from nuscenes.eval.prediction.metrics import Metric, MinADEK, MinFDEK, MissRateTopK, OffRoadRate, RowMean
from nuscenes.map_expansion.map_api import NuScenesMap
from nuscenes.prediction import PredictHelper

from drive_wm.benchmarks.prediction import MISS_M, ForecastRows, score_forecasts

Submission = Sequence[Mapping[str, Any]]  # one serialised devkit Prediction per target

SECONDS = 6
AGREEMENT = 1e-9
_KEYS = {  # the devkit's name: ours, in the order of k
    "MinADEK": ("min_ade_5", "min_ade_10"),
    f"MissRateTopK_{MISS_M}": ("miss_rate_5", "miss_rate_10"),
    "MinFDEK": ("min_fde_1",),
    "OffRoadRate": ("off_road_rate",),
}


def official_summary(
    submission: Submission, helper: PredictHelper, rows: ForecastRows, drivable: Mapping[str, shapely.MultiPolygon]
) -> dict[str, Any]:
    """The devkit's means under our names.

    Without the official map, `off_road_rate` is by the area of each sample's drive in `drivable`, or None where one has none,
    and `off_road_note` says so. `rows` are ours of the same submission: RuntimeError where the two disagree.
    """
    off_road, note = _off_road(helper, sorted({one["sample"] for one in submission}), drivable)
    found = named(compute_metrics(list(submission), helper, PredictionConfig(challenge_metrics() + off_road, SECONDS)))
    ours = rows.summary()
    for name, value in found.items():
        if name in ours and abs(ours[name] - value) > AGREEMENT:
            raise RuntimeError(f"score_forecasts gives {name} {ours[name]!r}, the devkit {value!r}: one of them has changed.")
    return found | {"off_road_rate": found.get("off_road_rate"), "n": len(submission)} | note


def rows_of(submission: Submission, helper: PredictHelper) -> ForecastRows:
    """Scores of a submission by `score_forecasts`; every target with as many modes as the first."""
    truths_m = [
        helper.get_future_for_agent(one["instance"], one["sample"], SECONDS, in_agent_frame=False) for one in submission
    ]
    forecasts_m, probabilities = ([one[key] for one in submission] for key in ("prediction", "probabilities"))
    return score_forecasts(forecasts_m, probabilities, np.array(truths_m))


def challenge_metrics() -> list[Metric]:
    """The challenge's metrics that need no map."""
    return [MinADEK([5, 10], [RowMean()]), MissRateTopK([5, 10], [RowMean()], MISS_M), MinFDEK([1], [RowMean()])]


def named(found: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, float]:
    """The devkit's means under our names."""
    known = {name: keys for name, keys in _KEYS.items() if name in found}
    return {key: mean for name, keys in known.items() for key, mean in zip(keys, found[name]["RowMean"], strict=True)}


def _off_road(
    helper: PredictHelper, samples: Sequence[str], drivable: Mapping[str, shapely.MultiPolygon]
) -> tuple[list[Metric], dict[str, str]]:
    """The metric that can be measured, if any, and what is to be said about it."""
    locations = sorted({helper.get_map_name_from_sample_token(sample) for sample in samples})
    lacking = [name for name in locations if not _map_file(helper, name)]
    if not lacking:
        return [_OffRoadRate(helper, locations)], {}
    why = f"no map of {lacking[0]} in maps/expansion below --root"
    if any(drivable[sample].is_empty for sample in samples):
        return [], {"off_road_note": f"not measurable: {why}"}
    note = f"by the drivable area of the drives themselves, past whose edge everything is off the road: {why}"
    return [_OwnOffRoadRate(helper, drivable)], {"off_road_note": note}


class _OwnOffRoadRate(OffRoadRate):  # type: ignore[misc]
    """The devkit's metric, its spline included, over the drivable area of each drive instead of the official masks."""

    def __init__(self, helper: PredictHelper, drivable: Mapping[str, shapely.MultiPolygon]) -> None:
        self._drivable = drivable
        super().__init__(helper, [RowMean()])

    def load_drivable_area_masks(self, helper: PredictHelper) -> dict[str, Any]:
        shapely.prepare(list(self._drivable.values()))
        return {}

    def __call__(self, ground_truth: NDArray[Any], prediction: Prediction) -> NDArray[Any]:
        area = self._drivable[prediction.sample]
        paths = [self.interpolate_path(mode, self.number_of_points) for mode in prediction.prediction]
        off = [not shapely.contains_xy(area, x_m, y_m).all() for x_m, y_m in paths]
        return np.array([np.mean(off)])


class _OffRoadRate(OffRoadRate):  # type: ignore[misc]
    """The devkit's metric over the maps in use; its own constructor loads all four and fails where one is missing."""

    def __init__(self, helper: PredictHelper, locations: Sequence[str]) -> None:
        self._locations = locations
        super().__init__(helper, [RowMean()])

    def load_drivable_area_masks(self, helper: PredictHelper) -> dict[str, NDArray[Any]]:
        maps = {name: NuScenesMap(helper.data.dataroot, map_name=name) for name in self._locations}
        return {name: one.get_map_mask(None, 0, ["drivable_area"], None)[0] for name, one in maps.items()}


def _map_file(helper: PredictHelper, location: str) -> bool:
    root = helper.data.dataroot
    return root is not None and (Path(root) / "maps" / "expansion" / f"{location}.json").is_file()
