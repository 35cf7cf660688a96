"""From joint modes to ranked trajectories: quantiles by hand, and the laws of the choice."""

from itertools import pairwise
from math import log, sqrt

import pytest
import torch

from drive_wm.benchmarks.mode_reduction import ACROSS, ALONG, laplace_quantiles, reduce_modes, variants

T = 12
QUANTILES = {  # n: (n,) quantiles at the middles of n equal slices; the Laplace scale is 1 / sqrt(2)
    1: [0.0],
    2: [-log(2) / sqrt(2), log(2) / sqrt(2)],
    3: [-log(3) / sqrt(2), 0.0, log(3) / sqrt(2)],
}


@pytest.mark.parametrize(("n", "expected"), QUANTILES.items())
def test_quantiles_by_hand(n, expected):
    assert laplace_quantiles(n).tolist() == pytest.approx(expected)


def drives(*headings_rad, speed_mps=8.0, spread_m=0.0):
    """One target whose modes drive straight away in these directions: position, yaw, spread that grows evenly."""
    time_s = 0.5 * torch.arange(1, T + 1, dtype=torch.float64)
    yaw = torch.tensor(headings_rad, dtype=torch.float64)[None, :, None].expand(-1, -1, T)
    position = speed_mps * time_s[:, None] * torch.stack([yaw.cos(), yaw.sin()], -1)
    spread = spread_m / T * torch.arange(1, T + 1, dtype=torch.float64)[:, None].expand(*yaw.shape, 2)
    return position, yaw, spread


def shares(*values):
    return torch.tensor([values], dtype=torch.float64)


def test_variants_keep_to_their_mode():
    """Along the heading and across it, no further than the outermost quantile; the middle one is the mode itself."""
    position, yaw, spread = drives(1.0, spread_m=3.0)
    shifted = variants(position, yaw, spread)
    assert shifted.shape == (1, 1, ALONG * ACROSS, T, 2)
    assert torch.equal(shifted[0, 0, ALONG * ACROSS // 2], position[0, 0])
    end = shifted[0, 0, :, -1] - position[0, 0, -1]
    ahead = end @ torch.stack([yaw[0, 0, 0].cos(), yaw[0, 0, 0].sin()])
    assert float(ahead.max()) == pytest.approx(3.0 * log(ALONG) / sqrt(2))
    assert float(ahead.min()) == pytest.approx(-3.0 * log(ALONG) / sqrt(2))


def test_without_spread_modes_come_back_likeliest_first():
    position, yaw, spread = drives(0.0, 1.5, 3.0)
    paths, likely = reduce_modes(position, yaw, spread, shares(0.2, 0.5, 0.3), 3)
    assert torch.allclose(paths[0], position[0, [1, 2, 0]])
    assert likely[0].tolist() == pytest.approx([0.5, 0.3, 0.2], abs=1e-5)


def test_the_middle_comes_first():
    """Alone, a path between two likelier ones is nearer to what happens: that is what a single guess is judged by."""
    position, yaw, spread = drives(-0.3, 0.0, 0.3)
    paths, _ = reduce_modes(position, yaw, spread, shares(0.35, 0.3, 0.35), 3)
    assert torch.allclose(paths[0, 0], position[0, 1])


def random_modes(targets=5, modes=6, seed=0):
    random = torch.Generator().manual_seed(seed)
    yaw = torch.rand(targets, modes, 1, generator=random, dtype=torch.float64) * 2 + torch.zeros(T)
    speed = torch.rand(targets, modes, 1, generator=random, dtype=torch.float64) * 12
    step = 0.5 * speed[..., None] * torch.stack([yaw.cos(), yaw.sin()], -1)
    spread = torch.rand(targets, modes, 1, 2, generator=random, dtype=torch.float64) * torch.linspace(0.1, 4, T)[:, None]
    return step.cumsum(2), yaw, spread, torch.rand(targets, modes, generator=random, dtype=torch.float64).softmax(-1)


@pytest.mark.parametrize("count", [1, 5, 10, 25])
def test_probabilities_fall_and_sum_to_one(count):
    paths, likely = reduce_modes(*random_modes(), count)
    assert paths.shape == (5, count, T, 2)
    assert likely.sum(1).tolist() == pytest.approx([1.0] * 5, abs=1e-12)
    assert bool((likely > 0).all())
    assert bool((likely.diff(dim=1) < 0).all())


def test_fewer_are_the_first_of_more():
    few, many = (reduce_modes(*random_modes(), count)[0] for count in (5, 10))
    assert torch.equal(few, many[:, :5])


def test_the_order_of_modes_changes_nothing():
    modes = random_modes()
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    for before, after in zip(reduce_modes(*modes, 10), reduce_modes(*(x[:, order] for x in modes), 10), strict=True):
        assert torch.equal(before, after)


TIED = {  # name: modes; left and right of a mode that is far from all others are worth the same but for rounding
    "far apart": (*drives(0.2, 1.5, 3.0, speed_mps=20.0, spread_m=3.0), shares(0.25, 0.4, 0.35)),
    "one mode": (*drives(0.3, spread_m=3.0), shares(1.0)),
    "alike": (*drives(-0.1, 0.1, 2.0, spread_m=2.0), shares(0.4, 0.4, 0.2)),
    "random": random_modes(),
}


@pytest.mark.parametrize("modes", TIED.values(), ids=TIED)
def test_a_mirror_mirrors_the_choice(modes):
    """Left for right, the deviation across too; no tie is broken by a side of its own."""
    position, yaw, spread, likely = modes
    flip = torch.tensor([1.0, -1.0])
    paths, share = reduce_modes(*modes, 10)
    mirrored, mirrored_share = reduce_modes(position * flip, -yaw, spread * flip, likely, 10)
    torch.testing.assert_close(mirrored * flip, paths, atol=1e-9, rtol=0)
    torch.testing.assert_close(mirrored_share, share, atol=1e-9, rtol=0)


@pytest.mark.parametrize("modes", TIED.values(), ids=TIED)
@pytest.mark.parametrize("seed", range(8))
def test_rounding_chooses_nothing(modes, seed):
    """A change of a nanometre here and there is one of nanometres in the end."""
    position, yaw, spread, likely = modes
    random = torch.Generator().manual_seed(seed)
    moved = position + 1e-9 * torch.randn(position.shape[:2], generator=random, dtype=position.dtype)[..., None, None]
    paths, share = reduce_modes(*modes, 10)
    after, share_after = reduce_modes(moved, yaw, spread, likely, 10)
    torch.testing.assert_close(after, paths, atol=1e-7, rtol=0)
    torch.testing.assert_close(share_after, share, atol=1e-7, rtol=0)


def test_targets_do_not_touch_each_other():
    """Block by block, one by one: the same; nothing is drawn at random."""
    modes = random_modes(targets=20)
    whole = reduce_modes(*modes, 10)
    for i in (0, 7, 19):
        alone = reduce_modes(*(x[i : i + 1] for x in modes), 10)
        assert torch.equal(alone[0][0], whole[0][i])
        assert torch.equal(alone[1][0], whole[1][i])


def test_modes_far_apart_all_survive():
    """However wide each spreads, every way that is likely enough is kept before any gets its second variant."""
    position, yaw, spread = drives(0.0, 1.0, 2.0, 3.0, 4.0, 5.0, speed_mps=15.0, spread_m=4.0)
    paths, _ = reduce_modes(position, yaw, spread, shares(0.3, 0.25, 0.2, 0.1, 0.08, 0.07), 10)
    away_m = (paths[0, :6, None, -1] - position[0, None, :, -1]).norm(dim=-1)
    assert sorted(away_m.argmin(1).tolist()) == list(range(6))
    assert float(away_m.amin(1).max()) < 8.0


def test_more_modes_never_hurt():
    """Greedy choice: the expected distance to the nearest falls with every one added."""
    modes = random_modes(seed=3)
    truths = variants(*modes[:3]).flatten(1, 2)
    expected = []
    for count in range(1, 11):
        paths, _ = reduce_modes(*modes, count)
        expected.append(float((truths[:, :, None] - paths[:, None]).norm(dim=-1).mean(-1).amin(-1).mean()))
    assert all(after <= before + 1e-12 for before, after in pairwise(expected))


def test_no_targets():
    position, yaw, spread = drives(0.0)
    paths, likely = reduce_modes(position[:0], yaw[:0], spread[:0], shares(1.0)[:0], 10)
    assert paths.shape == (0, 10, T, 2)
    assert likely.shape == (0, 10)
