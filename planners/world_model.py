"""The planner: candidates, imagine, score, choose; whatever imagines is passed in."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from drive_wm.planners.choose import choose_index, trajectory_at
from drive_wm.planners.lattice import LatticeConfig, candidates
from drive_wm.planners.routes import Routes, routes
from drive_wm.planners.score import Scores, Weights, score
from drive_wm.rollouts import Plans, Rollouts, Trajectory
from drive_wm.scene import Scene
from drive_wm.structs import TensorStruct

Imagine = Callable[[Scene, Plans], Rollouts]
Propose = Callable[[Scene], Plans]  # learned plans (B, P), the first the one that a human most likely drives


@dataclass(frozen=True)
class Decision(TensorStruct):
    """A choice and everything it rests on."""

    routes: Routes
    plans: Plans
    rollouts: Rollouts
    scores: Scores
    index: Tensor  # (B,) of the chosen plan
    trajectory: Trajectory


def decide(
    scene: Scene,
    imagine: Imagine,
    config: LatticeConfig | None = None,
    weights: Weights | None = None,
    propose: Propose | None = None,
) -> Decision:
    """Plan, and keep every step of the way for reports."""
    found = routes(scene)
    proposals = propose(scene) if propose else None
    plans = candidates(scene, config, proposals, found)
    rollouts = imagine(scene, plans)
    human = Trajectory(proposals.pose[:, 0], proposals.speed_mps[:, 0]) if proposals else None
    scores = score(scene, plans, rollouts, found, human)
    index = choose_index(plans, scores, weights)
    return Decision(found, plans, rollouts, scores, index, trajectory_at(plans, index))


def planner(
    imagine: Imagine,
    config: LatticeConfig | None = None,
    weights: Weights | None = None,
    propose: Propose | None = None,
) -> Callable[[Scene], Trajectory]:
    """A plan(scene) -> Trajectory that imagines with `imagine`."""
    return lambda scene: decide(scene, imagine, config, weights, propose).trajectory
