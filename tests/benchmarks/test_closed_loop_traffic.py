"""Imagined traffic with a scripted imagination, worked by hand."""

import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm.benchmarks.closed_loop_traffic import Imagined, Moment, Replayed
from drive_wm.bicycle import CarState
from drive_wm.rollouts import Rollouts

EGO = tensor([[100.0, 50.0, torch.pi / 2]], dtype=torch.float64)  # heads along global +y


def moment(shown):
    """Four others 10 m apart along global x, at 2 m/s along +y; `shown` are the agents of the scene, the ego first."""
    position_m = torch.stack([tensor([110.0, 120.0, 130.0, 140.0]), torch.full((4,), 50.0)], -1).double()[None]
    car = CarState(EGO, *(torch.zeros(1, dtype=torch.float64) for _ in range(3)))
    return Moment(
        car=car,
        ego_size_m=tensor([[4.0, 2.0]]).double(),
        ego_centre_m=tensor([1.4]).double(),
        position_m=position_m,
        velocity_mps=tensor([0.0, 2.0]).double().expand(1, 4, 2),
        yaw_rad=torch.zeros(1, 4, dtype=torch.float64),
        size_m=torch.ones(1, 4, 2, dtype=torch.float64),
        valid=torch.ones(1, 4, dtype=torch.bool),
        scene=lambda: (torch.zeros(1), [tensor(shown)]),
    )


def imagine(scene):
    """Two modes, the second likelier: slot s goes to (s, -s) in the ego frame and turns by a tenth of s from the ego."""
    slot = torch.arange(4.0)
    position_m = torch.zeros(1, 1, 2, 4, 1, 2)
    position_m[0, 0, 1, :, 0] = torch.stack([slot, -slot], -1)
    yaw_rad = (0.1 * slot)[None, None, None, :, None].expand(1, 1, 2, 4, 1)
    empty = torch.zeros_like(position_m)
    logits = tensor([[0.0, 1.0]])
    return Rollouts(position_m, yaw_rad, empty, empty, logits, torch.ones(1, 4, 2), torch.ones(1, 4, dtype=torch.bool))


class Kinds:
    """A log as far as imagined traffic reads it: the last agent cannot move."""

    kind = tensor([0, 2, 0, 3]).numpy()


def test_imagined():
    traffic = Imagined(torch.ones(1, 4, dtype=torch.bool), Kinds(), imagine)
    moved = traffic.advance(moment(shown=[0, 3, 1]))  # slot 1 is agent 2, slot 2 is agent 0
    assert traffic.driven.tolist() == [[True, True, True, False]]
    # Ego frame (1, -1) lies at (100 + 1, 50 + 1): the ego heads along +y, so left is -x.
    assert_close(moved.position_m[0, 2, -1], tensor([101.0, 51.0]).double())
    assert_close(moved.position_m[0, 0, -1], tensor([102.0, 52.0]).double())
    assert_close(moved.position_m[0, 1, -1], tensor([120.0, 51.0]).double())  # not shown: a metre on
    assert_close(moved.position_m[0, 2, 0], tensor([130 - 29 / 5, 50 + 1 / 5]).double())  # a fifth of the way
    assert_close(moved.yaw_rad[0, 2, -1], tensor(torch.pi / 2 + 0.1).double(), atol=1e-6, rtol=0)


def test_replayed_traffic_drives_nobody():
    traffic = Replayed(torch.ones(1, 4, dtype=torch.bool))
    assert not traffic.driven.any()
    assert traffic.advance(moment([0])).position_m.shape == (1, 4, 5, 2)
