"""Surprise by hand; p-values are right whatever the values mean."""

from dataclasses import replace
from math import log, sqrt

import pytest
import torch

from drive_wm.rollouts import Rollouts, Trajectory
from drive_wm.scene import Future, Tracks
from drive_wm.surprise import p_value, surprise


def rollouts() -> Rollouts:
    """Two agents that stand still in both of two modes, at 0 and at 10 m ahead; a spread of sqrt 2 is a scale of 1."""
    position_m = torch.zeros(1, 1, 2, 3, 2, 2)
    position_m[..., 1, :, 0] = 10.0
    yaw_rad, logits = torch.zeros(1, 1, 2, 3, 2), torch.tensor([[0.3, -0.2]])
    valid = torch.tensor([[True, True, False]])
    return Rollouts(
        position_m, yaw_rad, position_m * 0, torch.full_like(position_m, sqrt(2)), logits, torch.ones(1, 3, 2), valid,
        Trajectory(torch.zeros(1, 2, 3), torch.zeros(1, 2)),
    )  # fmt: skip


def future(x_m: float) -> Future:
    """The first agent stays, the second is x_m ahead after half a second, the third was never there."""
    position_m = torch.tensor([[0.0, 0.0], [x_m, 0.0], [0.0, 0.0]])[None, :, None].expand(1, 3, 2, 2)
    valid = torch.tensor([[[True, True], [True, True], [True, True]]])
    tracks = Tracks(position_m, torch.zeros(1, 3, 2), position_m * 0, torch.ones(1, 3, 2), torch.zeros(1, 3).long(), valid)
    return Future(tracks, torch.zeros(1, 2, 3), torch.ones(1, 2).bool())


def test_by_hand():
    """2 log 2 where one is met exactly, |dx| more where not."""
    found = surprise(rollouts(), future(13.0))
    assert found.nats.tolist() == [[pytest.approx(2 * log(2)), pytest.approx(2 * log(2) + 3), 0.0]]
    assert found.seen.tolist() == [[True, True, False]]
    assert found.most.item() == pytest.approx(2 * log(2) + 3)
    assert found.mean.item() == pytest.approx(2 * log(2) + 1.5)


def test_only_the_first_step_counts():
    late = future(10.0)
    position_m = late.tracks.position_m.clone()
    position_m[:, :, 1] += 50.0
    moved = replace(late, tracks=replace(late.tracks, position_m=position_m))
    assert torch.equal(surprise(rollouts(), moved).nats, surprise(rollouts(), late).nats)


CASES = {  # value: p among clean values 1, 2, 3, 4
    "beyond all": (5.0, 0.2),
    "as high as the highest": (4.0, 0.4),
    "between": (2.5, 0.6),
    "below all": (0.0, 1.0),
}


@pytest.mark.parametrize(("value", "p"), CASES.values(), ids=CASES)
def test_p_value(value, p):
    assert p_value(torch.tensor([value]), torch.tensor([3.0, 1.0, 4.0, 2.0])).item() == pytest.approx(p)


def test_clean_scenes_alarm_as_often_as_promised():
    """Values of the same kind have a p-value of at most 5 % one time in twenty."""
    drawn = torch.randn(200, 100, generator=torch.Generator().manual_seed(0))
    p = torch.cat([p_value(row[:1], row[1:]) for row in drawn])
    assert (p <= 0.05).double().mean().item() == pytest.approx(0.05, abs=0.04)
