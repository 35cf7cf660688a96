"""The control of `fidelity_branches`: vehicles that keep to lanes by the intelligent driver model, beside an ego that drives as
it did in each branch.

Driven are those that `closed_loop_idm` drives; everybody else keeps the velocity of the keyframe, so that nothing recorded
after it is read.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from drive_wm.benchmarks.closed_loop import Starts, simulate
from drive_wm.benchmarks.closed_loop_log import Human, Others, with_ending
from drive_wm.benchmarks.closed_loop_run import traffic_named
from drive_wm.bicycle import STEPS
from drive_wm.geometry import inverse, transform
from drive_wm.kinematics import DT_S
from drive_wm.log import Log
from drive_wm.scene import SceneConfig
from drive_wm.scene_at import SceneBuilder


def idm_futures(logs: Sequence[Log], step: int, config: SceneConfig) -> Tensor:
    """Box centres (K, A, T, 2) of a scene's agents in its frame, after keyframe `step` of each branch; the ego's are 0."""
    builder = SceneBuilder(logs[0], config)
    shown = torch.from_numpy(builder.shown(step))[1:] - 1
    ego_from_global = inverse(torch.from_numpy(logs[0].ego_pose[step]))
    futures = torch.zeros(len(logs), config.agents, config.future, 2)
    for branch, log in enumerate(logs):
        starts = _starts(builder, _going_on(log, step, config.future), step, config.future)
        crowd = simulate(starts, None, partial(traffic_named, "idm", starts.log, None)).crowd
        at_m = crowd.position_m[0, shown, STEPS::STEPS]
        futures[branch, 1 : 1 + len(shown)] = transform(ego_from_global, at_m[:, : config.future]).float()
    return futures


def _starts(builder: SceneBuilder, log: Log, step: int, ticks: int) -> Starts:
    return Starts(builder.with_log(log), Human(log), (step,), ticks)


def _going_on(log: Log, step: int, steps: int) -> Log:
    """The branch in which after a keyframe the ego does what it did, and all others keep their velocity."""
    ego_pose = log.ego_pose[step + 1 : step + 1 + steps]
    known = log.valid[:, step] & log.valid[:, step - 1]
    velocity_mps = np.where(known[:, None], log.position_m[:, step] - log.position_m[:, step - 1], 0.0) / DT_S
    ahead_s = DT_S * np.arange(1, len(ego_pose) + 1)
    present = log.valid[:, step, None] & np.ones(len(ego_pose), bool)
    position_m = log.position_m[:, step, None] + velocity_mps[:, None] * ahead_s[:, None]
    others = Others(
        np.where(present[..., None], position_m, 0.0),
        np.where(present, log.yaw_rad[:, step, None], 0.0),
        np.where(present[..., None], log.size_m[:, step, None], 0.0),
        present,
    )
    return with_ending(log, step, ego_pose, others)
