"""The planner: candidates, imagine, score, choose; whatever imagines is passed in."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from drive_wm.planners.choose import choose_index, trajectory_at
from drive_wm.planners.lattice import LatticeConfig, candidates
from drive_wm.planners.routes import Routes, routes
from drive_wm.planners.score import Scores, Weights, score
from drive_wm.rollouts import Plans, Rollouts, Trajectory
from drive_wm.scene import Scene
from drive_wm.structs import TensorStruct

Imagine = Callable[[Plans], Rollouts]  # what follows each plan, in one scene
# Learned plans (B, P), if there are any, the first the one that a human most likely drives; and what imagines others.
Foresee = Callable[[Scene], tuple[Plans | None, Imagine]]


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
    proposals, imagine = foresee(scene)
    plans = candidates(scene, config, proposals, found)
    rollouts = imagine(plans)
    human = Trajectory(proposals.pose[:, 0], proposals.speed_mps[:, 0]) if proposals else None
    scores = score(scene, plans, rollouts, found, human)
    index = choose_index(plans, scores, weights)
    return Decision(found, plans, rollouts, scores, index, trajectory_at(plans, index))


def planner(
    foresee: Foresee, config: LatticeConfig | None = None, weights: Weights | None = None
) -> Callable[[Scene], Trajectory]:
    """A plan(scene) -> Trajectory that imagines as `foresee` does."""
    return lambda scene: decide(scene, foresee, config, weights).trajectory


def without_proposals(imagine: Callable[[Scene, Plans], Rollouts]) -> Foresee:
    """Foresee by a function of scene and plans alone."""
    return lambda scene: (None, partial(imagine, scene))
