"""Distances of samples by hand, against scipy, and laws."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import mannwhitneyu, wasserstein_distance
from torch.testing import assert_close

from drive_wm.metrics.distribution import auroc, histogram, wasserstein_1, wins


def test_histogram_by_hand():
    """Bins of 0.5 from 0 to 2; what lies outside counts at the ends."""
    assert histogram(torch.tensor([-3.0, 0.2, 0.5, 1.9, 2.0, 7.0]), 0.0, 2.0, 4).tolist() == [2, 1, 0, 3]
    weights = torch.tensor([0.5, 0.25, 1.0, 2.0])
    assert histogram(torch.tensor([-3.0, 0.2, 0.5, 7.0]), 0.0, 2.0, 4, weights).tolist() == [0.75, 1, 0, 2]


DISTANCES = {  # counts a, counts b, W1 at width 0.5
    "the same": ([1.0, 2.0, 1.0], [2.0, 4.0, 2.0], 0.0),
    "all two bins on": ([4.0, 0.0, 0.0], [0.0, 0.0, 1.0], 1.0),
    "half one bin on": ([2.0, 0.0, 0.0], [1.0, 1.0, 0.0], 0.25),
}


@pytest.mark.parametrize(("a", "b", "expected"), DISTANCES.values(), ids=DISTANCES)
def test_wasserstein_by_hand(a, b, expected):
    assert wasserstein_1(torch.tensor(a), torch.tensor(b), 0.5).item() == pytest.approx(expected)


def test_wasserstein_is_scipys_up_to_the_bin_width():
    rng = np.random.default_rng(0)
    a, b = rng.normal(5, 2, 4000), rng.gamma(3, 2, 3000)
    counts = [histogram(torch.from_numpy(x), -10.0, 40.0, 500) for x in (a, b)]
    assert wasserstein_1(*counts, 0.1).item() == pytest.approx(wasserstein_distance(a, b), abs=0.1)


def test_wasserstein_of_many_at_once():
    one, many = torch.tensor([1.0, 3.0, 0.0]), torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    assert_close(wasserstein_1(many, one, 1.0), torch.stack([wasserstein_1(row, one, 1.0) for row in many]))


AREAS = {  # clean, corrupted, area
    "apart": ([1.0, 2.0], [3.0, 4.0], 1.0),
    "turned round": ([3.0, 4.0], [1.0, 2.0], 0.0),
    "all equal": ([1.0, 1.0], [1.0], 0.5),
    "one of six pairs wrong": ([1.0, 2.0, 5.0], [3.0, 6.0], 5 / 6),
}


@pytest.mark.parametrize(("clean", "corrupted", "area"), AREAS.values(), ids=AREAS)
def test_auroc_by_hand(clean, corrupted, area):
    assert auroc(torch.tensor(clean), torch.tensor(corrupted)).item() == pytest.approx(area)


values = arrays(np.float64, st.integers(1, 30), elements=st.integers(-20, 20).map(float))


@given(values, values)
def test_auroc_is_scipys_and_keeps_under_monotone_maps(clean, corrupted):
    a, b = torch.from_numpy(clean), torch.from_numpy(corrupted)
    area = auroc(a, b).item()
    assert area == pytest.approx(mannwhitneyu(corrupted, clean).statistic / (len(clean) * len(corrupted)))
    assert auroc((a / 5).exp(), (b / 5).exp()).item() == area
    assert auroc(b, a).item() == pytest.approx(1 - area)


def test_wins_count_each():
    assert wins(torch.tensor([1.0, 2.0, 2.0]), torch.tensor([0.0, 2.0, 3.0])).tolist() == [0.0, 2.0, 3.0]
