"""Calibration by hand, and laws: draws of a prediction are uniform in its own eyes."""

from math import exp, log, sqrt

import pytest
import torch
from scipy.stats import kstest
from torch.testing import assert_close

from drive_wm.geometry import wrap_angle
from drive_wm.metrics.calibration import calibration_error, draw_positions, laplace_level, level, mixture_nll, pit
from drive_wm.rollouts import Rollouts, Trajectory

SEED = 3


def rollouts(turn_rad: float = 0.0) -> Rollouts:
    """Two scenes, three modes, four agents, two steps, with headings and spreads of all kinds."""
    random = torch.Generator().manual_seed(SEED)
    shape = (2, 1, 3, 4, 2)
    yaw_rad = 6 * torch.rand(shape, generator=random)
    spread_m = 0.1 + 2 * torch.rand(*shape, 2, generator=random)
    position_m = 5 * torch.randn(*shape, 2, generator=random)
    logits = torch.randn(2, 3, generator=random)
    return Rollouts(
        position_m, wrap_angle(yaw_rad + turn_rad), torch.zeros_like(position_m), spread_m, logits, torch.ones(2, 4, 2),
        torch.ones(2, 4).bool(), Trajectory(torch.zeros(2, 2, 3), torch.zeros(2, 2)),
    )  # fmt: skip


def test_mixture_by_hand():
    """Probabilities 1/4 and 3/4, densities e^-1 and e^-3."""
    nll = mixture_nll(torch.tensor([[1.0, 3.0]])[..., None], torch.tensor([[1.0, 3.0]]).log())
    assert nll.item() == pytest.approx(-log(0.25 * exp(-1) + 0.75 * exp(-3)))


CASES = {  # draws, truth: where it falls
    "below all": ([1.0, 2.0, 3.0], 0.0, 0.125),
    "in the middle": ([1.0, 2.0, 3.0], 1.5, 0.375),
    "equal to one": ([1.0, 2.0, 3.0], 2.0, 0.5),
    "above all": ([1.0, 2.0, 3.0], 9.0, 0.875),
}


@pytest.mark.parametrize(("draws", "truth", "expected"), CASES.values(), ids=CASES)
def test_pit(draws, truth, expected):
    assert pit(torch.tensor(truth), torch.tensor(draws)).item() == expected


def test_levels_by_hand():
    """Half of a Laplace distribution of scale b lies within b log 2; its standard deviation is b sqrt 2."""
    assert laplace_level(torch.tensor(-3 * log(2)), torch.tensor(3 * sqrt(2))).item() == pytest.approx(0.5)
    assert_close(level(torch.tensor([0.5, 0.25, 0.75, 0.95])), torch.tensor([0.0, 0.5, 0.5, 0.9]))


def test_calibration_error_by_hand():
    """10 members said to be 0.2, 3 came true; 30 said to be 0.9, 24 came true: (10 * 0.1 + 30 * 0.1) / 40."""
    count, said, happened = torch.tensor([10.0, 30.0]), torch.tensor([2.0, 27.0]), torch.tensor([3.0, 24.0])
    assert calibration_error(count, said, happened).item() == pytest.approx(0.1)


def test_own_draws_are_uniform():
    """Truths drawn from the prediction fall anywhere among its draws with the same probability."""
    random = torch.Generator().manual_seed(SEED)
    predicted = rollouts()
    found = torch.stack(
        [pit(draw_positions(predicted, 1, random)[0], draw_positions(predicted, 99, random)) for _ in range(200)]
    )
    # Agents of a scene share its mode, so that values are not independent: one agent-step and axis at a time.
    for series in found.flatten(1).T[::7]:
        assert kstest(series.numpy(), "uniform").pvalue > 1e-3
    assert (level(found) <= 0.5).double().mean().item() == pytest.approx(0.5, abs=0.03)
    assert (level(found) <= 0.9).double().mean().item() == pytest.approx(0.9, abs=0.02)


def test_spread_is_the_standard_deviation_along_the_heading():
    predicted = rollouts()
    one = predicted.map(lambda x: x)
    one.mode_logits[:] = torch.tensor([0.0, -1e4, -1e4])
    drawn = draw_positions(one, 20_000, torch.Generator().manual_seed(SEED)) - one.position_m[:, 0, 0]
    cos, sin = one.yaw_rad[:, 0, 0].cos(), one.yaw_rad[:, 0, 0].sin()
    along = cos * drawn[..., 0] + sin * drawn[..., 1]
    across = cos * drawn[..., 1] - sin * drawn[..., 0]
    assert_close(along.std(0) / one.spread_m[:, 0, 0, ..., 0], torch.ones(2, 4, 2), atol=0.05, rtol=0)
    assert_close(across.std(0) / one.spread_m[:, 0, 0, ..., 1], torch.ones(2, 4, 2), atol=0.05, rtol=0)
