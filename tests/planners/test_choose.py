"""Choice: the best valid plan, and the first of equals."""

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from drive_wm.planners.choose import choose, choose_index
from drive_wm.planners.score import Scores, Weights
from drive_wm.rollouts import Plans

CASES = {  # name: (collision per plan, validity, chosen)
    "the lowest cost": ((0.3, 0.1, 0.2), (True, True, True), 1),
    "an invalid plan is never chosen": ((0.3, 0.0, 0.2), (True, False, True), 2),
    "the first of equals": ((0.2, 0.1, 0.1), (True, True, True), 1),
    "equal but for rounding": ((0.2, 0.1 + 1e-7, 0.1), (True, True, True), 1),
    "all collide, the least bad": ((1.0, 1.0, 0.9), (True, True, True), 2),
    "only one is valid, and it collides": ((0.0, 0.0, 1.0), (False, False, True), 2),
}


def case(collision, valid):
    cost = tensor([collision])
    fields = dict.fromkeys(Scores.__dataclass_fields__, torch.zeros_like(cost))
    pose = torch.arange(3.0)[None, :, None, None].expand(1, 3, 4, 3)
    plans = Plans(torch.zeros(1, 3, 4, 2), pose, torch.arange(3.0)[None, :, None].expand(1, 3, 4), tensor([valid]))
    return plans, Scores(**fields | {"collision": cost})


@pytest.mark.parametrize(("collision", "valid", "chosen"), CASES.values(), ids=CASES)
def test_choose(collision, valid, chosen):
    plans, scores = case(collision, valid)
    assert choose_index(plans, scores, Weights()).tolist() == [chosen]
    trajectory = choose(plans, scores)
    assert_close(trajectory.pose, torch.full((1, 4, 3), float(chosen)))
    assert_close(trajectory.speed_mps, torch.full((1, 4), float(chosen)))
