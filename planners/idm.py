"""Intelligent driver model: keep to the lane, drive at a wished speed, keep a gap to whatever stands or drives ahead.

Source: Treiber, Hennecke and Helbing, Congested traffic states in empirical observations and microscopic simulations,
Phys. Rev. E 62, 2000, equations 2 and 3. Values of nuPlan's IDM planner (Motional, nuplan-devkit, `idm_planner.yaml`); braking
may exceed the comfortable rate, up to what tyres give, or else it would hit what it sees late.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from drive_wm.kinematics import DT_S, MAX_BRAKE_MPS2
from drive_wm.planners.paths import paths
from drive_wm.planners.polyline import sample_even, tangents
from drive_wm.planners.routes import SPACING_M, Routes, routes
from drive_wm.rollouts import Trajectory
from drive_wm.scene import Scene, ego_speed_mps

WISHED_MPS = 10.0  # nuScenes has no speed limits; who already drives faster keeps that speed
MIN_GAP_M = 1.0
HEADWAY_S = 1.5
ACCEL_MPS2 = 1.0
BRAKE_MPS2 = 3.0  # comfortable
EXPONENT = 4
STEPS, SUBSTEPS = 12, 5
BESIDE_M = 0.2  # what comes this near to the swept path is in the way
FREE_M = 1e3
LOOK_M = 30.0  # the straightest way is the one least aside there
ALIKE_M = 1.0  # ways that begin this much farther aside than the nearest are other lanes
NEXT_NEAREST = 6  # where `routes` puts the ways from the two pieces next nearest to the ego


@dataclass(frozen=True)
class Leader:
    """What is ahead on a path, (...) each; without anybody the gap is FREE_M."""

    gap_m: Tensor  # bumper to bumper
    speed_mps: Tensor  # along the path


def accel_mps2(speed_mps: Tensor, wished_mps: Tensor, gap_m: Tensor, leader_mps: Tensor) -> Tensor:
    """Acceleration (...) of the intelligent driver model, at most ACCEL_MPS2 and down to hard braking."""
    closing_mps = speed_mps - leader_mps
    wished_gap_m = MIN_GAP_M + (speed_mps * HEADWAY_S + speed_mps * closing_mps / (2 * (ACCEL_MPS2 * BRAKE_MPS2) ** 0.5)).clamp(
        min=0.0
    )
    free = (speed_mps / wished_mps.clamp(min=0.1)) ** EXPONENT
    wanted = ACCEL_MPS2 * (1 - free - (wished_gap_m / gap_m.clamp(min=0.1)) ** 2)
    return wanted.clamp(-MAX_BRAKE_MPS2, ACCEL_MPS2)


def advance(speed_mps: Tensor, wished_mps: Tensor, leader: Leader, dt_s: float) -> tuple[Tensor, Tensor, Leader]:
    """Speed and metres driven after dt_s, and the leader then, who keeps its speed."""
    after_mps = (speed_mps + accel_mps2(speed_mps, wished_mps, leader.gap_m, leader.speed_mps) * dt_s).clamp(min=0.0)
    moved_m = after_mps * dt_s
    return after_mps, moved_m, Leader(leader.gap_m + leader.speed_mps * dt_s - moved_m, leader.speed_mps)


def plan(scene: Scene) -> Trajectory:
    """Six seconds along the scene's route, or else its lane, at the speed that bends and the nearest leader on it allow."""
    speed_mps = ego_speed_mps(scene)
    path = paths(_route(scene), speed_mps, 1)
    path_m, limit_mps = path.position_m[:, 0], path.limit_mps[:, 0]
    leader = _leader(scene, path_m)
    along_m, poses, speeds = torch.zeros_like(speed_mps), [], []
    headings = tangents(path_m)
    for step in range(STEPS * SUBSTEPS):
        piece = (along_m[:, None] / SPACING_M).long().clamp(max=limit_mps.shape[1] - 1)
        limit = limit_mps.gather(1, piece)[:, 0]
        wished_mps = torch.minimum(limit, speed_mps.clamp(min=WISHED_MPS))
        speed_mps, moved_m, leader = advance(speed_mps, wished_mps, leader, DT_S / SUBSTEPS)
        along_m = along_m + moved_m
        if (step + 1) % SUBSTEPS == 0:
            at_m, tangent = (sample_even(x, along_m[:, None], SPACING_M)[:, 0] for x in (path_m, headings))
            poses.append(torch.cat([at_m, torch.atan2(tangent[:, 1:], tangent[:, :1])], dim=-1))
            speeds.append(speed_mps)
    return Trajectory(torch.stack(poses, dim=1), torch.stack(speeds, dim=1))


def _route(scene: Scene) -> Routes:
    """The scene's route, or else the straightest on (B, 1, Q, 2): where a junction begins, its ways lie on one another, and
    the piece nearest to the ego may turn off."""
    found = routes(scene)
    start_m, later_m = found.position_m[:, :, 0, 1].abs(), found.position_m[:, :, round(LOOK_M / SPACING_M), 1].abs()
    here = found.valid & (start_m < start_m[:, 1:2] + ALIKE_M)
    order = torch.arange(here.shape[1], device=here.device)
    straight = (order == 1) | (order >= NEXT_NEAREST)
    cost = torch.where(here & straight, later_m, torch.where(found.valid, 1e3, 1e6))
    cost = torch.where((order == 0) & scene.has_route[:, None], -1.0, cost)
    best = cost.argmin(1)[:, None]
    index = best[..., None, None].expand(-1, 1, *found.position_m.shape[2:])
    return Routes(found.position_m.gather(1, index), found.valid.gather(1, best))


def _leader(scene: Scene, path_m: Tensor) -> Leader:
    """Who is nearest ahead on the path (B, Q, 2) that the ego's rear axle follows."""
    now = scene.tracks
    centre_m, size_m = now.position_m[:, 1:, -1], now.size_m[:, 1:]
    heading = tangents(path_m)
    offset_m = centre_m[:, :, None] - path_m[:, None]
    nearest = offset_m.square().sum(-1).argmin(-1)
    index = nearest[..., None].expand(-1, -1, 2)
    point_m, along = torch.gather(path_m, 1, index), torch.gather(heading, 1, index)
    ahead_m = nearest.to(path_m.dtype) * SPACING_M + ((centre_m - point_m) * along).sum(-1)
    aside = centre_m - point_m
    beside_m = (along[..., 0] * aside[..., 1] - along[..., 1] * aside[..., 0]).abs()
    turn_rad = now.yaw_rad[:, 1:, -1] - torch.atan2(along[..., 1], along[..., 0])
    cos, sin = turn_rad.cos().abs(), turn_rad.sin().abs()
    half_length_m = (size_m[..., 0] * cos + size_m[..., 1] * sin) / 2
    half_width_m = (size_m[..., 0] * sin + size_m[..., 1] * cos) / 2
    own = now.size_m[:, 0]
    gap_m = ahead_m - half_length_m - (scene.ego_centre_m + own[:, 0] / 2)[:, None]
    in_way = beside_m < half_width_m + own[:, 1:] / 2 + BESIDE_M
    # Beside the ego or behind it nobody leads; at the path's end, points beyond it all have the last one nearest.
    in_way = in_way & (ahead_m > scene.ego_centre_m[:, None]) & (nearest < path_m.shape[1] - 1) & now.valid[:, 1:, -1]
    gap_m = torch.where(in_way, gap_m, FREE_M)
    least_m, who = gap_m.min(dim=1)
    speed_mps = (now.velocity_mps[:, 1:, -1] * along).sum(-1).clamp(min=0.0).gather(1, who[:, None])[:, 0]
    return Leader(least_m, torch.where(least_m < FREE_M, speed_mps, 0.0))
