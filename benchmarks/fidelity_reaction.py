"""Reaction on logs: do followers slow when the ego brakes hard, and is an absent ego nothing to those far away."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from drive_wm.benchmarks.drive_sums import Sums, summed
from drive_wm.benchmarks.fidelity_forecast import Imagine
from drive_wm.geometry import wrap_angle
from drive_wm.kinematics import roll
from drive_wm.log import STATIC, VEHICLE
from drive_wm.metrics.displacement import expected
from drive_wm.rollouts import Plans
from drive_wm.scene import Future, Scene, Tracks, ego_speed_mps
from drive_wm.train import logged_plan

BRAKE_MPS2 = -6.0
EGO_MOVES_MPS = 3.0
FOLLOWS_MPS = 2.0
BESIDE_M = 2.0  # a follower is at most this far beside the ego's line
HEADING_RAD = 0.5
HEADWAY_S = 3.0  # and closes the distance from its centre to the ego's within this time
AT_STEP = 6  # 3 s after the brake
SLOWS_MPS = 0.5
BANDS_M = {
    "0 to 10 m": (0, 10), "10 to 20 m": (10, 20), "20 to 40 m": (20, 40), "40 to 60 m": (40, 60),
    "beyond 60 m": (60, torch.inf),
}  # fmt: skip


def brake_sums(imagine: Imagine, scene: Scene, future: Future) -> Sums:
    """Close followers three seconds after the ego brakes, compared with the same when it drives as logged.

    `followers_slow`: share whose expected speed is at least 0.5 m/s lower; `followers_change_mps`: its mean change.
    Only scenes count in which the logged ego moves at 3 m/s or more now and is not itself braking to a stop.
    """
    plans = logged_plan(scene, future)
    braking = _brake_plan(scene, plans)
    asked = (ego_speed_mps(scene) >= EGO_MOVES_MPS) & future.ego_valid[:, AT_STEP - 1]
    asked &= scene.has_ego & (plans.speed_mps[:, 0, AT_STEP - 1] >= EGO_MOVES_MPS)
    both = Plans(**{name: torch.cat([getattr(plans, name), getattr(braking, name)], dim=1) for name in vars(plans)})
    with torch.inference_mode():
        rollouts = imagine(scene, both)
    speed_mps = rollouts.velocity_mps[..., AT_STEP - 1, :].norm(dim=-1)  # (B, K, M, A)
    logged, braked = (expected(speed_mps[:, k], rollouts.mode_logits) for k in (0, 1))
    change_mps = braked - logged
    values = {
        "followers_slow": (change_mps <= -SLOWS_MPS).double(),
        "followers_change_mps": change_mps,
        "followers_speed_mps": logged,
    }
    return summed(values, {"reaction: ego brakes": followers(scene) & asked[:, None]})


def followers(scene: Scene) -> Tensor:
    """Vehicles (B, A) that drive behind the ego in its direction and line, close for their speed."""
    tracks = scene.tracks
    position_m, speed_mps = tracks.position_m[:, :, -1], tracks.velocity_mps[:, :, -1].norm(dim=-1)
    behind_m = scene.ego_centre_m[:, None] - position_m[..., 0]
    aligned = wrap_angle(tracks.yaw_rad[:, :, -1]).abs() < HEADING_RAD
    close = (behind_m > 0) & (behind_m < HEADWAY_S * speed_mps) & (position_m[..., 1].abs() < BESIDE_M)
    other = torch.arange(tracks.kind.shape[1]) > 0
    return other & tracks.valid[..., -1] & (tracks.kind == VEHICLE) & aligned & close & (speed_mps > FOLLOWS_MPS)


def _brake_plan(scene: Scene, like: Plans) -> Plans:
    """Hard braking to a stop, steered as the plan is."""
    action = torch.stack([torch.full_like(like.action[..., 0], BRAKE_MPS2), like.action[..., 1]], dim=-1)
    motion = roll(torch.zeros_like(like.pose[..., 0, :]), ego_speed_mps(scene)[:, None], action)
    return Plans(action, *motion, valid=like.valid)


def absence_sums(imagine: Imagine, scene: Scene) -> Sums:
    """How far the others move, over six seconds on average, when the ego is taken away, by their distance from it.

    `absence_change_m`: mean displacement between the same joint mode with and without the ego, by probability with it.
    """
    with torch.inference_mode():
        present, absent = imagine(scene, None), imagine(without_ego(scene), None)
    apart_m = (present.position_m - absent.position_m)[:, 0].norm(dim=-1).mean(-1)  # (B, M, A)
    change_m = expected(apart_m, present.mode_logits)
    distance_m = (scene.tracks.position_m[:, :, -1] - scene.tracks.position_m[:, :1, -1]).norm(dim=-1)
    counted = scene.tracks.valid[..., -1] & (scene.tracks.kind != STATIC) & scene.has_ego[:, None]
    counted &= torch.arange(counted.shape[1]) > 0
    bands = {
        f"reaction: ego absent, {name}": (low <= distance_m) & (distance_m < high) & counted
        for name, (low, high) in BANDS_M.items()
    }
    return summed({"absence_change_m": change_m}, bands)


def without_ego(scene: Scene) -> Scene:
    """The scene in which the ego was never there, seen from where it was."""
    ego = torch.arange(scene.tracks.kind.shape[1]) == 0
    gone: Mapping[str, Tensor] = {
        name: torch.where(ego.reshape(-1, *(1,) * (x.ndim - 2)), torch.zeros_like(x), x)
        for name, x in vars(scene.tracks).items()
    }
    return replace(scene, tracks=Tracks(**gone), has_ego=torch.zeros_like(scene.has_ego))
