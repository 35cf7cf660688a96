"""Six-second futures of one drive against what happened: displacement, likelihood, calibration of modes and spread."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from drive_wm.benchmarks.drive_sums import WHOLE, Sums, joined, summed
from drive_wm.geometry import rotate
from drive_wm.kinematics import DT_S, roll
from drive_wm.log import KINDS, STATIC
from drive_wm.losses import laplace_nll
from drive_wm.metrics.calibration import draw_positions, laplace_level, level, mixture_nll, pit
from drive_wm.metrics.displacement import best_mode, displacement_m, expected, of_mode
from drive_wm.model.world_model import WorldModel
from drive_wm.planners.constant_velocity import constant_velocity_rollouts
from drive_wm.rollouts import Plans, Rollouts
from drive_wm.scene import Future, Scene, ego_speed_mps
from drive_wm.train import logged_plan

HORIZONS_S = (1, 2, 3, 4, 5, 6)
SPEEDS_MPS = {
    "below 0.5 m/s": (0.0, 0.5), "0.5 to 5 m/s": (0.5, 5.0), "5 to 10 m/s": (5.0, 10.0), "10 m/s and more": (10.0, torch.inf),
}  # fmt: skip
DRAWS = 99  # the truth is one of 100 then: central intervals hold 50 and 90 of them
SHARES = (50, 90)
PROBABILITY_BINS = 10

Imagine = Callable[[Scene, Plans | None], Rollouts]  # None: the ego is free


@dataclass(frozen=True)
class Forecast:
    """What a model imagined of every keyframe of a drive, and which agents are to be explained."""

    scene: Scene
    future: Future
    rollouts: Rollouts  # K = 1
    counted: Tensor  # (B, A, T) bool


def imaginers(model: WorldModel) -> dict[str, Imagine]:
    """The model, and as control everybody keeping their velocity."""
    return {"world_model": model.imagine, "constant_velocity": _keep_velocity}


def forecast(imagine: Imagine, scene: Scene, future: Future, ego_free: bool) -> Forecast:
    """With a free ego every agent counts, else the others alone, in scenes that have an ego whose drive goes on."""
    there = scene.tracks.valid[..., -1:] & future.tracks.valid
    others = torch.arange(there.shape[1])[:, None] > 0
    given = others & (scene.has_ego & future.ego_valid[:, 0])[:, None, None]
    with torch.inference_mode():
        rollouts = imagine(scene, None if ego_free else logged_plan(scene, future))
    return Forecast(scene, future, rollouts, there if ego_free else there & given)


def forecast_sums(found: Forecast, random: torch.Generator) -> Sums:
    """Sums of the figures in each slice; `benchmarks/fidelity_rows.py` says what they mean."""
    at_step = _at_step(found, random)
    slices = slices_of(found)
    moving, steps = slices[WHOLE], found.counted.shape[-1]
    horizons = {f"{h} s": round(h / DT_S) for h in HORIZONS_S}
    sums = joined(_displacements(found, moving, steps, slices), summed(at_step, slices))
    for name, step in horizons.items():
        at = slice(step - 1, step)
        then = {figure: value[..., at] for figure, value in at_step.items()}
        sums |= joined(_displacements(found, moving, step, {name: moving}), summed(then, {name: moving[..., at]}))
    return sums


def slices_of(found: Forecast) -> dict[str, Tensor]:
    """Which agent-steps (B, A, T) each slice counts: all that could move, then kinds, then speeds now."""
    kind = found.scene.tracks.kind
    ego = found.scene.has_ego[:, None] & (torch.arange(kind.shape[1]) == 0)
    kinds = {"ego": ego} | {name: (kind == i) & ~ego for i, name in enumerate(KINDS)}
    speed_mps = found.scene.tracks.velocity_mps[:, :, -1].norm(dim=-1)
    could_move = kind != STATIC
    speeds = {name: could_move & (low <= speed_mps) & (speed_mps < high) for name, (low, high) in SPEEDS_MPS.items()}
    return {name: found.counted & agents[..., None] for name, agents in ({WHOLE: could_move} | kinds | speeds).items()}


def _displacements(found: Forecast, moving: Tensor, step: int, slices: Mapping[str, Tensor]) -> Sums:
    """Mean displacement up to a step, and final displacement at it; the best joint mode is that of all that could move."""
    error_m = displacement_m(found.rollouts.position_m[:, 0], found.future.tracks.position_m)
    logits, sums = found.rollouts.mode_logits, []
    for end, at in (("ade", slice(0, step)), ("fde", slice(step - 1, step))):
        error = error_m[..., at]
        values = {
            f"min_{end}": of_mode(error, best_mode(error, moving[..., at])),
            f"likeliest_{end}": of_mode(error, logits.argmax(-1)),
            f"expected_{end}": expected(error, logits),
        }
        sums.append(summed(values, {name: where[..., at] for name, where in slices.items()}))
    return joined(*sums)


def _at_step(found: Forecast, random: torch.Generator) -> dict[str, Tensor]:
    """Likelihood and coverage of each agent-step (B, A, T)."""
    rollouts, truth_m = found.rollouts, found.future.tracks.position_m
    likeliest_rad = of_mode(rollouts.yaw_rad[:, 0], rollouts.mode_logits.argmax(-1))
    drawn_m = rotate(draw_positions(rollouts, DRAWS, random), -likeliest_rad)
    mixture = level(pit(rotate(truth_m, -likeliest_rad), drawn_m))
    position_m, yaw_rad, spread_m = (
        of_mode(x[:, 0], joint_best(found)) for x in (rollouts.position_m, rollouts.yaw_rad, rollouts.spread_m)
    )
    own = laplace_level(rotate(truth_m - position_m, -yaw_rad), spread_m)
    return {
        "nll": mixture_nll(laplace_nll(rollouts, found.future)[:, 0], rollouts.mode_logits),
        **_covered("cover", mixture),
        **_covered("best_cover", own),
    }


def joint_best(found: Forecast) -> Tensor:
    """The joint mode (B,) nearest to the truth over six seconds."""
    error_m = displacement_m(found.rollouts.position_m[:, 0], found.future.tracks.position_m)
    return best_mode(error_m, slices_of(found)[WHOLE])


def _covered(name: str, levels: Tensor) -> dict[str, Tensor]:
    """Whether levels (B, A, T, 2) lie within 50 and 90 %, along and across."""
    return {
        f"{name}_{percent}_{way}": (levels[..., axis] <= percent / 100).double()
        for percent in SHARES
        for axis, way in enumerate(("along", "across"))
    }


def mode_sums(found: Forecast) -> Sums:
    """For each bin of mode probability: the probability given, and how often that mode was the best (one per scene and mode).

    Scenes in which nothing is counted have no best mode and are left out.
    """
    share = found.rollouts.mode_logits.softmax(-1)
    happened = torch.nn.functional.one_hot(joint_best(found), share.shape[1]).double()
    known = slices_of(found)[WHOLE].any((1, 2))[:, None].expand_as(share)
    in_bin = (share * PROBABILITY_BINS).floor().clamp(max=PROBABILITY_BINS - 1)
    bins = {
        f"probability {i / PROBABILITY_BINS:.1f} to {(i + 1) / PROBABILITY_BINS:.1f}": known & (in_bin == i)
        for i in range(PROBABILITY_BINS)
    }
    return summed({"mode_probability": share, "mode_is_best": happened}, bins)


def _keep_velocity(scene: Scene, plans: Plans | None) -> Rollouts:
    """Everybody keeps their velocity; the ego too unless it has a plan."""
    if plans is None:
        batch, steps = len(scene.has_ego), round(HORIZONS_S[-1] / DT_S)
        action = torch.zeros(batch, 1, steps, 2)
        motion = roll(torch.zeros(batch, 1, 3), ego_speed_mps(scene)[:, None], action)
        plans = Plans(action, *motion, valid=torch.ones(batch, 1, dtype=torch.bool))
    return constant_velocity_rollouts(scene, plans)
