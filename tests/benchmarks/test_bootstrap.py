"""Resampling by scene: laws, and an interval known in closed form."""

import numpy as np
import pytest

from drive_wm.benchmarks.bootstrap import RESAMPLES, draws, interval, sums_by_scene


def test_every_draw_has_as_many_scenes_as_there_are():
    drawn = draws(7)
    assert drawn.shape == (RESAMPLES, 7)
    assert (drawn.sum(1) == 7).all()
    assert drawn.mean() == pytest.approx(1.0)


def test_draws_are_the_same_on_every_call():
    first = draws(5)
    draws.cache_clear()
    np.testing.assert_array_equal(draws(5), first)


def test_sums_by_scene():
    values = np.array([[1.0, 2.0], [3.0, 4.0], [10.0, 20.0]])
    np.testing.assert_array_equal(sums_by_scene(values, np.array([1, 0, 1])), [[3.0, 4.0], [11.0, 22.0]])
    assert sums_by_scene(np.zeros((0, 2)), np.zeros(0, int)).shape == (0, 2)


def test_the_interval_of_a_mean_has_the_width_of_its_standard_error():
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    low, high = interval(draws(400) @ values / 400)
    assert (low, high) == pytest.approx(
        (values.mean() - 1.96 * values.std() / 20, values.mean() + 1.96 * values.std() / 20), abs=0.03
    )


def test_what_counts_nothing_is_left_out():
    assert interval(np.array([np.nan, 2.0, 2.0])) == (2.0, 2.0)
    assert interval(np.array([np.nan])) == (None, None)
