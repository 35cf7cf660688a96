"""Displacement over joint modes: a scene worked by hand."""

import torch
from torch.testing import assert_close

from drive_wm.geometry import transform
from drive_wm.metrics.displacement import best_mode, displacement_m, expected, of_mode

# Two modes, two agents, two steps: the second agent is missing at the last step.
POSITION = torch.tensor(
    [[[[[3.0, 4.0], [0.0, 0.0]], [[0.0, 1.0], [9.0, 9.0]]], [[[0.0, 2.0], [0.0, 2.0]], [[0.0, 1.0], [0.0, 0.0]]]]]
)
TRUTH = torch.zeros(1, 2, 2, 2)
COUNTED = torch.tensor([[[True, True], [True, False]]])


def test_by_hand():
    error_m = displacement_m(POSITION, TRUTH)
    assert_close(error_m[0, :, 0], torch.tensor([[5.0, 0.0], [2.0, 2.0]]))
    # Mode 0: 5 + 0 + 1 = 6; mode 1: 2 + 2 + 1 = 5. At the last step alone: 0 against 2.
    assert best_mode(error_m, COUNTED).tolist() == [1]
    assert best_mode(error_m[..., -1:], COUNTED[..., -1:]).tolist() == [0]
    assert_close(of_mode(error_m, torch.tensor([1])), torch.tensor([[[2.0, 2.0], [1.0, 0.0]]]))
    logits = torch.tensor([[0.25, 0.75]]).log()
    assert_close(expected(error_m, logits)[0, 0], torch.tensor([2.75, 1.5]))


def test_best_mode_ignores_what_does_not_count():
    worse = POSITION.clone()
    worse[0, 1, 1, 1] = 1e6
    assert best_mode(displacement_m(worse, TRUTH), COUNTED).tolist() == [1]


def test_unchanged_when_the_world_moves():
    torch.manual_seed(0)
    position, truth = torch.randn(3, 4, 5, 6, 2, dtype=torch.float64), torch.randn(3, 5, 6, 2, dtype=torch.float64)
    pose = torch.tensor([100.0, -20.0, 2.0], dtype=torch.float64)
    moved = displacement_m(
        transform(pose, position.flatten(0, 3)).reshape(position.shape),
        transform(pose, truth.flatten(0, 2)).reshape(truth.shape),
    )
    assert_close(moved, displacement_m(position, truth))
