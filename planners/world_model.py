"""The planner: candidates, imagine, score, choose; whatever imagines is passed in."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from drive_wm.planners.choose import choose_index, trajectory_at
from drive_wm.planners.lattice import LatticeConfig, candidates
from drive_wm.planners.proposals import proposals
from drive_wm.planners.routes import Routes, routes
from drive_wm.planners.score import Scores, Weights, score
from drive_wm.rollouts import Plans, Rollouts, Trajectory
from drive_wm.scene import Scene
from drive_wm.structs import TensorStruct

Imagine = Callable[[Plans], Rollouts]  # what follows each plan, in one scene
# How a scene unfolds when the ego acts by itself, if that is known, and what imagines its plans: `WorldModel.foresee`.
Foresee = Callable[[Scene], tuple[Rollouts | None, Imagine]]


@dataclass(frozen=True)
class Decision(TensorStruct):
    """A choice and everything it rests on."""

    routes: Routes
    plans: Plans
    rollouts: Rollouts
    scores: Scores
    index: Tensor  # (B,) of the chosen plan
    trajectory: Trajectory


def decide(scene: Scene, foresee: Foresee, config: LatticeConfig | None = None, weights: Weights | None = None) -> Decision:
    """Plan, and keep every step of the way for reports."""
    found = routes(scene)
    alone, imagine = foresee(scene)
    learned = proposals(scene, alone) if alone else None
    plans = candidates(scene, config, learned, found)
    rollouts = imagine(plans)
    human = Trajectory(learned.pose[:, 0], learned.speed_mps[:, 0]) if learned else None
    scores = score(scene, plans, rollouts, found, human)
    index = choose_index(plans, scores, weights)
    return Decision(found, plans, rollouts, scores, index, trajectory_at(plans, index))


def planner(
    foresee: Foresee, config: LatticeConfig | None = None, weights: Weights | None = None
) -> Callable[[Scene], Trajectory]:
    """A plan(scene) -> Trajectory that imagines as `foresee` does."""
    return lambda scene: decide(scene, foresee, config, weights).trajectory
