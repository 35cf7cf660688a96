"""The planner: candidates, imagine, score, choose; whatever imagines is passed in."""

from collections.abc import Callable
from dataclasses import dataclass

from drive_wm.planners.choose import choose_index, trajectory_at
from drive_wm.planners.lattice import LatticeConfig, candidates
from drive_wm.planners.routes import Routes, routes
from drive_wm.planners.score import Scores, Weights, score
from torch import Tensor

from drive_wm.rollouts import Plans, Rollouts, Trajectory
from drive_wm.scene import Scene
from drive_wm.structs import TensorStruct

Imagine = Callable[[Scene, Plans], Rollouts]


@dataclass(frozen=True)
class Decision(TensorStruct):
    """A choice and everything it rests on."""

    routes: Routes
    plans: Plans
    rollouts: Rollouts
    scores: Scores
    index: Tensor  # (B,) of the chosen plan
    trajectory: Trajectory


def decide(scene: Scene, imagine: Imagine, config: LatticeConfig | None = None, weights: Weights | None = None) -> Decision:
    """Plan, and keep every step of the way for reports."""
    found = routes(scene)
    plans = candidates(scene, config, found=found)
    rollouts = imagine(scene, plans)
    scores = score(scene, plans, rollouts, found)
    index = choose_index(plans, scores, weights)
    return Decision(found, plans, rollouts, scores, index, trajectory_at(plans, index))


def planner(
    imagine: Imagine, config: LatticeConfig | None = None, weights: Weights | None = None
) -> Callable[[Scene], Trajectory]:
    """A plan(scene) -> Trajectory that imagines with `imagine`."""
    return lambda scene: decide(scene, imagine, config, weights).trajectory
