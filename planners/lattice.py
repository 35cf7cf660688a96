"""Lattice: K candidate plans from paths (routes and lateral offsets) times speed profiles, driven by pure pursuit.

Index K-1 is always an emergency brake, K-2 a comfortable stop, K-3 holds speed and curvature.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from drive_wm.kinematics import DT_S, MAX_BRAKE_MPS2, limit_action, unicycle
from drive_wm.planners.paths import paths
from drive_wm.planners.polyline import sample_even
from drive_wm.planners.routes import SPACING_M, Routes, routes, yaw_rate_per_m
from drive_wm.rollouts import Plans
from drive_wm.scene import Scene, ego_speed_mps

FAR_M = 1e3
# Looking 1.5 steps ahead, an error shrinks to a third each step; an arc through the next point itself never settles.
LOOKAHEAD_STEPS = 1.5
MIN_LOOKAHEAD_M = 3.0


@dataclass(frozen=True)
class LatticeConfig:
    """Shares are of the acceleration range: 1 is full comfortable acceleration, -1 full comfortable braking."""

    steps: int = 12
    paths: int = 8
    first_shares: tuple[float, ...] = (0.0, 0.15, 0.35, 0.65, 1.0, -0.15, -0.35, -0.65, -1.0)  # of the preferred path
    first_stops_m: tuple[float, ...] = (5.0, 12.0, 25.0)
    shares: tuple[float, ...] = (0.0, 0.4, 1.0, -0.25, -0.5, -1.0)  # of every other path
    stops_m: tuple[float, ...] = (12.0,)
    accel_mps2: float = 2.0
    brake_mps2: float = 3.5
    stop_mps2: float = 2.0
    max_speed_mps: float = 18.0

    @property
    def plans(self) -> int:
        return len(slots(self)) + 3


@dataclass(frozen=True)
class Slot:
    """One place of the lattice: a path and a speed profile."""

    path: int
    share: float
    stop_m: float


def slots(config: LatticeConfig) -> list[Slot]:
    """Every place but the last three."""
    first = [Slot(0, share, FAR_M) for share in config.first_shares] + [Slot(0, 0.0, m) for m in config.first_stops_m]
    return first + [
        slot
        for path in range(1, config.paths)
        for slot in [Slot(path, share, FAR_M) for share in config.shares] + [Slot(path, 0.0, m) for m in config.stops_m]
    ]


def candidates(
    scene: Scene, config: LatticeConfig | None = None, proposals: Plans | None = None, found: Routes | None = None
) -> Plans:
    """Plans (B, K) that start at the ego's pose and speed.

    Proposals (B, P) take the P places before the last three, from the least preferred paths; K stays.
    """
    config = config or LatticeConfig()
    found = found or routes(scene)
    speed_mps = ego_speed_mps(scene)
    ways = paths(found, speed_mps, config.paths)
    places = slots(config)[: config.plans - 3 - (0 if proposals is None else proposals.valid.shape[1])]
    path = torch.tensor([s.path for s in places], device=speed_mps.device)
    speeds_mps = _speeds_mps(scene, ways.limit_mps.index_select(1, path), places, config)
    useless = torch.tensor([s.share < 0 for s in places], device=speed_mps.device) & (speed_mps[:, None] < 0.3)
    valid = ways.valid.index_select(1, path) & ~useless
    driven = _drive(
        torch.cat([speeds_mps, _last_speeds_mps(speed_mps, config)], dim=1),
        _targets_m(ways.position_m.index_select(1, path), speeds_mps),
        speed_mps,
        yaw_rate_per_m(scene),
    )
    plans = Plans(*driven, valid=torch.cat([valid, torch.ones_like(valid[:, :3])], dim=1))
    return plans if proposals is None else _with(plans, proposals)


def _with(plans: Plans, proposals: Plans) -> Plans:
    """Proposals before the last three plans."""
    joined = {
        f.name: torch.cat([getattr(plans, f.name)[:, :-3], getattr(proposals, f.name), getattr(plans, f.name)[:, -3:]], dim=1)
        for f in fields(Plans)
    }
    return Plans(**joined)


def _speeds_mps(scene: Scene, limit_mps: Tensor, places: list[Slot], config: LatticeConfig) -> Tensor:
    """Speeds (B, S, T) after each step: an acceleration taken up over a second, under the limits of bends and stops."""
    now_mps = ego_speed_mps(scene)[:, None]
    share = now_mps.new_tensor([s.share for s in places])
    stop_m = now_mps.new_tensor([s.stop_m for s in places])
    # At low speed the braking range shrinks: -1 stops within 1.5 s.
    brake = (now_mps / 1.5).clamp(max=config.brake_mps2)
    creep = torch.where((stop_m < FAR_M) & (now_mps < 3.0), 1.0, 0.0)
    wanted = torch.where(share < 0, share * brake, share * config.accel_mps2) + creep
    top_mps = now_mps.clamp(min=config.max_speed_mps)
    speed_mps, along_m, reached = now_mps.expand_as(wanted), torch.zeros_like(wanted), []
    accel_now = _accel_mps2(scene)[:, None]
    for step in range(config.steps):
        kept = max(0.0, 0.6 - 0.3 * step)
        here = ((along_m + speed_mps * DT_S) / SPACING_M).clamp(max=limit_mps.shape[2] - 1).long()
        bend_mps = torch.gather(limit_mps, 2, here[..., None])[..., 0]
        capped = torch.minimum(torch.minimum(bend_mps, _stop_limit_mps(stop_m - along_m, config)), top_mps)
        lowest = torch.relu(speed_mps - config.brake_mps2 * DT_S)
        free = torch.relu(speed_mps + ((1 - kept) * wanted + kept * accel_now) * DT_S)
        speed_mps = torch.maximum(torch.minimum(free, capped), lowest)
        along_m = along_m + speed_mps * DT_S
        reached.append(speed_mps)
    return torch.stack(reached, dim=-1)


def _stop_limit_mps(remaining_m: Tensor, config: LatticeConfig) -> Tensor:
    """Highest speed over the next step from which braking still ends within remaining_m: v dt + v^2 / 2b = remaining."""
    lag_mps = config.stop_mps2 * DT_S
    return (lag_mps**2 + 2 * config.stop_mps2 * torch.relu(remaining_m)).sqrt() - lag_mps


def _accel_mps2(scene: Scene) -> Tensor:
    """Acceleration (B,) of the ego now, from its last two velocities; 0 where they are unknown."""
    known = scene.tracks.valid[:, 0, -3:].all(-1)
    change_mps = scene.tracks.velocity_mps[:, 0, -1, 0] - scene.tracks.velocity_mps[:, 0, -2].square().sum(-1).sqrt()
    return torch.where(known, change_mps / DT_S, 0.0).clamp(-3.0, 2.0)


def _last_speeds_mps(speed_mps: Tensor, config: LatticeConfig) -> Tensor:
    """Speeds (B, 3, T) of the last three plans: hold, stop comfortably, brake fully."""
    accel = speed_mps.new_tensor([0.0, -config.stop_mps2, -MAX_BRAKE_MPS2])
    times_s = DT_S * torch.arange(1, config.steps + 1, dtype=speed_mps.dtype, device=speed_mps.device)
    return torch.relu(speed_mps[:, None, None] + accel[:, None] * times_s)


def _targets_m(path_m: Tensor, speeds_mps: Tensor) -> Tensor:
    """Points (B, S, T, 2) of paths (B, S, Q, 2) to steer at during each step."""
    step_m = speeds_mps * DT_S
    ahead_m = (LOOKAHEAD_STEPS * step_m).clamp(min=MIN_LOOKAHEAD_M)
    return sample_even(path_m, step_m.cumsum(-1) - step_m + ahead_m, SPACING_M)


def _drive(speeds_mps: Tensor, targets_m: Tensor, start_mps: Tensor, curvature_now: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Action (B, K, T, 2), pose (B, K, T, 3) and speed (B, K, T) at speeds (B, K, T) from start_mps (B,).

    The first S plans steer at targets (B, S, T, 2), the others hold curvature_now (B,).
    """
    b, k, _ = speeds_mps.shape
    steered = targets_m.shape[1]
    held = curvature_now[:, None].expand(b, k - steered)
    speed_mps = start_mps[:, None].expand(b, k)
    pose = speeds_mps.new_zeros(b, k, 3)
    steps = []
    for target, next_mps in zip(targets_m.unbind(dim=2), speeds_mps.unbind(dim=2), strict=True):
        curvature = torch.cat([_arc_per_m(pose[:, :steered], target), held], dim=1)
        action = limit_action(torch.stack([(next_mps - speed_mps) / DT_S, curvature], dim=-1), speed_mps)
        pose, speed_mps = unicycle(pose, speed_mps, action)
        steps.append((action, pose, speed_mps))
    action, poses, reached_mps = (torch.stack(s, dim=2) for s in zip(*steps, strict=True))
    return action, poses, reached_mps


def _arc_per_m(pose: Tensor, target_m: Tensor) -> Tensor:
    """Curvature (...) of the arc from a pose (..., 3) through a target (..., 2): 2 left / distance^2 (pure pursuit)."""
    x, y = (target_m - pose[..., :2]).unbind(-1)
    left_m = pose[..., 2].cos() * y - pose[..., 2].sin() * x
    return 2 * left_m / (x * x + y * y).clamp(min=1.0)
