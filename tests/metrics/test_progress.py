"""Progress along hand-built routes."""

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm.metrics.progress import command_shortfall_m, progress_m, route_offset_m

STRAIGHT = torch.stack([torch.arange(21) * 2.0, torch.zeros(21)], dim=-1)
LEFT = torch.cat([STRAIGHT[:11], torch.stack([torch.full((10,), 20.0), torch.arange(1, 11) * 2.0], dim=-1)])
ROUTES = torch.stack([STRAIGHT, LEFT])[None]

PROGRESS = {  # name: (end, valid, expected)
    "at the start": ((0.0, 0.0), (True, True), 0.0),
    "between two points": ((12.7, 0.0), (True, True), 12.7),
    "beside the straight": ((30.0, 1.5), (True, True), 30.0),
    "up the left turn": ((20.0, 15.0), (True, True), 35.0),
    "up the left turn, which does not count": ((20.0, 15.0), (True, False), 20.0),
    "backwards": ((-3.0, 0.0), (True, False), -3.0),
    "past the end": ((45.0, 0.0), (True, False), 45.0),
}


@pytest.mark.parametrize(("end_m", "valid", "expected"), PROGRESS.values(), ids=PROGRESS)
def test_progress(end_m, valid, expected):
    found = progress_m(tensor([[end_m]]), ROUTES, tensor([valid]), spacing_m=2.0)
    assert_close(found, tensor([[expected]]))


def test_route_offset_is_a_mean_over_steps():
    position_m = tensor([[[[4.0, 0.0], [8.0, 3.0], [12.0, 90.0]]]])
    assert_close(route_offset_m(position_m, STRAIGHT[None]), tensor([[(0 + 3 + 5) / 3]]), atol=1e-3, rtol=0)


COMMANDS = {  # name: (left offset, command, expected)
    "left, done": (2.5, 0, 0.0),
    "left, halfway": (1.0, 0, 1.0),
    "straight, done": (-1.9, 1, 0.0),
    "straight, turned right": (-3.0, 1, 1.0),
    "right, done": (-2.0, 2, 0.0),
    "right, turned left": (9.0, 2, 5.0),
}


@pytest.mark.parametrize(("left_m", "command", "expected"), COMMANDS.values(), ids=COMMANDS)
def test_command_shortfall(left_m, command, expected):
    assert_close(command_shortfall_m(tensor([[[10.0, left_m]]]), tensor([command])), tensor([[expected]]))
