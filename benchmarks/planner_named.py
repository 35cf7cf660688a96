"""A planner by the name that stands on the command line."""

import runpy
from collections.abc import Callable
from pathlib import Path

from drive_wm.checkpoint import load_ego_history, load_weights
from drive_wm.errors import InputError
from drive_wm.planners import constant_velocity, idm, world_model
from drive_wm.rollouts import Trajectory
from drive_wm.scene import Scene

Planner = Callable[[Scene], Trajectory]


def world_model_planner(weights: str) -> Planner:
    """The whole path from Scene to Trajectory, imagined by these weights."""
    model, _ = load_weights(weights)
    return world_model.planner(model.foresee)


PLANNERS: dict[str, Callable[[str], Planner]] = {
    "world_model": world_model_planner,
    "ego_history": lambda weights: load_ego_history(weights)[0].plan,
    "constant_velocity": lambda weights: constant_velocity.plan,
    "idm": lambda weights: idm.plan,
}


def planner_named(name: str, weights: str) -> Planner:
    """One of PLANNERS, or a function of a user's own file, named FILE.py:FUNCTION; InputError where there is none."""
    if name in PLANNERS:
        return PLANNERS[name](weights)
    file, colon, function = name.rpartition(":")
    if not colon:
        raise InputError(
            f"Unknown planner {name!r}; known: {', '.join(PLANNERS)}, log. Pass one of them, or your own as FILE.py:FUNCTION."
        )
    if not Path(file).is_file():
        raise FileNotFoundError(f"No file {file}, which --planner {name} names. Pass an existing one as FILE.py:FUNCTION.")
    plan = runpy.run_path(file).get(function)
    if not callable(plan):
        raise InputError(f"{file} has no function {function!r}. Write `def {function}(scene: Scene) -> Trajectory` there.")
    return plan
