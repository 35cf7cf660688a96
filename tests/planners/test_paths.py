"""Paths: how routes become ways for the ego."""

import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm.planners.paths import paths
from drive_wm.planners.routes import POINTS, SPACING_M, Routes, routes


def test_a_single_route_gets_every_offset(road):
    ways = paths(routes(road()), tensor([8.0]), count=8)
    assert ways.valid.tolist() == [[True] * 7 + [False]]
    assert_close(ways.position_m[0, :7, -1, 1], tensor([0.0, 0.8, -0.8, 1.6, -1.6, 2.4, -2.4]), atol=1e-3, rtol=0)


def test_paths_start_at_the_ego(road):
    ways = paths(routes(road(left_lane=True)), tensor([8.0]), count=8)
    assert_close(ways.position_m[:, :, 0], torch.zeros(1, 8, 2), atol=1e-3, rtol=0)


def test_the_ego_may_keep_its_own_offset(road):
    found = routes(road())
    beside = Routes(found.position_m - tensor([0.0, 1.0]), found.valid)
    ways = paths(beside, tensor([8.0]), count=8)
    assert_close(ways.position_m[0, 1, :, 1], torch.zeros(POINTS), atol=1e-3, rtol=0)


def test_bends_limit_the_speed():
    angle = torch.arange(POINTS) * SPACING_M / 40
    bend_m = torch.stack([40 * angle.sin(), 40 * (1 - angle.cos())], dim=-1)
    found = Routes(bend_m[None, None], torch.ones(1, 1, dtype=torch.bool))
    limit_mps = paths(found, tensor([8.0]), count=1).limit_mps
    assert_close(limit_mps[0, 0, 5], tensor(10.0), atol=0.1, rtol=0)  # sqrt(2.5 m/s2 x 40 m)
