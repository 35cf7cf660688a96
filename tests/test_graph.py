"""Who hears whom, and who learns of what the ego does."""

import pytest
import torch

from drive_wm.graph import HEARD_M, Neighbours, nearest_others, reached

# Agents on a line, metres ahead of the ego, and whom each of them hears, the ego too (two at most).
LINE_M = {
    "all near": ([0.0, 10.0, 18.0, 30.0], [[1, 2], [0, 2], [0, 1], [0, 2]]),
    "one beyond reach": ([0.0, 10.0, 18.0, HEARD_M + 10], [[1, 2], [0, 2], [0, 1], [2]]),
    "nobody near": ([0.0, 200.0, 210.0, 230.0], [[], [2, 3], [1, 3], [2, 1]]),
}


@pytest.mark.parametrize(("ahead_m", "heard"), LINE_M.values(), ids=LINE_M)
def test_those_near_are_heard_and_the_ego_first(ahead_m: list[float], heard: list[list[int]]) -> None:
    position_m = torch.tensor(ahead_m)[None, :, None] * torch.tensor([1.0, 0.0])
    others = nearest_others(position_m, torch.ones(1, len(ahead_m), dtype=torch.bool), count=2)
    for agent, expected in enumerate(heard):
        assert others.index[0, agent][others.valid[0, agent]].tolist() == expected


CHAIN = [[1], [0], [1], [2], [5], [4]]  # each hears one: 1 hears the ego, 2 hears 1, 3 hears 2; 4 and 5 each other


@pytest.mark.parametrize(("steps", "told"), [(0, [0]), (1, [0, 1]), (2, [0, 1, 2]), (3, [0, 1, 2, 3]), (11, [0, 1, 2, 3])])
def test_word_of_the_plan_goes_one_agent_a_step(steps: int, told: list[int]) -> None:
    others = Neighbours(torch.tensor(CHAIN)[None], torch.ones(1, len(CHAIN), 1, dtype=torch.bool))
    assert reached(others, steps)[0].nonzero()[:, 0].tolist() == told


def test_what_is_not_valid_tells_nothing() -> None:
    others = Neighbours(torch.zeros(1, 3, 1, dtype=torch.long), torch.zeros(1, 3, 1, dtype=torch.bool))
    assert reached(others, 5)[0].tolist() == [True, False, False]
