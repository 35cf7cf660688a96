"""Forecast metrics: a table by hand, the devkit's own numbers, and what is refused."""

from math import nan

import numpy as np
import pytest
from nuscenes.eval.prediction.data_classes import Prediction
from nuscenes.eval.prediction.metrics import MinADEK, MinFDEK, MissRateTopK, RowMean

from drive_wm.benchmarks.prediction import score_forecasts
from drive_wm.errors import InputError

KEYS = ["min_ade_5", "min_ade_10", "miss_rate_5", "miss_rate_10", "min_fde_1", "n"]
PATH = np.stack([np.arange(1.0, 5.0), np.zeros(4)], -1)  # 4 steps of 1 m along x


def beside(*offsets_m):
    """One mode per list of four sideways offsets."""
    return PATH + np.stack([np.zeros((len(offsets_m), 4)), np.array(offsets_m, float)], -1)


CASES = {  # name: (modes, probabilities, (min_ade_5, min_ade_10, miss_rate_5, miss_rate_10, min_fde_1))
    "exact": (beside([0, 0, 0, 0]), [1], (0, 0, 0, 0, 0)),
    "2.0 m off is a miss": (beside([0, 0, 2, 0]), [1], (0.5, 0.5, 1, 1, 0)),
    "just below is none": (beside([0, 0, 1.96, 0]), [1], (0.49, 0.49, 0, 0, 0)),
    "the likeliest gives FDE": (beside([1, 1, 1, 1], [0, 0, 0, 3]), [0.4, 0.6], (0.75, 0.75, 0, 0, 3)),
    "the sixth counts at 10 alone": (
        beside(*[[4, 4, 4, 4]] * 5, [1, 1, 1, 1]), [0.19] * 5 + [0.05], (4, 1, 1, 0, 4)
    ),
    "equally likely: the last comes first": (beside([0, 0, 0, 0], [1, 1, 1, 1]), [0.5, 0.5], (0, 0, 0, 0, 1)),
}  # fmt: skip


@pytest.mark.parametrize(("modes", "likely", "expected"), CASES.values(), ids=CASES)
def test_by_hand(modes, likely, expected):
    found = score_forecasts(modes[None], [likely], PATH[None]).summary()
    assert list(found) == KEYS
    assert list(found.values()) == pytest.approx([*expected, 1])


def test_means_and_slices():
    forecasts = np.stack([beside([1, 1, 1, 1]), beside([3, 3, 3, 3])])
    rows = score_forecasts(forecasts, [[1], [1]], np.stack([PATH, PATH]))
    assert rows.summary() == pytest.approx(
        {"min_ade_5": 2, "min_ade_10": 2, "miss_rate_5": 0.5, "miss_rate_10": 0.5, "min_fde_1": 2, "n": 2}
    )
    assert rows.take(np.array([False, True])).summary()["min_ade_5"] == 3
    nothing = rows.take(np.array([False, False])).summary()
    assert nothing["n"] == 0
    assert np.isnan(nothing["min_ade_5"])


def random_case(modes, seed, targets=60):
    """Forecasts near the truth, probabilities with ties and zeros, and errors of exactly 2 m among them."""
    random = np.random.default_rng(seed)
    truths = random.normal(0, 20, (targets, 12, 2)).cumsum(1)
    forecasts = truths[:, None] + random.normal(0, 1, (targets, modes, 12, 2))
    forecasts[::3] = truths[::3, None] + [2.0, 0.0]
    likely = random.integers(0, 4, (targets, modes)).astype(float)
    likely[:, 0] += 1
    likely[::4] = 1
    return forecasts, likely / likely.sum(1, keepdims=True), truths


def devkit_summary(forecasts, likely, truths):
    metrics = [MinADEK([5, 10], [RowMean()]), MissRateTopK([5, 10], [RowMean()], 2.0), MinFDEK([1], [RowMean()])]
    cases = [(truth, Prediction("i", "s", modes, p)) for truth, modes, p in zip(truths, forecasts, likely, strict=True)]
    values = np.concatenate([[np.ravel(m(*case)) for case in cases] for m in metrics], axis=1).mean(0)
    return {**dict(zip(KEYS, values, strict=False)), "n": len(cases)}


@pytest.mark.parametrize("modes", [1, 2, 4, 5, 6, 10, 17, 25])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_devkit(modes, seed):
    case = random_case(modes, seed)
    found, expected = score_forecasts(*case).summary(), devkit_summary(*case)
    assert found == pytest.approx(expected, abs=1e-9, rel=0)


def changed(index=None, value=None, part=0, shape=None):
    case = [np.array(x) for x in random_case(3, 0, targets=4)]
    if shape is not None:
        case[part] = np.full(shape, 1 / 3)
    else:
        case[part][index] = value
    return case


BAD = {  # name: (arguments, words of the message)
    "nan forecast": (changed((1, 2, 3, 0), nan), r"forecasts_m.*not finite at \(1, 2, 3, 0\)"),
    "infinite truth": (changed((2, 0, 1), np.inf, part=2), r"truths_m.*not finite at \(2, 0, 1\)"),
    "many nan": (changed(slice(None), nan), r"forecasts_m has \d+ not finite at \(0, 0, 0, 0\), .*\(0, 0, 1, 0\), \.\.\."),
    "no sum is 1": (changed(slice(None), 0.3, part=1), r"target 0 add .* target 1 add .* target 2 add .*, \.\.\. \(4 of 4"),
    "nan probability": (changed((0, 0), nan, part=1), r"probabilities.*not finite at \(0, 0\)"),
    "sum below 1": (changed(3, [0.3, 0.3, 0.3], part=1), r"target 3 add up to 0\.9 \(1 of 4 targets\); needed.*Divide"),
    "negative": (changed(2, [-0.5, 1.0, 0.5], part=1), r"below 0 at \(2, 0\)"),
    "26 modes": (changed(shape=(4, 26, 12, 2)), r"26 modes; needed: 1 to 25"),
    "no modes": (changed(shape=(4, 0, 12, 2)), r"0 modes"),
    "no steps": (changed(shape=(4, 3, 0, 2)), r"0 steps"),
    "three coordinates": (changed(shape=(4, 3, 12, 3)), r"shape \(4, 3, 12, 3\)"),
    "one target without its axis": (changed(shape=(3, 12, 2)), r"needed: \(S, M, T, 2\)"),
    "other probabilities": (changed(shape=(4, 2), part=1), r"probabilities has shape \(4, 2\); needed: \(4, 3\)"),
    "shorter truth": (changed(shape=(4, 11, 2), part=2), r"truths_m has shape \(4, 11, 2\); needed: \(4, 12, 2\)"),
    "ragged": ([[[[[0, 0]]], [[[0, 0], [1, 1]]]], [[1], [1]], [[[0, 0]]]], r"forecasts_m cannot be read"),
    "text": ([*changed(0, 0.0)[:1], [["a"] * 3] * 4, changed(0, 0.0)[2]], r"probabilities cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize(("case", "message"), BAD.values(), ids=BAD)
def test_refuses(case, message):
    with pytest.raises(InputError, match=message):
        score_forecasts(*case)


def test_probabilities_may_be_rounded():
    forecasts, _, truths = random_case(3, 0, targets=1)
    assert score_forecasts(forecasts, [[0.3333, 0.3333, 0.3333]], truths).summary()["n"] == 1
